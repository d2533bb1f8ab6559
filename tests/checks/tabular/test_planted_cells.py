"""Defects planted into a made table, and the truth of public ones, against what checks find."""

from __future__ import annotations

import html
import random
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from checks.core.cells import run_cell_checks
from checks.core.check import load_checks
from checks.core.tables import Findings, guard
from checks.metrics.tabular import profile_table

CHECKS = [check for check in load_checks().values() if check.kind == "cell"]
Cells = set[tuple[int, str]]


def find_cells(table: pl.DataFrame, label: str | None = None) -> pl.DataFrame:
    """Run every cell check over a table of data columns; findings get their `row` back."""
    keyed = table.select(pl.lit("t").alias("uri"), pl.int_range(pl.len()).alias("row"), pl.all())
    ids = keyed.select("uri", "row", sample_id=pl.col("row").cast(pl.String))
    profile = profile_table(keyed.lazy(), label=label)
    found = guard(Findings, run_cell_checks(keyed.lazy(), ids, profile, CHECKS), "findings")
    return found.with_columns(row=pl.col("sample_id").cast(pl.Int64))


def clean_trips(rows: int = 6000) -> pl.DataFrame:
    """Trips between towns with a distance for each pair, a maker for each vehicle, an hour."""
    rng = random.Random(5)  # noqa: S311 - seeded on purpose
    here, there = ["Bonn", "Kiel", "Jena"], ["Aachen", "Bremen", "Celle", "Dresden", "Erfurt"]
    miles = {(a, b): 90 + 137 * i + 53 * j for i, a in enumerate(here) for j, b in enumerate(there)}
    makers = ["MERCEDES", "VOLKSWAGEN", "SCANIA", "IVECO SPA"]
    data = []
    for _ in range(rows):
        a, b, unit = rng.choice(here), rng.choice(there), rng.randrange(60)
        data.append((a, b, str(miles[a, b]), f"V{unit:03}x", makers[unit % 4],
                     str(rng.randrange(5, 23)), f"{rng.gauss(60, 9):.1f}"))  # fmt: skip
    names = ["origin", "dest", "miles", "vehicle", "maker", "hour", "temp"]
    return pl.DataFrame(data, schema=names, orient="row")


@cache
def planted() -> tuple[pl.DataFrame, dict[str, Cells]]:
    """The clean table with 25 defects of each kind, and where they are."""
    rng, table = random.Random(9), clean_trips()  # noqa: S311 - seeded on purpose
    columns = {name: table[name].to_list() for name in table.columns}
    places = iter(rng.sample(range(table.height), 6 * 25))
    truth: dict[str, Cells] = {}

    def put(kind: str, row: int, column: str, value: str) -> None:
        columns[column][row] = value
        truth.setdefault(kind, set()).add((row, column))

    for _ in range(25):
        row = next(places)
        put("mixed_unit", row, "miles", str(round(int(columns["miles"][row]) * 1.609344)))
        row, name = next(places), columns["maker"]
        cut = rng.randrange(1, 4)
        put("rare_typo", row, "maker", name[row][:cut] + "X" + name[row][cut + 1 :])
        put("placeholder_value", next(places), "maker", rng.choice(["N/A", "?"]))
        put("placeholder_value", next(places), "temp", "-999")
        row = next(places)
        origin, dest = columns["origin"][row], columns["dest"][row]
        put("swapped_fields", row, "origin", dest)
        put("swapped_fields", row, "dest", origin)
        put("impossible_value", next(places), "hour", rng.choice(["27", "-3", "31"]))
    return pl.DataFrame(columns), truth


@pytest.mark.parametrize(
    "kind", ["mixed_unit", "rare_typo", "placeholder_value", "swapped_fields", "impossible_value"]
)
def test_planted_kind_is_found(kind: str) -> None:
    """The check meant for a kind finds 90 % of it, and 80 % of what it flags was planted."""
    table, truth = planted()
    found = find_cells(table).filter(pl.col("check_id") == kind)
    cells: Cells = set(found.select("row", "column").iter_rows())
    assert len(cells & truth[kind]) >= 0.9 * len(truth[kind])
    assert len(cells & set().union(*truth.values())) >= 0.8 * len(cells)


@pytest.mark.parametrize("kind", ["mixed_unit", "rare_typo", "swapped_fields"])
def test_suggestions_are_the_truth(kind: str) -> None:
    """What a check proposes for a planted cell is what stood there."""
    (table, truth), clean = planted(), clean_trips()
    found = find_cells(table).filter(pl.col("check_id") == kind, pl.col("suggestion").is_not_null())
    told = list(found.select("row", "column", "suggestion").iter_rows())
    right = [clean[column][row] == value for row, column, value in told]
    assert len(told) >= 0.9 * len(truth[kind])
    assert sum(right) >= 0.98 * len(right)


def test_clean_table_is_left_alone() -> None:
    """Of the cells of a clean table not one in a thousand is flagged."""
    clean = clean_trips()
    assert find_cells(clean).height <= 0.001 * clean.height * clean.width


@pytest.mark.parametrize(("name", "floor"), [("beers", 0.95), ("hospital", 0.74)])
def test_public_truth(shared_data: Path, name: str, floor: float) -> None:
    """All checks together reach a floor of cell-level F1 on tables whose every cell is known."""
    place = shared_data / "tables" / name
    dirty = pl.read_csv(place / "dirty.csv", infer_schema=False)
    clean = pl.read_csv(place / "clean.csv", infer_schema=False)
    clean.columns = dirty.columns
    wrong = {
        (row, column)
        for column in dirty.columns
        for row, (a, b) in enumerate(zip(dirty[column], clean[column], strict=True))
        if html.unescape(a or "").strip() != html.unescape(b or "").strip()
    }
    cells: Cells = set(find_cells(dirty).select("row", "column").iter_rows())
    assert 2 * len(cells & wrong) / (len(cells) + len(wrong)) >= floor


def test_a_spoilt_digit_is_no_unit() -> None:
    """A number with a stray letter for a digit is flagged, but no shorter number is proposed."""
    codes = [str(35_600 + i % 40) for i in range(300)]
    found = find_cells(pl.DataFrame({"zip": [*codes, "3563x"]}))
    cell = found.filter(pl.col("check_id") == "mixed_unit").row(0, named=True)
    assert (cell["row"], cell["suggestion"]) == (300, None)
