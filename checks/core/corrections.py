"""P values corrected for how many questions were asked."""

from __future__ import annotations


def adjust_holm(chances: list[float]) -> list[float]:
    """Return p values adjusted for having asked all of them (Holm 1979), in the order given.

    >>> adjust_holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(chances)), key=lambda at: chances[at])
    adjusted, least = [0.0] * len(chances), 0.0
    for rank, at in enumerate(order):
        least = max(least, min(1.0, (len(chances) - rank) * chances[at]))
        adjusted[at] = least
    return adjusted


def adjust_benjamini(chances: list[float]) -> list[float]:
    """Return p values adjusted so that a bound on them bounds the share of false ones.

    Source: Benjamini and Hochberg 1995.

    >>> adjust_benjamini([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.03]
    """
    order = sorted(range(len(chances)), key=lambda at: chances[at], reverse=True)
    adjusted, least = [1.0] * len(chances), 1.0
    for rank, at in enumerate(order):
        least = min(least, chances[at] * len(chances) / (len(chances) - rank))
        adjusted[at] = least
    return adjusted
