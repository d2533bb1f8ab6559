"""Flag cells that have swallowed the value of an empty cell beside them."""

from __future__ import annotations

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import ColumnProfile, TableProfile

_WIDE = 64  # columns of text that are compared with each other
_NATURAL = 0.2  # share of a column's frequent texts from which an ending is their own
_VOCABULARY = 100  # what a profile lists of a column's values


@cell_check(
    dimension="incorrect", severity="warning", action="repair", filled_min=0.8, version=2,
    examples=(
        CellExample(
            {"town": ["Gary", "Bend"] * 10 + ["Gary IN"], "state": ["IN", "OR"] * 10 + [None]},
            frozenset({(20, "town"), (20, "state")}),
        ),
        CellExample({"town": ["Gary IN", "Bend"] * 10, "state": ["IN", "OR"] * 10}, frozenset()),
    ),
)  # fmt: skip
def merged_fields(profile: TableProfile, filled_min: float) -> list[CellRule]:
    """Flag a text that ends in a value of another column, in a row where that other cell is empty.

    The other column has at most 100 values and is filled in at least `filled_min` (0..1) of rows;
    few of the frequent texts end in one of its values (`oak chair` of the kind `chair` is whole).

    Why: `San Francisco CA` with no state is a wrong cell and a missing one, both mendable.
    Source: ours; the kind of error is the largest among towns of the beers set of Raha.
    """
    texts = [c for c in profile.features if c.is_text and c.kind in ("category", "text")][:_WIDE]
    rules = []
    for other in texts:
        gone = other.null_count + other.empty_count + other.blank_count
        words = [value for value, count in other.top if count > 1]
        if not gone or other.distinct_count > _VOCABULARY or other.filled_frac < filled_min:
            continue
        for column in texts:
            if column.name != other.name and words and not _ends_so(column, words):
                rules += _rules(column, other, words)
    return rules


def _ends_so(column: ColumnProfile, words: list[str]) -> bool:
    """Whether the column's texts end in those words anyway, be the other cell empty or not."""
    ending = tuple(f" {word}" for word in words)
    told = sum(count for _, count in column.top)
    return sum(count for text, count in column.top if text.endswith(ending)) > _NATURAL * told


def _rules(column: ColumnProfile, other: ColumnProfile, words: list[str]) -> list[CellRule]:
    # the longest first: the engine takes the first that fits
    known = "|".join(pl.escape_regex(word) for word in sorted(words, key=lambda w: (-len(w), w)))
    split = rf"^(.*?\S)[\s,;]+({known})$"
    tail = column.text.str.extract(split, 2)
    empty = other.raw.is_null() | (other.text == "").fill_null(value=False)
    flagged = empty & tail.is_not_null()
    told = f"{column.name} ends in a value of {other.name}, which is empty"
    rest = column.text.str.extract(split, 1).str.strip_chars_end(" ,;")
    return [
        CellRule(column.name, flagged, told, suggestion=rest),
        CellRule(other.name, flagged, told, suggestion=tail.cast(pl.String)),
    ]
