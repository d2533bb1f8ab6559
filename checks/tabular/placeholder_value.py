"""Flag words and numbers that stand for a missing value."""

from __future__ import annotations

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import expect, suggest
from checks.metrics.tabular_missing import OWN_MARKER, own_markers
from checks.metrics.tabular_profile import ColumnProfile, TableProfile
from checks.metrics.tabular_words import (
    GAP_WORDS,
    PLACEHOLDERS,
    is_gap_word,
    is_placeholder,
    shape_of,
)

_WIDE = 10  # distinct numbers before -1 stands out
_GAP_SHARE_MAX = 0.05  # of a column's rows up to which `unknown` is no category


@cell_check(
    dimension="missing", severity="warning", action="repair", gap_min=1.0, version=2,
    examples=(
        CellExample(
            {"town": ["Bonn", "N/A", "Ulm"] * 5, "height": [*range(150, 164), 9999]},
            frozenset({(i, "town") for i in range(1, 15, 3)} | {(14, "height")}),
        ),
        CellExample({"delay": list(range(-30, 100)), "state": ["NA", "NY", "NJ"] * 43 + ["NY"]},
                    frozenset()),
    ),
)  # fmt: skip
def placeholder_value(profile: TableProfile, gap_min: float) -> list[CellRule]:
    """Flag `N/A`, `?` and the like, and -1, 999, 9999 and the like where they stand apart.

    A number stands apart if its distance to the nearest other value is at least `gap_min` times the
    range from the 1st to the 99th percentile, or if it is the only negative number. `NA` passes in
    a column of two-letter codes; `none` and the like only count among numbers and dates, `unknown`,
    `missing` and the like also in a column of words, where at most 5 % of the rows hold them. The
    word that a whole table writes into its gaps is told apart: it is missing, but no slip.
    Where nothing tells the value the cell stays: blanking train alone, while the test keeps its
    placeholders, cost a probe 0.17 points (0.08 to 0.26, 8 seeds) on Adult.

    Why: a model reads the placeholder as a value like any other, -999 as a very small one.
    Source: Qahtan et al. 2018, FAHES (disguised missing values); the word list is ours.
    """
    expected = expect(profile)
    own = sorted(own_markers(profile))
    rules = []
    for column in profile.features:
        suggestion = suggest(expected, column.name)
        if column.is_text and column.kind != "constant":
            words = _words(column)
            if own:
                marked = words & column.text.str.to_lowercase().is_in(own).fill_null(value=False)
                rules.append(CellRule(column.name, marked, OWN_MARKER, suggestion=suggestion))
            rules.append(CellRule(column.name, words, "a word that stands for a missing value",
                                  suggestion=suggestion))  # fmt: skip
        numbers = _isolated(column, gap_min)
        if numbers:
            told = ", ".join(f"{n:g}" for n in numbers)
            flagged = column.number.is_in(numbers).fill_null(value=False)
            rules.append(CellRule(column.name, flagged, f"{told} lies far from all other values",
                                  column.number, gap_min, suggestion))  # fmt: skip
    return rules


def _words(column: ColumnProfile) -> pl.Expr:
    found = is_placeholder(column.text, strict=column.kind in ("number", "datetime"))
    gaps = sum(count for text, count in column.top if text.lower() in GAP_WORDS)
    if gaps <= _GAP_SHARE_MAX * column.row_count:
        found = found | is_gap_word(column.text)
    known = [(shape, count) for shape, count in column.patterns if shape not in PLACEHOLDERS]
    if known and column.length_max == 2 and known[0][0] in ("A", "a"):  # noqa: PLR2004
        return found & (shape_of(column.text) != known[0][0]).fill_null(value=False)
    return found


def _isolated(column: ColumnProfile, gap_min: float) -> list[float]:
    """The sentinels that nothing else is near."""
    held = {value for value, _, _ in column.sentinels}
    if not held or column.distinct_count < _WIDE:
        return []
    shares = column.quantiles
    low = next((shares[q] for q in ("p01", "p05", "p25") if shares[q] not in held), shares["p50"])
    high = next((shares[q] for q in ("p99", "p95", "p75") if shares[q] not in held), shares["p50"])
    alone = column.negative_count == sum(n for value, n, _ in column.sentinels if value < 0)
    positive = alone and shares["p50"] > _WIDE / 2 and low >= 0
    return [
        value
        for value, _, gap in column.sentinels
        if (gap >= gap_min * (high - low) > 0 and not low <= value <= high)
        or (value < 0 and positive)
    ]
