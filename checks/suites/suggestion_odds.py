"""How far a share may be trusted, and how many broken rows a clean batch has by chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

ONE_SIDED_95, ALARM_MAX = 1.6448536269514722, 0.01
_DEVIATIONS, _EXTRA = 12, 40  # of the mean, that are computed: less than 1 in 10^12 lies beyond
_DIGITS = 2  # of a tolerance


def bound_share(failures: int, rows: int) -> float:
    """Return the largest share of rows, 0..1, that `failures` in `rows` leave likely.

    Wilson's upper bound, one-sided, 95 %; 1 for no rows.

    Source: Wilson 1927, as Deequ's rule RetainCompleteness takes it.

    >>> round(bound_share(0, 1000), 5), round(bound_share(50, 1000), 5)
    (0.0027, 0.0626)
    """
    if not rows:
        return 1.0
    z2, share = ONE_SIDED_95**2, failures / rows
    spread = math.sqrt(z2 * (share * (1 - share) / rows + z2 / (4 * rows**2)))
    return min(1.0, (share + z2 / (2 * rows) + spread) / (1 + z2 / rows))


@dataclass(frozen=True, slots=True)
class Foresight:
    """How many rows of a clean batch break a rule.

    batch_rows: of the batch. beyond[i]: chance of more than `first + i` rows, Float64, 0..1.
    """

    batch_rows: int
    first: int
    beyond: NDArray[np.float64]

    def chance(self, tolerance: float) -> float:
        """Return how likely more than the share `tolerance`, 0..1, of the rows break the rule."""
        place = math.floor(tolerance * self.batch_rows + 1e-9) - self.first
        if place < 0:
            return 1.0
        return float(self.beyond[min(place, self.beyond.size - 1)])

    def tolerance(self) -> float:
        """Return the least share of rows, two digits, that 99 of 100 clean batches keep to."""
        enough = int(np.argmax(self.beyond <= ALARM_MAX))
        return round_up((self.first + enough) / self.batch_rows)


def foresee(failures: int, rows: int, batch_rows: int, *, may_never: bool) -> Foresight:
    """Return how many broken rows a batch has that is drawn as the rows were that were looked at.

    Args:
        failures: rows that broke the rule.
        rows: all that were looked at.
        batch_rows: of the batch, at least 1.
        may_never: the rule may hold without exception. Then, if no row broke it, no row ever does
            with the odds that the rows leave to it, which were even before.

    A beta-binomial distribution after Jeffreys' prior, Beta(1/2, 1/2).

    Source: Brown, Cai and DasGupta 2001 for the prior, Jeffreys 1961 for even odds of a point.

    >>> foresee(0, 1000, 1000, may_never=False).beyond[:3].round(3).tolist()
    [0.293, 0.116, 0.05]
    >>> foresee(0, 1000, 1000, may_never=True).beyond[:3].round(4).tolist()
    [0.0051, 0.002, 0.0009]
    """
    a, b, m = failures + 0.5, rows - failures + 0.5, batch_rows
    mean = m * a / (a + b)
    spread = math.sqrt(mean * b / (a + b) * (a + b + m) / (a + b + 1))
    first = max(0, math.floor(mean - _DEVIATIONS * spread))
    k = np.arange(first, min(m, math.ceil(mean + _DEVIATIONS * spread) + _EXTRA) + 1)
    ways = gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)
    chance = np.exp(ways + betaln(k + a, m - k + b) - betaln(a, b))
    beyond = np.clip(1 - np.cumsum(chance), 0, 1)
    beyond[-1] = 0.0
    if may_never and not failures:
        no_row = math.exp(betaln(0.5, rows + 0.5) - betaln(0.5, 0.5))
        beyond = beyond * no_row / (1 + no_row)
    return Foresight(m, first, beyond)


def round_up(share: float) -> float:
    """Return `share` with two digits, not below it.

    >>> round_up(0.01234), round_up(0.5), round_up(0.0)
    (0.013, 0.5, 0.0)
    """
    if share <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(share)) - _DIGITS + 1)
    places = math.ceil(share / step - 1e-9)
    rounded = float(f"{places * step:.{_DIGITS}g}")
    return rounded if rounded >= share else float(f"{(places + 1) * step:.{_DIGITS}g}")


def percent(share: float) -> str:
    """Return a share, 0..1, in per cent, two digits or more.

    >>> percent(0.000083), percent(0.5), percent(0.0), percent(0.99999)
    ('0.0083 %', '50 %', '0 %', '99.999 %')
    """
    if not 0 < share < 1:
        return f"{share:.0%}".replace("%", " %")
    if share > 0.99:  # noqa: PLR2004 - what is missing to the whole counts
        return f"{100 * share:.6g} %"
    return f"{float(f'{100 * share:.2g}'):.10g} %" if share >= 1e-6 else "under 0.0001 %"  # noqa: PLR2004


def number(value: float) -> str:
    """Return a number as a person reads it, six digits where it has a fraction.

    >>> number(1990.0), number(32561.0), number(0.1234567), number(1e300)
    ('1990', '32,561', '0.123457', '1e+300')
    """
    if value == round(value) and abs(value) < 1e15:  # noqa: PLR2004 - beyond, floats have gaps
        return f"{value:.0f}" if abs(value) < 10_000 else f"{value:,.0f}"  # noqa: PLR2004
    return f"{value:.6g}"
