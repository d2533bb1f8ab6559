"""Cells that are missing together, counted in a table's sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_relations import Gaps
from checks.metrics.tabular_words import is_placeholder

COLUMNS_MAX = 40  # fits into the bits of one word
PATTERNS_MAX = 20


def count_gaps(sample: pl.DataFrame, columns: Sequence[ColumnProfile]) -> Gaps | None:
    """Return which columns miss their values in the same rows; None where nothing is missing.

    Args:
        sample: rows of the table, in any order.
        columns: all its columns; those without any value are left out: they miss in every row.

    Missing is what `ColumnProfile.missing_count` counts.

    >>> from checks.metrics.tabular import profile_table
    >>> rows = pl.LazyFrame({"a": [None, None, "x"], "b": ["n/a", "", "y"], "c": [1, 2, 3]})
    >>> profile_table(rows, label=None).gaps.pairs
    ((0, 1, 2),)
    """
    gappy = [c for c in columns if 0 < c.missing_count < c.row_count]
    gappy = sorted(gappy, key=lambda c: (-c.missing_count, c.name))[:COLUMNS_MAX]
    if not gappy:
        return None
    missing = sample.select(is_missing(c) for c in gappy).to_numpy()
    together = missing.T.astype(np.int64) @ missing.astype(np.int64)
    first, second = np.triu_indices(len(gappy), 1)
    both = together[first, second]
    shared = zip(first.tolist(), second.tolist(), both.tolist(), strict=True)
    patterns = _count_patterns(missing)
    return Gaps(
        columns=tuple(c.name for c in gappy),
        counts=tuple(together.diagonal().tolist()),
        pairs=tuple(pair for pair in shared if pair[2]),
        patterns=tuple(patterns[:PATTERNS_MAX]),
        pattern_count=len(patterns),
    )


def is_missing(column: ColumnProfile) -> pl.Expr:
    """Say which cells hold no value: null, NaN, empty, blank or a placeholder word."""
    gone = column.raw.is_null()
    if column.nan_count:
        gone |= column.raw.is_nan().fill_null(value=False)
    if column.empty_count + column.blank_count + column.placeholder_count:
        gone |= (column.text == "").fill_null(value=False) | is_placeholder(column.text)
    return gone.alias(column.name)


def _count_patterns(missing: NDArray[np.bool_]) -> list[tuple[tuple[int, ...], int]]:
    """The places that are missing together and the rows that miss just these, commonest first."""
    bits = np.uint64(1) << np.arange(missing.shape[1], dtype=np.uint64)
    found, rows = np.unique(missing.astype(np.uint64) @ bits, return_counts=True)
    order = sorted(zip(found.tolist(), rows.tolist(), strict=True), key=lambda p: (-p[1], p[0]))
    return [
        (tuple(place for place in range(len(bits)) if pattern >> place & 1), count)
        for pattern, count in order
    ]
