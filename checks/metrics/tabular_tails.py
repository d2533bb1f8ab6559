"""How far out a number may lie before it is none of its column's, from a few of its quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, log

import polars as pl

_HALVINGS = 20  # of 0..1: the power is then known to six digits
_NORMAL = 2.44  # how much further the 95th percentile of a normal distribution is than the 75th


@dataclass(frozen=True, slots=True)
class Tails:
    """Where the numbers of a column end.

    low, high: of the numbers above zero, or of all where some are not. below: of the numbers
    under zero, where none should be.
    """

    low: float
    high: float
    below: float | None = None

    def outside(self, number: pl.Expr) -> pl.Expr:
        """Whether a number lies beyond; false for null. Zero is beyond no bound of its own."""
        if self.below is None:
            return ((number > self.high) | (number < self.low)).fill_null(value=False)
        small = (number < self.low) & (number > 0)
        return ((number > self.high) | small | (number < self.below)).fill_null(value=False)


def find_tails(shares: Mapping[str, float], ratio: float) -> Tails | None:
    """Return the bounds past which a number is an outlier; None where the numbers hardly differ.

    Args:
        shares: p01, p05, p25, p50, p75, p95, p99 of the numbers, as far as they are known.
        ratio: how far past the 95th (5th) percentile, in its distances from the median: 2 is 4.9
            standard deviations of a normal distribution.

    Numbers above zero are first bent by the power between 0 (their logarithm) and 1 (as they are)
    at which both percentiles are equally far from the median; of others, each side's distances
    are bent as far as the quartile is from where a normal distribution has it. So an exponential or
    lognormal tail stays inside, and up to 5 % of wrong numbers on one side move nothing.

    Source: ours; percentile distances as in Hampel's identifier, the power as in Box and Cox 1964,
    fitted to quantiles after Hinkley 1975.

    >>> find_tails({"p05": 20.0, "p25": 36.0, "p50": 40.0, "p75": 45.0, "p95": 60.0}, 2.0).high
    100.0
    """
    middle = shares.get("p50", 0.0)
    low = next((shares[q] for q in ("p05", "p01") if shares.get(q, middle) < middle), middle)
    high = next((shares[q] for q in ("p95", "p99") if shares.get(q, middle) > middle), middle)
    if not low < middle < high:
        return None
    if low <= 0:
        return Tails(middle - _reach(shares, "p25", middle - low, ratio),
                     middle + _reach(shares, "p75", high - middle, ratio))  # fmt: skip
    power = _power(low, middle, high)
    floor, centre, top = (_bend(bound, power) for bound in (low, middle, high))
    return Tails(
        _unbend(floor - ratio * (centre - floor), power),
        _unbend(top + ratio * (top - centre), power), min(low - ratio * (middle - low), 0.0),
    )  # fmt: skip


def _reach(shares: Mapping[str, float], quartile: str, far: float, ratio: float) -> float:
    """How far a side goes: (1 + ratio) times its percentile, more where its tail is heavy."""
    near = abs(shares.get(quartile, shares["p50"]) - shares["p50"])
    power = min(max(log(_NORMAL) / log(far / near), 0.1), 1.0) if 0 < near < far else 1.0
    # bent twice: once makes the quartile right, the tail of a lognormal is heavier yet
    reach: float = far * (1 + ratio) ** (1 / power**2)
    return reach


def _bend(number: float, power: float) -> float:
    bent: float = log(number) if power == 0 else number**power
    return bent


def _unbend(bent: float, power: float) -> float:
    if power == 0:
        return exp(min(bent, 700.0))
    number: float = bent ** (1 / power) if bent > 0 else 0.0
    return min(number, inf)


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
