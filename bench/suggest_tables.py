"""Clean tables to suggest rules from, with what is known of their columns, and errors to plant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bench.cell_tables_held_out import HELD_OUT
from bench.mixed_table import make_part
from bench.real_data import find_shared_data
from data.flights import load_flights

MIXED_ROWS, FLIGHT_ROWS, MADE_ROWS, SEED = 40_000, 60_000, 6_000, 20261128
WORDS_MAX = 60


@dataclass(frozen=True, slots=True)
class CleanTable:
    """A table without errors, or with few that are its own.

    keys: columns of different values. fixed: columns that others fix. codes: texts of one shape.
    numbers: counts and measures, as numbers or as text. words: categories.
    """

    name: str
    frame: pl.DataFrame
    numbers: Sequence[str]
    words: Sequence[str]
    keys: Sequence[str] = ()
    codes: Sequence[str] = ()
    fixed: Sequence[str] = ()


def _read(place: str) -> pl.DataFrame:
    return pl.read_csv(find_shared_data() / "tables" / place, infer_schema=False)


def adult() -> CleanTable:
    """32,561 people of the census of 1994; `?` is its word for a gap."""
    frame = _read("adult/train.csv")
    numbers = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
    return CleanTable("adult", frame, numbers, [n for n in frame.columns if n not in numbers],
                      fixed=("education_num",))  # fmt: skip


def beers() -> CleanTable:
    """2,410 beers with their breweries."""
    return CleanTable(
        "beers", _read("beers/clean.csv"), ("ounces", "abv", "ibu"), ("style", "state"),
        keys=("index", "id"), fixed=("brewery-name", "city", "state"),
    )  # fmt: skip


def hospital() -> CleanTable:
    """1,000 measurements of 45 hospitals."""
    return CleanTable(
        "hospital", _read("hospital/clean.csv"), ("index",),
        ("State", "CountyName", "City", "HospitalOwner", "EmergencyService", "Condition"),
        keys=("index",), codes=("ProviderNumber", "ZipCode", "PhoneNumber", "Score", "Sample"),
        fixed=("HospitalName", "City", "State", "PhoneNumber", "Condition", "MeasureName"),
    )  # fmt: skip


def mixed() -> CleanTable:
    """The seeded table of 25 columns, with the errors at known rates that it always has."""
    return CleanTable(
        "mixed", make_part(SEED, 0, MIXED_ROWS),
        ("age", "quantity", "clicks", "price", "discount", "weight", "latitude", "longitude",
         "temperature", "balance"),
        ("country", "status", "city"), keys=("id", "user_code"),
        codes=("user_code", "email", "phone", "postcode"),
    )  # fmt: skip


def flights() -> CleanTable:
    """60,000 of the flights out of New York in 2013, in their order."""
    frame = load_flights()
    rows = np.sort(np.random.default_rng(SEED).permutation(frame.height)[:FLIGHT_ROWS])
    return CleanTable(
        "flights", frame[rows], ("month", "day", "distance", "seats", "temp", "humid", "visib"),
        ("carrier", "origin", "dest", "engine", "arrival"), codes=("tailnum",),
        fixed=("airline", "hour", "minute", "manufacturer"),
    )  # fmt: skip


def made() -> list[CleanTable]:
    """The generated tables that no detector of cells was calibrated on, larger."""
    tables = []
    for i, make in enumerate(HELD_OUT):
        table = make(np.random.default_rng([SEED, i]), MADE_ROWS)
        frame = table.frame
        numbers = [n for n, t in frame.schema.items() if t.is_numeric()]
        words = [n for n, t in frame.schema.items()
                 if t == pl.String and 1 < frame[n].n_unique() <= WORDS_MAX]  # fmt: skip
        keys = [n for n in frame.columns if frame[n].is_unique().all() and n not in numbers]
        tables.append(CleanTable(table.name, frame, numbers, words, keys=keys,
                                 fixed=tuple(table.fixed)))  # fmt: skip
    return tables


REAL: tuple[Callable[[], CleanTable], ...] = (adult, beers, hospital, mixed, flights)
