"""Columns that name rows instead of describing them: keys, row numbers, numbers that only rise."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.column_table import read_columns
from checks.metrics.tabular_profile import ColumnProfile
from checks.sets.drawn import ROWS_MAX, Drawn, draw_rows, list_samples

FOUND = {"sample_id": pl.String, "column": pl.String, "value": pl.Float64,
         "threshold": pl.Float64, "evidence": pl.String}  # fmt: skip
DIGITS = 3


def _example(kind: str, values: list[object]) -> dict[str, dict[str, list[object]]]:
    """120 rows with one column of whole numbers."""
    samples = list_samples(["x", "y"] * 60)
    return {
        "samples": samples,
        "rows": {"sample_id": samples["sample_id"], "n": values},
        "columns": {
            "name": ["n"], "dtype": ["Int64"], "kind": [kind], "row_count": [120],
            "distinct_count": [len(set(values))], "number_count": [120], "integer_count": [120],
        },
    }  # fmt: skip


@set_check(
    modality="table",
    needs=("samples", "rows", "columns"),
    dimension="leak",
    severity="warning",
    action="keep",
    rising_frac_min=0.99,
    rows_min=100,
    rows_max=ROWS_MAX,
    examples=(
        SetExample(_example("identifier", list(range(120))), frozenset({f"{0:032x}-0"})),
        SetExample(_example("number", [at * at for at in range(120)]), frozenset({f"{0:032x}-0"})),
        SetExample(_example("number", [at % 50 for at in range(120)]), frozenset()),
    ),
)  # fmt: skip
def identifier_feature(
    tables: Mapping[str, pl.LazyFrame], *, rising_frac_min: float, rows_min: int, rows_max: int
) -> Judged:
    """Flag a feature column that names each row: a key, a row number, a number that only rises.

    Keys are unique texts without blanks and whole numbers that fill their range or have one
    length (the profile's kind `identifier`). Other whole numbers are named if they rise, or fall,
    from at least `rising_frac_min` of the rows of a file to the next, among at most `rows_max`
    rows drawn. Sets of fewer than `rows_min` rows, or without labels, are not judged. The finding
    names the column and one row that shows it; `[training] leave_out` keeps it from the networks.

    Why: a model learns keys by heart, and a key that follows the order of collection tells when,
    or from which file, a row came: the label of a new row does not follow from it.
    Source: deepchecks 0.19 (identifier and index leakage, by predictive power); Kaufman et al.
    2012, Leakage in data mining (the KDD-Cup 2008 patient number, which told the clinic).
    """
    drawn = draw_rows(tables, rows_max)
    if drawn.rows.height < rows_min or drawn.samples["label"].null_count() == drawn.rows.height:
        return Judged(pl.DataFrame(schema=FOUND), facts={"not_judged": f"{drawn.rows.height} rows"})
    shown = drawn.samples["sample_id"][0]
    found = []
    for column in read_columns(tables["columns"]):
        if column.kind == "identifier":
            told = f"{column.name} has {column.distinct_count} values in {column.row_count} rows"
            share = column.distinct_count / max(column.row_count, 1)
        elif column.kind == "number" and column.integer_count == column.number_count > 0:
            share = _follow_order(column, drawn)
            told = f"{column.name} rises or falls from row to row in {share:.1%} of them"
            if share < rising_frac_min:
                continue
        else:
            continue
        evidence = f"{told}: it names a row, and says nothing about a new one"
        found.append((shown, column.name, round(share, DIGITS), rising_frac_min, evidence))
    return Judged(pl.DataFrame(found, schema=FOUND, orient="row"))


def _follow_order(column: ColumnProfile, drawn: Drawn) -> float:
    """Share of the steps from one row of a file to the next in the commoner direction, 0..1."""
    placed = drawn.samples.select("uri", "row").with_columns(
        drawn.rows.select(number=column.number).to_series()
    )
    step = pl.col("number").diff().over("uri", order_by="row").sign()
    steps = placed.drop_nulls("number").select(step=step).drop_nulls()["step"]
    rising, falling = int((steps > 0).sum()), int((steps < 0).sum())
    return max(rising, falling) / max(len(steps), 1)
