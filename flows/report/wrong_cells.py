"""The cells of a table that are called wrong: the surest of every sort first."""

from __future__ import annotations

from typing import Any

import polars as pl

from checks.metrics.cell_verdicts import WRONG_MIN

CELLS_MAX = 60
SORT_MAX = 4  # cells of one column that the same checks call wrong, before others are shown
COLUMNS_MAX = 60


def describe_wrong_cells(cells: pl.DataFrame | None, *, marked: bool) -> dict[str, Any] | None:
    """Return the verdicts on single cells; None where no check of cells has run.

    Args:
        cells: tables.Cells.
        marked: whether rows that a person marked went into the confidence.

    Returns:
        marked, wrong (cells with a confidence of at least WRONG_MIN), doubtful (those below),
        rows (how many have a wrong cell), limit, columns [{name, cells, detectors [{name, count}]}]
        and examples [{uri, row, column, detectors, dimension, confidence, suggestion}].
    """
    if cells is None:
        return None
    wrong = cells.filter(pl.col("confidence") >= WRONG_MIN)
    columns = _count_columns(wrong)
    return {
        "marked": marked,
        "limit": WRONG_MIN,
        "wrong": wrong.height,
        "doubtful": cells.height - wrong.height,
        "rows": wrong["sample_id"].n_unique(),
        "columns": columns[:COLUMNS_MAX],
        "more_columns": len(columns[COLUMNS_MAX:]),
        "examples": _choose(wrong),
    }


def _count_columns(wrong: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the columns with most wrong cells first, each with the checks that say so."""
    totals = wrong.group_by("column").len().sort("len", "column", descending=[True, False])
    by_check = wrong.select("column", name="detectors").explode("name").drop_nulls("name")
    counted = by_check.group_by("column", "name").agg(count=pl.len())
    ordered = counted.sort("column", "count", "name", descending=[False, True, False])
    told: dict[str, list[dict[str, Any]]] = {}
    for column, name, count in ordered.iter_rows():
        told.setdefault(column, []).append({"name": name, "count": count})
    return [
        {"name": column, "cells": count, "detectors": told.get(column, [])}
        for column, count in totals.iter_rows()
    ]


def _choose(wrong: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the surest cells; of those that the same checks flag in a column, only a few."""
    ordered = wrong.sort(
        "confidence", "column", "uri", "row", descending=[True, False, False, False]
    )
    turn = pl.int_range(pl.len()).over("column", pl.col("detectors").list.join(" "))
    few = ordered.filter(turn < SORT_MAX).head(CELLS_MAX)
    return few.drop("sample_id").rows(named=True)
