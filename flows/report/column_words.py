"""A column of a table in words: what it holds and by what evidence, what stands for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from checks.metrics.tabular_profile import NESTED
from checks.metrics.tabular_words import PLACEHOLDERS

KIND_NAMES = {
    "number": "number", "datetime": "date", "boolean": "yes or no", "category": "category",
    "identifier": "identifier", "text": "free text", "constant": "one value",
}  # fmt: skip
NOTHING = {
    "null": "null", "nan": "NaN", "inf": "infinite", "empty": "empty text", "blank": "blank text",
    "placeholder": "placeholder",
}  # fmt: skip
MISSING = ("null", "nan", "empty", "blank", "placeholder")  # infinity is a value, if a bad one
DATES = {"iso": "2013-01-31", "day_first": "31/01/2013", "month_first": "01/31/2013"}
UNFIT = "do not"
EXACT = 2.0**53  # below, every whole number is a float of its own
_DAY_S, _HOUR_S = 86_400.0, 3_600.0

Column = Mapping[str, Any]


def count(column: Column, what: str) -> int:
    """Return one of the counts of a column's profile; 0 where it has none.

    >>> count({"null_count": 3}, "null"), count({}, "nan")
    (3, 0)
    """
    return int(column.get(f"{what}_count") or 0)


def count_missing(column: Column) -> int:
    """Return the rows without a value, as `ColumnProfile.missing_count` does."""
    return sum(count(column, what) for what in MISSING)


def name_kind(column: Column) -> str:
    """Return the kind of a column in a word or two."""
    kind, rows = str(column.get("kind") or ""), count(column, "row")
    if str(column.get("dtype") or "").startswith(NESTED):
        return "nested"
    if kind == "constant" and count_missing(column) == rows:
        return "empty"
    return KIND_NAMES.get(kind, kind)


def tell_kind(column: Column) -> str:
    """Return in a sentence what a column holds and how it is stored.

    >>> tell_kind({"kind": "number", "dtype": "String", "number_count": 9, "integer_count": 9})
    'Whole numbers, stored as text.'
    """
    kind, dtype = str(column.get("kind") or ""), str(column.get("dtype") or "")
    name = name_kind(column)
    if name == "nested":
        return f"Nested or binary values ({dtype.partition('(')[0]}), which are only counted."
    if name == "empty":
        return "No row holds a value." if count(column, "row") else "The table has no rows."
    stored = ", stored as text" if dtype == "String" else ""
    numbers = count(column, "number")
    whole = numbers and count(column, "integer") == numbers
    sentences = {
        "number": f"{'Whole numbers' if whole else 'Numbers'}{stored}.",
        "datetime": f"Dates{stored}{_tell_form(column)}.",
        "boolean": f"Yes or no{stored}.",
        "category": "Values that repeat from row to row.",
        "identifier": "A different value in nearly every row: it names rows.",
        "text": "Texts that seldom repeat.",
        "constant": "The same value wherever there is one.",
    }
    return sentences.get(kind, "")


def _tell_form(column: Column) -> str:
    form = DATES.get(str(column.get("date_format")))
    return f", written like {form}" if form else ""


def weigh_evidence(column: Column) -> list[dict[str, Any]]:
    """Return what speaks for the kind of a column that is stored as text.

    Returns:
        [{says, count, share}], share 0..1 of the cells that hold anything; nothing for a kind that
        every cell fits, or that is no form of writing.
    """
    filled = count(column, "row") - count_missing(column)
    if column.get("dtype") != "String" or filled <= 0:
        return []
    numbers = {"read as a number": "number", "have a unit": "unit", "infinite": "inf"}
    if column.get("kind") == "number":
        parts = {says: count(column, what) for says, what in numbers.items()}
    elif column.get("kind") == "datetime":
        parts = {"read as a date": sum(column.get("histogram_counts") or [])}
    else:
        return []
    parts[UNFIT] = filled - sum(parts.values())
    return [{"says": says, "count": n, "share": n / filled} for says, n in parts.items() if n > 0]


def count_unfit(column: Column) -> int:
    """Return how many cells that hold something are not what the column holds."""
    return sum(int(part["count"]) for part in weigh_evidence(column) if part["says"] == UNFIT)


def is_placeholder(text: object) -> bool:
    """Say whether a value is a word for a missing one.

    >>> is_placeholder("N/A"), is_placeholder("Ulm")
    (True, False)
    """
    return str(text).strip().lower() in PLACEHOLDERS


def tell_number(value: Any) -> Any:
    """Return a number that is whole as one, so that none of its digits are rounded away.

    >>> tell_number(2053258100.0), tell_number(0.5), tell_number(None)
    (2053258100, 0.5, None)
    """
    whole = isinstance(value, float) and abs(value) < EXACT and value == int(value)
    return int(value) if whole else value


def tell_date(seconds: Any) -> Any:
    """Return seconds since 1970 as a date, with the time of day where it is not midnight.

    >>> tell_date(0.0), tell_date(3600), tell_date(None)
    ('1970-01-01', '1970-01-01 01:00', None)
    """
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (TypeError, ValueError, OverflowError, OSError):
        return seconds
    return text.removesuffix(" 00:00")


def tell_span(seconds: Any) -> str | None:
    """Return a length of time in the unit that suits it.

    >>> tell_span(3 * 86400.0), tell_span(5400.0), tell_span(None)
    ('3 days', '1.5 hours', None)
    """
    if not isinstance(seconds, int | float):
        return None
    unit, size = ("days", _DAY_S) if abs(seconds) >= 2 * _DAY_S else ("hours", _HOUR_S)
    return f"{seconds / size:.3g} {unit}"
