"""Made tables without a wrong cell, each of another structure, to plant errors in.

`CALIBRATION` gives the weights of detectors, `HELD_OUT` is scored: no table is in both. Nothing
was copied from a real table; names, distributions and dependencies are drawn from seeds. About one
cell in 500 is odd but right (a bulk order, a fever, a special price, a rare name near a common
one), as real tables are: without such cells every detector would look sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

Draw = np.random.Generator
ROWS = 3000
FIRST = ("Anna", "Anne", "Jan", "Jana", "Karl", "Carla", "Lena", "Lene", "Marta", "Mario", "Nils",
         "Olga", "Paul", "Paula", "Rosa", "Samir", "Tom", "Uma", "Vera", "Yusuf")  # fmt: skip
LAST = ("Hansen", "Jansen", "Jensen", "Meyer", "Meier", "Schulz", "Schulze", "Novak", "Nowak",
        "Rossi", "Russo", "Silva", "Sousa", "Kaya", "Yilmaz", "O'Brien", "de Vries", "Müller",
        "Sørensen", "Núñez", "Lindqvist", "Papadopoulos", "Fitzgerald", "Okafor")  # fmt: skip
TOWNS = ("Frankfurt (Main)", "Frankfurt (Oder)", "Halle", "Hanau", "Köln", "Konstanz", "Lübeck",
         "Lüneburg", "München", "Münster", "Neuss", "Nürnberg", "Passau", "Potsdam", "Rostock",
         "Trier", "Ulm", "Wismar", "Worms", "Würzburg")  # fmt: skip


@dataclass(frozen=True, slots=True)
class MadeTable:
    """A clean table with what is known of it.

    fixed: for each column that another one fixes, the columns that fix it. swaps: pairs of columns
    whose cells a clerk may exchange. name: of the table.
    """

    name: str
    frame: pl.DataFrame
    fixed: Mapping[str, tuple[str, ...]]
    swaps: Sequence[tuple[str, str]]


def skewed(rng: Draw, values: Sequence[str], rows: int, power: float = 1.0) -> list[str]:
    """Return draws of `values` whose frequencies fall as 1 / rank ** power."""
    weights = 1.0 / np.arange(1, len(values) + 1) ** power
    return [values[i] for i in rng.choice(len(values), rows, p=weights / weights.sum())]


def oddly(rng: Draw, usual: Sequence[Any], share: float, odd: Callable[[Any], Any]) -> list[Any]:
    """Return `usual` with about `share` of its values changed by `odd`: rare, but right."""
    return [odd(v) if chosen else v
            for v, chosen in zip(usual, rng.random(len(usual)) < share, strict=True)]  # fmt: skip


def days(rng: Draw, first: date, span: int, rows: int) -> list[date]:
    """Return dates of `span` days from `first` on."""
    return [first + timedelta(days=int(n)) for n in rng.integers(0, span, rows)]


def later(rng: Draw, dates: Sequence[date], mean: float, share_open: float) -> list[date | None]:
    """Return a date some days after each, or None for `share_open` of them."""
    waits = rng.geometric(1 / mean, len(dates)) - 1
    still = rng.random(len(dates)) < share_open
    return [
        None if gone else one + timedelta(days=int(wait))
        for one, wait, gone in zip(dates, waits, still, strict=True)
    ]


def orders(rng: Draw, rows: int = ROWS) -> MadeTable:
    """Orders of a shop: product fixes price and category, country fixes currency."""
    kinds = ("lamp", "chair", "table", "shelf", "mirror", "carpet", "vase", "clock")
    hues = ("oak", "ash", "black", "white", "blue")
    products = [f"{hue} {kind}" for kind in kinds for hue in hues]
    price = {p: round(float(rng.lognormal(3.5, 0.8)), 2) for p in [*products, "ash chaise"]}
    sku = {p: f"{p.split()[1][:2].upper()}-{1000 + 7 * i}" for i, p in enumerate(price)}
    money = {"Germany": "EUR", "France": "EUR", "Austria": "EUR", "Australia": "AUD",
             "Poland": "PLN", "Sweden": "SEK", "Switzerland": "CHF", "Norway": "NOK"}  # fmt: skip
    product = oddly(rng, skewed(rng, products, rows, 0.7), 0.002, lambda _: "ash chaise")
    country = skewed(rng, tuple(money), rows)
    ordered = days(rng, date(2023, 1, 1), 700, rows)
    frame = pl.DataFrame({
        "order_id": [f"ORD-{i:06}" for i in rng.permutation(rows)],
        "product": product, "sku": [sku[p] for p in product],
        "category": [p.split()[1] for p in product],
        "unit_price": oddly(rng, [price[p] for p in product], 0.004, lambda x: round(x * 0.7, 2)),
        "quantity": oddly(rng, rng.integers(1, 13, rows).tolist(), 0.003, lambda x: 40 * x),
        "discount": rng.choice([0, 5, 10, 25], rows),
        "country": country, "currency": [money[c] for c in country],
        "ordered": ordered, "shipped": later(rng, ordered, 4, 0.03),
        "coupon": skewed(rng, ("-", "SPRING", "FRIEND", "LOYAL"), rows, 2.0),
        "greeting": skewed(rng, ("-", "happy birthday", "get well", "thank you"), rows, 1.5),
    })  # fmt: skip
    fixed = {"sku": ("product",), "product": ("sku",), "unit_price": ("product",),
             "category": ("product",), "currency": ("country",)}  # fmt: skip
    return MadeTable("orders", frame, fixed, [("product", "country"), ("category", "currency")])


def patients(rng: Draw, rows: int = ROWS) -> MadeTable:
    """Stays in a hospital: numbers that depend on sex, dates in order, codes with names."""
    wards = {"Cardiology": 3, "Neurology": 4, "Urology": 2, "Oncology": 5, "Paediatrics": 1}
    codes = {"I21.0": "infarction, anterior wall", "I21.1": "infarction, inferior wall",
             "G40.3": "epilepsy", "N20.0": "kidney stone", "C50.4": "breast tumour",
             "J18.9": "pneumonia", "E11.9": "diabetes, type 2",
             "E10.9": "diabetes, type 1"}  # fmt: skip
    sex = rng.choice(["female", "male", "diverse"], rows, p=[0.498, 0.498, 0.004])
    height = rng.normal(np.where(sex == "male", 178, 165), 7).round().astype(int)
    weight = ((height / 100) ** 2 * rng.lognormal(3.2, 0.15, rows)).round(1)
    ward, code = skewed(rng, tuple(wards), rows, 0.5), skewed(rng, tuple(codes), rows, 0.6)
    admitted = days(rng, date(2021, 3, 1), 1000, rows)
    heat = oddly(rng, rng.normal(36.9, 0.6, rows).round(1).tolist(), 0.003, lambda _: 41.8)
    temp = oddly(rng, heat, 0.04, lambda _: None)
    frame = pl.DataFrame({
        "case": np.arange(50_000, 50_000 + rows), "sex": sex,
        "birth_date": days(rng, date(1935, 1, 1), 30_000, rows),
        "ward": ward, "floor": [wards[w] for w in ward], "height_cm": height,
        "weight_kg": oddly(rng, weight.tolist(), 0.003, lambda x: round(2.4 * x, 1)),
        "temp": temp,
        "pulse": oddly(rng, rng.normal(76, 11, rows).astype(int).tolist(), 0.003, lambda x: 2 * x),
        "code": code, "diagnosis": [codes[c] for c in code],
        "admitted": admitted, "discharged": later(rng, admitted, 6, 0.02),
    })  # fmt: skip
    fixed = {"floor": ("ward",), "ward": ("floor",), "code": ("diagnosis",),
             "diagnosis": ("code",)}  # fmt: skip
    return MadeTable("patients", frame, fixed, [("sex", "ward"), ("height_cm", "weight_kg")])


def stations(rng: Draw, rows: int = ROWS) -> MadeTable:
    """Weather by station: places fixed by the station, signed and zero-heavy numbers."""
    names = [f"{TOWNS[i]} {'Nord' if i % 3 else 'Süd'}" for i in range(len(TOWNS))]
    spot = {n: (round(47.5 + rng.random() * 7, 4), round(6 + rng.random() * 9, 4)) for n in names}
    number = {n: 10_015 + 37 * i for i, n in enumerate(names)}
    station = rng.choice(names, rows)
    day = rng.integers(0, 365, rows)
    temp = 9 - 12 * np.cos(day / 58.1) + rng.normal(0, 3.5, rows)
    wet = rng.choice([True, False], rows, p=[0.3, 0.7])
    frame = pl.DataFrame({
        "station": station, "station_no": [number[s] for s in station],
        "latitude": [spot[s][0] for s in station], "longitude": [spot[s][1] for s in station],
        "day": [date(2022, 1, 1) + timedelta(days=int(d)) for d in day],
        "hour": rng.integers(0, 24, rows), "temp_c": temp.round(1),
        "humidity": np.clip(rng.normal(71, 14, rows), 11, 100).round().astype(int),
        "pressure": rng.normal(1014, 8, rows).round(1),
        "rain_mm": oddly(rng, np.where(wet, rng.exponential(2.2, rows), 0).round(1).tolist(), 0.002,
                         lambda x: x + 90),
        "sky": oddly(rng, skewed(rng, ("cloudy", "clear", "overcast", "fog", "snow"), rows), 0.002,
                     lambda _: "cloudless"),
    })  # fmt: skip
    fixed = {"station_no": ("station",), "station": ("station_no",), "latitude": ("station",),
             "longitude": ("station",)}  # fmt: skip
    return MadeTable("stations", frame, fixed, [("station", "sky"), ("latitude", "longitude")])


def staff(rng: Draw, rows: int = ROWS) -> MadeTable:
    """People: an address built of their names, pay by grade, a town for each postcode."""
    code = {t: f"{10_000 + 3571 * i}" for i, t in enumerate(TOWNS)}
    units = ("Sales", "Purchasing", "Research", "Legal", "Logistics", "IT", "Human Resources")
    first = rng.choice(FIRST, rows)
    last = oddly(rng, rng.choice(LAST, rows).tolist(), 0.004, lambda _: "Hanssen")
    grade = rng.choice(
        ["E1", "E2", "E3", "E4", "M1", "M2"], rows, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]
    )
    base = {"E1": 2400, "E2": 2900, "E3": 3500, "E4": 4200, "M1": 5600, "M2": 8200}
    pay = [
        round(base[str(g)] * float(f), 0)
        for g, f in zip(grade, rng.lognormal(0, 0.08, rows), strict=True)
    ]
    town = skewed(rng, TOWNS, rows, 0.8)
    hired = days(rng, date(1998, 5, 1), 9000, rows)
    frame = pl.DataFrame({
        "first_name": first, "last_name": last,
        "email": [f"{a}.{b}@example.org".lower().replace(" ", "").replace("'", "")
                  for a, b in zip(first, last, strict=True)],
        "unit": skewed(rng, units, rows, 0.5), "grade": grade,
        "pay": oddly(rng, pay, 0.002, lambda x: 6 * x), "hired": hired,
        "left": later(rng, hired, 900, 0.85), "town": town,
        "postcode": oddly(rng, [code[t] for t in town], 0.004, lambda x: f"{int(x) + 3}"),
        "phone": oddly(rng, [f"+49 {n}" for n in rng.integers(300_000_000, 999_999_999, rows)],
                       0.003, lambda x: f"{x[:7]}-{x[7:]}"),
        "remote": rng.choice(["yes", "no"], rows),
    })  # fmt: skip
    fixed = {"postcode": ("town",), "town": ("postcode",)}
    return MadeTable("staff", frame, fixed, [("town", "unit"), ("first_name", "last_name")])


CALIBRATION = (orders, patients, stations, staff)
