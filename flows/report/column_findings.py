"""What checks say of each column of a table: how many cells they flag, and which ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from checks.core.words import SEVERITIES

EXAMPLES_MAX = 5
_RANK = {name: -place for place, name in enumerate(SEVERITIES)}

Told = dict[str, list[dict[str, Any]]]  # by column


def worst_severity(severities: Sequence[str]) -> str | None:
    """Return the worst of some severities, None of none.

    >>> worst_severity(["info", "error"]), worst_severity([])
    ('error', None)
    """
    return max(severities, key=SEVERITIES.index, default=None)


def flag_columns(findings: pl.DataFrame | None) -> Told:
    """Return for each column the checks that flag its cells, worst first.

    Returns:
        By column [{check_id, dimension, severity, count}].
    """
    if findings is None:
        return {}
    rank = pl.col("severity").replace_strict(_RANK, return_dtype=pl.Int64)
    counted = (
        findings.drop_nulls("column").with_columns(rank=rank)
        .group_by("column", "check_id")
        .agg(
            dimension=pl.col("dimension").sort().first(),
            severity=pl.col("severity").sort_by("rank", "severity").first(),
            count=pl.len(), rank=pl.min("rank"),
        )
        .sort("column", "rank", "count", "check_id", descending=[False, False, True, False])
        .drop("rank")
    )  # fmt: skip
    return _by_column(counted)


def choose_cells(
    findings: pl.DataFrame | None, samples: pl.DataFrame | None, columns: Sequence[str]
) -> Told:
    """Return for each of `columns` a few flagged cells, of every check the worst ones first.

    Returns:
        By column [{uri, row, column, check_id, severity, suggestion, evidence}], at most five.
    """
    if findings is None or samples is None or not columns:
        return {}
    rank = pl.col("severity").replace_strict(_RANK, return_dtype=pl.Int64)
    beyond = (pl.col("value") - pl.col("threshold").fill_null(0.0)).abs().fill_nan(None)
    mine = findings.filter(pl.col("column").is_in(list(columns)))
    ordered = mine.with_columns(rank=rank, beyond=beyond).sort(
        "column", "check_id", "rank", "beyond", "sample_id",
        descending=[False, False, False, True, False], nulls_last=True,
    )  # fmt: skip
    turn = pl.int_range(pl.len()).over("column", "check_id")
    taken = (
        ordered.with_columns(turn=turn).filter(pl.col("turn") < EXAMPLES_MAX)
        .sort("column", "turn", "rank", "check_id")
        .group_by("column", maintain_order=True).head(EXAMPLES_MAX)
    )  # fmt: skip
    placed = taken.join(samples.select("sample_id", "uri", "row"), on="sample_id",
                        maintain_order="left")  # fmt: skip
    return _by_column(placed.select(
        "column", "uri", "row", "check_id", "severity", "suggestion", "evidence", name="column"
    ), keep="name")  # fmt: skip


def _by_column(frame: pl.DataFrame, keep: str | None = None) -> Told:
    found: Told = {}
    for row in frame.rows(named=True):
        column = row.pop("column")
        found.setdefault(column, []).append(row)
        if keep:
            row["column"] = row.pop(keep)
    return found
