"""A table's columns as drift compares them, from its state: no row is read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from checks.metrics.bins import Measured
from checks.metrics.tabular_columns import ColumnCounts, numbers_of, read_columns
from checks.metrics.tabular_quantiles import NOTHING
from checks.metrics.tabular_state import TableState

How = Literal["number", "category", "length"]


def measure_columns(state: TableState, wanted: Mapping[str, How]) -> Iterator[tuple[str, Measured]]:
    """Yield the wanted columns that are there, each with its values and their counts.

    Args:
        state: of all rows.
        wanted: columns and how each is read: its numbers, its values, or the lengths of its texts.
    """
    for column in read_columns(state):
        how = wanted.get(column.name)
        if how is not None:
            yield column.name, measure_column(column, how)


def measure_column(column: ColumnCounts, how: How) -> Measured:
    """Return a column's values with their counts; what is no number, or no text, is missing.

    Of a column with very many values, those beyond the heaviest are counted without their names.
    """
    rows = column.row_count
    if how == "number":
        numbers = numbers_of(column, "number")
        return Measured(numbers, missing=rows - numbers.total)
    filled = _count_filled(column)
    if how == "length":
        return Measured(column.numbers.get("length", NOTHING), missing=rows - filled)
    values = column.heavy.get("value")
    names = {} if values is None else dict(values.select("text", "count").iter_rows())
    return Measured(names=names, unnamed=filled - sum(names.values()), missing=rows - filled)


def _count_filled(column: ColumnCounts) -> int:
    counts = column.counts
    if "filled" in counts and column.dtype == "String":
        return counts["filled"]
    return column.row_count - counts.get("null", 0) - counts.get("nan", 0)


def measure_classes(labels: Mapping[str | None, int]) -> Measured:
    """Return the classes of a split with their counts; None stands for no label."""
    names = {name: count for name, count in labels.items() if name is not None}
    return Measured(names=names, missing=labels.get(None, 0))
