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
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import optimize, special

from training.errors import TrainingError
from training.statistics import Floats, Interval, spread, t_interval

LOOKS = (6, 12, 24)
_NODES = 128
_ALPHAS = (1e-9, 0.999)  # of `repeated_p`


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
    return float(4 * special.ndtr(special.ndtri(alpha / 4) / share**0.5))


def boundaries(looks: Sequence[int] = LOOKS, alpha: float = 0.05) -> list[float]:
    """Return the two-sided nominal level of each look at these seed counts.

    Raises:
        TrainingError: if the counts do not rise, or one is below 2.

    >>> [round(level, 5) for level in boundaries()]
    [1e-05, 0.00305, 0.049]
    """
    return list(_find_levels(tuple(looks), alpha))


@lru_cache(maxsize=64)
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
        levels.append(float(2 * special.ndtr(-bound / share**0.5)))
        grid = bound * places
        moved = (grid[:, None] - nodes[None]) / gap
        density = np.exp(-(moved**2) / 2) / (gap * (2 * np.pi) ** 0.5)
        weights = bound * widths * (density @ weights)
        nodes, spent, before = grid, spend(share, alpha), share
    return tuple(levels)


def _find_bound(nodes: Floats, weights: Floats, gap: float, due: float) -> float:
    """Return the score that exactly `due` of the paths exceed, in either direction."""

    def excess(bound: float) -> float:
        beyond = special.ndtr((nodes - bound) / gap) + special.ndtr((-bound - nodes) / gap)
        return float(beyond @ weights) - due

    return float(optimize.brentq(excess, 1e-6, 20.0, xtol=1e-12))


def repeated_p(p: float, count: int, looks: Sequence[int] = LOOKS) -> float:
    """Return a two-sided p value of the look at `count` seeds, adjusted for all planned looks.

    It is the least alpha at which this look would stop: below alpha exactly where p undercuts the
    look's level at that alpha, whatever the looks before it said. From 1e-9 to 1.

    Raises:
        TrainingError: if no look was planned at this count.

    Source: repeated p values, Jennison and Turnbull 2000, chapter 9.

    >>> round(repeated_p(0.049, 24), 3), round(repeated_p(0.049, 6), 2)
    (0.05, 0.52)
    """
    at = _place(count, looks)

    def excess(log_alpha: float) -> float:
        return boundaries(looks, float(np.exp(log_alpha)))[at] - p

    least, most = (float(np.log(alpha)) for alpha in _ALPHAS)
    if excess(most) <= 0:
        return 1.0
    if excess(least) >= 0:
        return _ALPHAS[0]
    return float(np.exp(optimize.brentq(excess, least, most, xtol=1e-10)))


def _place(count: int, looks: Sequence[int]) -> int:
    """Return which of the planned looks this is, from 0."""
    if count not in looks:
        raise TrainingError(
            "experiment", "no look was planned at this count of seeds", got=count,
            allowed=f"Looks: {', '.join(map(str, looks))}.",
        )  # fmt: skip
    return list(looks).index(count)


def look(
    d: Floats, looks: Sequence[int] = LOOKS, alpha: float = 0.05, *, grain: float = 0.0
) -> Look:
    """Judge the paired differences at the look of this size; stop if they differ from zero.

    Args:
        d: (S,), S one of `looks`: all seeds so far.
        looks: the seed counts that were planned before the first run.
        alpha: the rate of false alarms of all looks together.
        grain: the step in which d is read, see `training.statistics.spread`.

    The last look always stops.

    Raises:
        TrainingError: if no look was planned at this count.

    >>> look(np.array([0.010, 0.011, 0.0102, 0.0098, 0.0107, 0.0101])).word
    'stop'
    """
    d = np.asarray(d, np.float64)
    level = boundaries(looks, alpha)[_place(d.size, looks)]
    se = spread(d, np.zeros_like(d), grain) / d.size**0.5
    adjusted = t_interval(float(d.mean()), se, d.size - 1, d.size, 1 - level)
    significant = adjusted.p < level
    last = d.size == looks[-1]
    return Look("stop" if significant or last else "continue", significant, level, adjusted)
