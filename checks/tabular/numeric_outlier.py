"""Flag numbers far beyond all others."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import confirmed, expect, suggest
from checks.metrics.tabular_profile import ColumnProfile, TableProfile

_FEW = 10
_NORMAL = 2.44  # how much further the 95th percentile of a normal distribution is than the 75th
_CODE_MIN, _WHOLE_MIN = 4, 0.98
_HALVINGS = 20  # of 0..1: the power is then known to six digits


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

    Much: `tail_ratio_max` times that distance, 4.9 standard deviations of a normal distribution.
    Numbers above zero are first bent by the power between 0 (their logarithm) and 1 (as they are)
    at which both percentiles are equally far from the median: an exponential or lognormal tail
    stays unflagged. Distances of signed numbers are bent until the quartile lies where a normal
    distribution has it. In a column of codes (98 % have one length, of 4 digits or more) only a
    number of another length is judged. Up to 5 % of wrong numbers on one side do not move the bounds. Zeros are left
    out where they are more than a tenth. What the row's other cells confirm (the seats of its
    aircraft) is no outlier.

    Why: one such value can own a column's mean, its scaling and the gradient.
    Source: ours; percentile distances as in Hampel's identifier, the power as in Box and Cox 1964,
    fitted to quantiles after Hinkley 1975.
    """
    expected = expect(profile)
    rules = []
    for column in profile.features:
        score = _score(column)
        if score is not None:
            far = (score > tail_ratio_max).fill_null(value=False)
            rules.append(
                CellRule(column.name, far & ~confirmed(expected, column.name),
                         "far beyond all but a few of the column's numbers", column.number,
                         tail_ratio_max, suggest(expected, column.name))
            )  # fmt: skip
    return rules


def _score(column: ColumnProfile) -> pl.Expr | None:
    """How far past the percentiles, in units of their distance from the median."""
    if column.kind != "number" or column.distinct_count < _FEW:
        return None
    zeros = column.zero_count > 0.1 * column.number_count
    shares = column.nonzero_quantiles if zeros else column.quantiles
    bounds = _bounds(shares)
    if bounds is None:
        return None
    low, middle, high = bounds
    number = column.number
    if low <= 0:
        up, down = number - middle, middle - number
        return pl.max_horizontal(
            (up / (high - middle)).pow(_heaviness(shares, "p75", high)) - 1,
            (down / (middle - low)).pow(_heaviness(shares, "p25", low)) - 1,
        )
    power = _power(low, middle, high)
    floor, centre, top = (_bend(bound, power) for bound in bounds)
    bent = number.log() if power == 0 else number.pow(power)
    positive = pl.max_horizontal((bent - top) / (top - centre), (floor - bent) / (centre - floor))
    # zero is no number of a column that has none: it stands for something, others judge it
    negative = (low - number) / (high - low if zeros else middle - low)
    score = pl.when(number > 0).then(positive).when(number < 0).then(negative)
    digits = _code_length(column)
    return score if digits is None else pl.when(_length(number) != digits).then(score)


def _bounds(shares: Mapping[str, float]) -> tuple[float, float, float] | None:
    """The 5th, 50th and 95th percentile; the outermost ones where those are the median itself."""
    middle = shares.get("p50", 0.0)
    low = next((shares[q] for q in ("p05", "p01") if q in shares and shares[q] < middle), middle)
    high = next((shares[q] for q in ("p95", "p99") if q in shares and shares[q] > middle), middle)
    return (low, middle, high) if low < middle < high else None


def _bend(number: float, power: float) -> float:
    return log(number) if power == 0 else number**power


def _power(low: float, middle: float, high: float) -> float:
    """The power in 0..1 that puts `middle` in the middle of the others, or comes nearest to it."""

    def lean(power: float) -> float:
        below, centre, above = (_bend(x / middle, power) for x in (low, middle, high))
        return (above - centre) - (centre - below)

    if lean(1.0) <= 0:
        return 1.0
    if lean(0.0) >= 0:
        return 0.0
    under, over = 0.0, 1.0
    for _ in range(_HALVINGS):
        half = (under + over) / 2
        under, over = (half, over) if lean(half) < 0 else (under, half)
    return round(over, 6)


def _heaviness(shares: Mapping[str, float], quartile: str, bound: float) -> float:
    """The power in 0.1..1 that makes a side's distances from the median a normal distribution's."""
    middle = shares["p50"]
    near, far = abs(shares[quartile] - middle), abs(bound - middle)
    if not 0 < near < far:
        return 1.0
    return round(min(max(log(_NORMAL) / log(far / near), 0.1), 1.0), 6)


def _code_length(column: ColumnProfile) -> int | None:
    """How many digits nearly all of the most frequent numbers have, if 4 or more: they are codes."""
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
    """How many digits a whole number has; null for a fraction."""
    whole = pl.when((number == number.floor()) & (number.abs() < 1e15)).then(number.abs())
    return whole.cast(pl.Int64).cast(pl.String).str.len_chars().cast(pl.Int64).fill_null(0)
