"""The profile's columns as a table, for checks that read tables: one row for each column."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from checks.metrics.tabular_profile import ColumnProfile, TableProfile

SCHEMA = {
    "name": pl.String, "dtype": pl.String, "kind": pl.String, "date_format": pl.String,
    "row_count": pl.Int64, "distinct_count": pl.Int64, "number_count": pl.Int64,
    "integer_count": pl.Int64,
}  # fmt: skip


def tabulate_columns(profile: TableProfile, names: Collection[str] | None = None) -> pl.DataFrame:
    """Return the feature columns of `profile`, in their order: names, kinds, types and counts.

    names: those that are told; None: all but the label, which checks read from the samples.

    >>> from checks.metrics.tabular import profile_table
    >>> profile = profile_table(pl.LazyFrame({"n": [1, 2, None], "y": ["a", "b", "a"]}), label="y")
    >>> tabulate_columns(profile).select("name", "dtype", "number_count").rows()
    [('n', 'Int64', 2)]
    """
    told = [c for c in profile.features if names is None or c.name in names]
    rows = {name: [getattr(c, name) for c in told] for name in SCHEMA}
    return pl.DataFrame(rows, schema=SCHEMA)


def read_columns(table: pl.LazyFrame) -> list[ColumnProfile]:
    """Return the columns that `tabulate_columns` told, sorted by name; what it left out is unset.

    >>> told = pl.LazyFrame({"name": ["n"], "dtype": ["Int64"], "kind": ["number"]})
    >>> read_columns(told)[0].row_count
    0
    """
    rows = table.collect().sort("name").iter_rows(named=True)
    return [ColumnProfile(**({"row_count": 0} | row)) for row in rows]
