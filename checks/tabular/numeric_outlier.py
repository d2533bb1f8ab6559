"""Flag numbers far beyond all others."""

from __future__ import annotations

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import confirmed, expect, suggest
from checks.metrics.tabular_profile import ColumnProfile, TableProfile
from checks.metrics.tabular_tails import find_tails

_FEW = 10
_CODE_MIN, _WHOLE_MIN = 4, 0.98


@cell_check(
    dimension="incorrect", severity="warning", action="review", tail_ratio_max=2.0, version=2,
    examples=(
        CellExample({"temp": [50.0 + i % 40 for i in range(200)] + [900.0]},
                    frozenset({(200, "temp")})),
        CellExample({"income": [float(2**i) for i in range(12)] * 5}, frozenset()),
    ),
)  # fmt: skip
def numeric_outlier(profile: TableProfile, tail_ratio_max: float) -> list[CellRule]:
    """Flag a number further past the 95th (5th) percentile than that is from the median, much so.

    Much: `tail_ratio_max` times that distance, in a scale in which skewed and heavy tails are those
    of a normal distribution (`tabular_tails`). Zeros are left out where they are more than a tenth.
    In a column of codes (98 % have one length, of 4 digits or more) only a number of another length
    is judged. What the row's other cells confirm (the seats of its aircraft) is no outlier.

    Why: one such value can own a column's mean, its scaling and the gradient.
    Source: ours; percentile distances as in Hampel's identifier, which breaks on skewed columns.
    """
    expected = expect(profile)
    rules = []
    for column in profile.features:
        far = _far(column, tail_ratio_max)
        if far is not None:
            rules.append(
                CellRule(column.name, far & ~confirmed(expected, column.name),
                         "far beyond all but a few of the column's numbers", column.number,
                         tail_ratio_max, suggest(expected, column.name))
            )  # fmt: skip
    return rules


def _far(column: ColumnProfile, ratio: float) -> pl.Expr | None:
    """Whether a number lies far outside; None where the column has no outside."""
    if column.kind != "number" or column.distinct_count < _FEW:
        return None
    zeros = column.zero_count > 0.1 * column.number_count
    tails = find_tails(column.nonzero_quantiles if zeros else column.quantiles, ratio)
    if tails is None:
        return None
    digits = _code_length(column)
    far = tails.outside(column.number)
    return far if digits is None else far & (_length(column.number) != digits)


def _code_length(column: ColumnProfile) -> int | None:
    """How many digits nearly all of the most frequent numbers have, if 4 or more: codes."""
    if column.integer_count < _WHOLE_MIN * column.number_count:
        return None
    lengths: dict[int, int] = {}
    for text, count in column.top:
        digits = text.removesuffix(".0")
        if digits.isdecimal():
            lengths[len(digits)] = lengths.get(len(digits), 0) + count
    usual = max(lengths, key=lambda length: lengths[length], default=0)
    sure = usual >= _CODE_MIN and lengths[usual] >= _WHOLE_MIN * sum(lengths.values())
    return usual if sure else None


def _length(number: pl.Expr) -> pl.Expr:
    """How many digits a whole number has; 0 for a fraction, and for one beyond Int64."""
    whole = pl.when(number == number.floor()).then(number.abs())
    digits = whole.cast(pl.Int64, strict=False).cast(pl.String).str.len_chars()
    return digits.cast(pl.Int64).fill_null(0)
