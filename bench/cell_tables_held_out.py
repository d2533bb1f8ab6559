"""Made tables that no weight was fitted on: books, bookings, races and houses."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from bench.cell_tables import FIRST, LAST, ROWS, TOWNS, Draw, MadeTable, days, later, oddly, skewed


def books(rng: Draw, rows: int = ROWS) -> MadeTable:
    """A catalogue: free titles, publishers with their towns, prices as text with two decimals."""
    words = ("river", "garden", "winter", "history", "letters", "shadow", "island", "bread",
             "mountain", "silence", "atlas", "music", "stone", "harbour", "theory")  # fmt: skip
    houses = {f"{LAST[i]} & {LAST[i + 3]}": TOWNS[(5 * i) % 20] for i in range(18)}
    codes = {"English": "en", "German": "de", "French": "fr", "Danish": "da", "Dutch": "nl"}
    titles = [" ".join(rng.choice(words, rng.integers(2, 5))).capitalize() for _ in range(rows)]
    house = oddly(rng, skewed(rng, tuple(houses), rows, 0.6), 0.002, lambda _: "Hansson & Meyer")
    houses["Hansson & Meyer"] = "Trier"
    language = skewed(rng, tuple(codes), rows, 1.2)
    frame = pl.DataFrame({
        "isbn": [f"978-{a:01}-{b:05}-{c}" for a, b, c in zip(
            rng.integers(0, 10, rows), rng.permutation(90_000)[:rows] + 10_000,
            rng.integers(0, 10, rows), strict=True)],
        "title": titles, "publisher": house, "place": [houses[h] for h in house],
        "year": (2024 - rng.exponential(11, rows)).astype(int).clip(1931, 2024),
        "pages": oddly(rng, (rng.lognormal(5.5, 0.45, rows).astype(int) + 12).tolist(), 0.002,
                       lambda x: 9 * x),
        "price": oddly(rng, rng.lognormal(2.8, 0.5, rows).round(2).tolist(), 0.002,
                       lambda x: round(8 * x, 2)),
        "language": language, "code": [codes[x] for x in language],
        "shelf": [f"{chr(65 + int(a))}{b:02}" for a, b in zip(
            rng.integers(0, 6, rows), rng.integers(1, 30, rows), strict=True)],
        "binding": skewed(rng, ("paperback", "hardcover", "none", "spiral"), rows),
    })  # fmt: skip
    fixed = {"place": ("publisher",), "code": ("language",), "language": ("code",)}
    return MadeTable("books", frame, fixed, [("publisher", "language"), ("year", "pages")])


def bookings(rng: Draw, rows: int = ROWS) -> MadeTable:
    """Movements on accounts: signed heavy-tailed amounts, a branch for each account, two dates."""
    accounts = [f"DE{10 + i % 89:02}{37_040_000 + 41 * i}" for i in range(150)]
    branch = {a: f"{100 + i % 12}" for i, a in enumerate(accounts)}
    place = {str(100 + i): TOWNS[i] for i in range(12)}
    owner = {a: f"{LAST[i % 24]}, {FIRST[(i * 7) % 20]}" for i, a in enumerate(accounts)}
    kinds = ("card payment", "transfer", "direct debit", "standing order", "cash", "fee")
    account = skewed(rng, accounts, rows, 0.5)
    amount = (rng.choice([-1, 1], rows, p=[0.7, 0.3]) * rng.lognormal(4, 1.3, rows)).round(2)
    amount = np.array(oddly(rng, amount.tolist(), 0.001, lambda x: round(300 * x, 2)))
    booked = days(rng, date(2024, 1, 1), 200, rows)
    frame = pl.DataFrame({
        "booking": [f"{i:07}" for i in rng.permutation(rows)], "account": account,
        "owner": oddly(rng, [owner[a] for a in account], 0.003, lambda _: "Kaya, Uma"),
        "branch": [branch[a] for a in account],
        "place": [place[branch[a]] for a in account], "kind": skewed(rng, kinds, rows, 0.8),
        "amount": amount, "booked": booked, "valued": later(rng, booked, 1.5, 0.0),
        "channel": rng.choice(["app", "web", "desk"], rows),
        "note": oddly(rng, [f"ref {n}" for n in rng.integers(0, 10**6, rows)], 0.6, lambda _: None),
    })  # fmt: skip
    fixed = {"owner": ("account",), "branch": ("account",), "place": ("branch",)}
    return MadeTable("bookings", frame, fixed, [("kind", "place"), ("channel", "kind")])


def races(rng: Draw, rows: int = ROWS) -> MadeTable:
    """Results: seconds that lie orders of magnitude apart between events, codes of nations."""
    events = {"100 m": 10.6, "200 m": 21.5, "400 m": 48.1, "800 m": 109.0, "1500 m": 225.0,
              "5000 m": 812.0, "10000 m": 1715.0, "marathon": 8100.0}  # fmt: skip
    nations = {"KEN": "Kenya", "ETH": "Ethiopia", "USA": "United States", "GBR": "Great Britain",
               "GER": "Germany", "FRA": "France", "JAM": "Jamaica", "NED": "Netherlands",
               "NOR": "Norway", "MAR": "Morocco", "UGA": "Uganda", "JPN": "Japan"}  # fmt: skip
    people = [f"{a} {b}" for a in FIRST for b in LAST[:15]]
    home = {p: list(nations)[i % 12] for i, p in enumerate(people)}
    athlete = skewed(rng, people, rows, 0.3)
    event = rng.choice(list(events), rows)
    season = oddly(rng, rng.integers(1999, 2024, rows).tolist(), 0.002, lambda _: 1896)
    seconds = [
        round(events[str(e)] * (1 + abs(float(x))), 2)
        for e, x in zip(event, rng.normal(0, 0.03, rows), strict=True)
    ]
    frame = pl.DataFrame({
        "athlete": athlete, "nation": [home[a] for a in athlete],
        "nation_name": [nations[home[a]] for a in athlete], "event": event, "seconds": seconds,
        "start": [f"{event[i]}/{home[a]}" for i, a in enumerate(athlete)],
        "place": rng.integers(1, 9, rows), "lane": rng.integers(1, 10, rows),
        "wind": rng.normal(0.3, 0.9, rows).round(1), "season": season,
        "venue": skewed(rng, TOWNS[4:], rows, 0.4), "final": rng.choice(["true", "false"], rows),
    })  # fmt: skip
    fixed = {"nation": ("athlete",), "nation_name": ("nation",)}
    return MadeTable("races", frame, fixed, [("nation_name", "venue"), ("event", "nation")])


def houses(rng: Draw, rows: int = ROWS) -> MadeTable:
    """Sales of houses: skewed prices, a town for each zip, optional equipment, US dates."""
    zips = {f"{20_000 + 613 * i}": TOWNS[i % 20] for i in range(60)}
    region = {t: ("North", "South", "East", "West")[i % 4] for i, t in enumerate(TOWNS)}
    place = skewed(rng, tuple(zips), rows, 0.4)
    area = rng.lognormal(4.8, 0.35, rows).round().astype(int)
    built = (2020 - rng.exponential(35, rows)).astype(int).clip(1860, 2019)
    sold = [date(2020, 1, 1) + timedelta(days=int(n)) for n in rng.integers(0, 1400, rows)]
    price = area * rng.lognormal(7.8, 0.3, rows)
    frame = pl.DataFrame({
        "street": [f"{w}{'straße' if i % 2 else 'weg'} {n}" for i, (w, n) in enumerate(zip(
            rng.choice(LAST[:12], rows), rng.integers(1, 180, rows), strict=True))],
        "zip": place, "town": [zips[z] for z in place], "region": [region[zips[z]] for z in place],
        "kind": skewed(rng, ("terraced", "detached", "semi-detached", "flat"), rows, 0.7),
        "rooms": oddly(rng, rng.integers(1, 9, rows).tolist(), 0.002, lambda x: 6 + 4 * x),
        "area_m2": area, "built": built,
        "price": oddly(rng, ((price / 500).round().astype(int) * 500).tolist(), 0.002,
                       lambda x: 12 * x),
        "heating": oddly(rng, rng.choice(["gas", "oil", "district", "heat pump"], rows).tolist(),
                         0.08, lambda _: "n/a"),
        "garage": skewed(rng, ("n/a", "single", "double", "carport"), rows),
        "pool": rng.choice(["None", "indoor", "outdoor"], rows, p=[0.93, 0.02, 0.05]),
        "sold": [d.strftime("%m/%d/%Y") for d in sold],
    })  # fmt: skip
    fixed = {"town": ("zip",), "region": ("town",)}
    return MadeTable("houses", frame, fixed, [("town", "kind"), ("rooms", "area_m2")])


HELD_OUT = (books, bookings, races, houses)
