"""Looking at the runs more than once: stop early without raising the rate of false alarms.

The O'Brien-Fleming type spending function of Lan and DeMets (Biometrika 1983, 70:659) hands out
alpha over the planned looks: hardly any at a first look, nearly all of it at the last. Each
look's bound is found by recursive integration over the paths that went on (Armitage, McPherson
and Rowe 1969) and used as a nominal level, so that it holds for t statistics of few seeds too
(Jennison and Turnbull 2000, section 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from scipy import optimize, stats

from training.errors import TrainingError
from training.statistics import Floats, Interval, t_interval

LOOKS = (6, 12, 24)
_NODES = 128


@dataclass(frozen=True, slots=True)
class Look:
    """What one look says.

    level: the two-sided p value that had to be undercut here. adjusted: the repeated interval, of
    which those of all looks together hold the truth at 1 - alpha; its p is the nominal one.
    """

    word: Literal["stop", "continue"]
    significant: bool
    level: float
    adjusted: Interval


def spend(share: float, alpha: float = 0.05) -> float:
    """Return the alpha spent when `share` (0..1) of the seeds are in, half of it on each side.

    >>> round(spend(0.5), 4), round(spend(1.0), 4)
    (0.0031, 0.05)
    """
    return float(4 * stats.norm.sf(stats.norm.isf(alpha / 4) / share**0.5))


def boundaries(looks: Sequence[int] = LOOKS, alpha: float = 0.05) -> list[float]:
    """Return the two-sided nominal level of each look at these seed counts.

    Raises:
        TrainingError: if the counts do not rise, or one is below 2.

    >>> [round(level, 5) for level in boundaries()]
    [1e-05, 0.00305, 0.049]
    """
    return list(_find_levels(tuple(looks), alpha))


@cache
def _find_levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    counts = np.asarray(looks, np.float64)
    if counts.size == 0 or counts[0] < 2 or (np.diff(counts) <= 0).any():  # noqa: PLR2004
        raise TrainingError(
            "experiment", "looks must rise from at least 2 seeds", got=list(looks),
            advice="Name the seed counts of the looks, such as 6, 12, 24.",
        )  # fmt: skip
    shares = counts / counts[-1]
    levels, spent, nodes = [], 0.0, np.zeros(1)
    weights, before = np.ones(1), 0.0
    places, widths = np.polynomial.legendre.leggauss(_NODES)
    for share in shares:
        gap = (share - before) ** 0.5  # of the score process, whose variance is the share
        due = spend(share, alpha) - spent
        bound = _find_bound(nodes, weights, gap, due)
        levels.append(float(2 * stats.norm.sf(bound / share**0.5)))
        grid = bound * places
        weights = bound * widths * (stats.norm.pdf(grid[:, None], nodes[None], gap) @ weights)
        nodes, spent, before = grid, spend(share, alpha), share
    return tuple(levels)


def _find_bound(nodes: Floats, weights: Floats, gap: float, due: float) -> float:
    """Return the score that exactly `due` of the paths exceed, in either direction."""

    def excess(bound: float) -> float:
        upper = stats.norm.sf(bound, nodes, gap) + stats.norm.cdf(-bound, nodes, gap)
        return float(upper @ weights) - due

    return float(optimize.brentq(excess, 1e-6, 20.0, xtol=1e-12))


def look(d: Floats, looks: Sequence[int] = LOOKS, alpha: float = 0.05) -> Look:
    """Judge the paired differences at the look of this size; stop if they differ from zero.

    Args:
        d: (S,), S one of `looks`: all seeds so far.
        looks: the seed counts that were planned before the first run.
        alpha: the rate of false alarms of all looks together.

    The last look always stops.

    Raises:
        TrainingError: if no look was planned at this count.

    >>> look(np.array([0.010, 0.011, 0.0102, 0.0098, 0.0107, 0.0101])).word
    'stop'
    """
    d = np.asarray(d, np.float64)
    if d.size not in looks:
        raise TrainingError(
            "experiment", "no look was planned at this count of seeds", got=d.size,
            allowed=f"Looks: {', '.join(map(str, looks))}.",
        )  # fmt: skip
    level = boundaries(looks, alpha)[list(looks).index(d.size)]
    se = float(d.std(ddof=1)) / d.size**0.5
    adjusted = t_interval(float(d.mean()), se, d.size - 1, d.size, 1 - level)
    significant = adjusted.p < level
    last = d.size == looks[-1]
    return Look("stop" if significant or last else "continue", significant, level, adjusted)
