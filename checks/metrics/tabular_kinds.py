"""What kind of values a column holds, told from its counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checks.metrics.tabular_profile import ColumnKind

if TYPE_CHECKING:
    from checks.metrics.tabular_columns import ColumnCounts

_UNIQUE_MIN = 0.98  # different values among the rows that have one
_SLACK = 0.05  # three standard errors of an estimated number of values
_UNITS_MAX = 32  # different units before they are no units
_FORMS = ("day_first", "iso", "month_first", "typed")  # the first of equally many is taken


def tell_date_form(column: ColumnCounts) -> str | None:
    """Return the form in which most values are dates, if 9 of 10 are."""
    rows = {form: column.moments[form][0] for form in _FORMS if form in column.moments}
    if not rows:
        return None
    form = max(rows, key=lambda name: rows[name])
    return form if form == "typed" or rows[form] >= 0.9 * count_filled(column) else None


def count_filled(column: ColumnCounts) -> int:
    """Return how many rows hold a value: not null, NaN, empty, blank or a placeholder."""
    gone = ("null", "nan", "empty", "blank", "placeholder")
    return column.row_count - sum(column.counts.get(what, 0) for what in gone)


def tell_kind(column: ColumnCounts, form: str | None) -> ColumnKind:
    """Return the kind of a column whose dates have the form `form`."""
    filled, distinct = count_filled(column), column.distinct_count
    if distinct <= 1 or filled == 0:
        return "constant"
    truths = column.counts.get("boolean", 0)
    if column.dtype == "Boolean" or (truths >= 0.98 * filled and distinct <= 6):  # noqa: PLR2004
        return "boolean"
    if form is not None:
        return "datetime"
    return _tell_values(column, filled, distinct)


def _tell_values(column: ColumnCounts, filled: int, distinct: int) -> ColumnKind:
    """Tell numbers, keys, categories and free text apart."""
    counts = column.counts
    least = _UNIQUE_MIN - (0.0 if column.exact else _SLACK)
    unique = filled >= 20 and distinct >= least * (column.row_count - counts.get("null", 0))  # noqa: PLR2004
    if column.dtype != "String" and counts.get("number", 0) + counts.get("inf", 0) > 0:
        return "identifier" if unique and _is_dense(column) else "number"
    said = filled - (counts.get("doubtful", 0) - counts.get("placeholder", 0))
    units = column.heavy.get("unit")
    united = counts.get("unit", 0) if units is None or units.height <= _UNITS_MAX else 0
    if counts.get("number", 0) + united >= 0.9 * max(said, 1):
        return "identifier" if unique and not united and _is_dense(column) else "number"
    words = counts.get("spaced", 0) > 0.02 * filled or counts.get("length_sum", 0) > 64 * filled
    if unique and not words:
        return "identifier"
    few = distinct <= 0.2 * filled or (distinct <= 1000 and distinct <= 0.5 * filled)  # noqa: PLR2004
    return "category" if few else "text"


def _is_dense(column: ColumnCounts) -> bool:
    """Whole numbers that fill their range, or all of one length from 4 digits on: keys."""
    if column.counts.get("integer", 0) < column.counts.get("number", 0):
        return False
    *_, low, high = column.moments["number"]
    shortest, longest = column.lengths if column.dtype == "String" else _digits(low, high)
    return shortest == longest >= 4 or high - low <= 2 * column.row_count  # noqa: PLR2004


def _digits(low: float, high: float) -> tuple[int, int]:
    """How long the lowest and the highest of some whole numbers are."""
    return (len(f"{low:.0f}"), len(f"{high:.0f}")) if low >= 0 else (0, 0)
