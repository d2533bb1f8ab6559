"""Order statistics and a histogram of numbers with their counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHARES = {"p01": 1, "p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99}


class Weighted(NamedTuple):
    """Finite numbers, ascending, and how many rows hold each: Float64 and Int64, shape (N,)."""

    keys: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Rows that hold a number."""
        return int(self.counts.sum())

    def pick(self, chosen: NDArray[np.bool_]) -> Weighted:
        """Return the numbers that are `chosen`."""
        return Weighted(self.keys[chosen], self.counts[chosen])


NOTHING = Weighted(np.zeros(0, np.float64), np.zeros(0, np.int64))


def weigh(keys: NDArray[np.float64], counts: NDArray[np.int64]) -> Weighted:
    """Return numbers in any order, some perhaps equal, as ascending ones.

    >>> weigh(np.array([2.0, 1.0, 2.0]), np.array([1, 5, 1])).counts.tolist()
    [5, 2]
    """
    distinct, place = np.unique(keys, return_inverse=True)
    summed = np.zeros(distinct.size, np.int64)
    np.add.at(summed, place, counts)
    return Weighted(distinct, summed)


def quantiles(numbers: Weighted) -> dict[str, float]:
    """Return the order statistics p01 to p99, each one of the numbers; {} if there are none.

    >>> quantiles(Weighted(np.array([1.0, 5.0]), np.array([3, 1])))["p95"]
    5.0
    """
    if not numbers.keys.size:
        return {}
    upto = numbers.counts.cumsum()
    # rank = ceil(share * total), in integers
    ranks = [max(-(-share * int(upto[-1]) // 100), 1) for share in SHARES.values()]
    places = np.searchsorted(upto, ranks, side="left")
    return dict(zip(SHARES, numbers.keys[places].tolist(), strict=True))


def histogram(
    numbers: Weighted, bounds: dict[str, float], bins: int = 20
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return (edges, counts) over p01..p99; the outer bins also hold what lies beyond."""
    if not numbers.keys.size:
        return (), ()
    low, high = bounds["p01"], bounds["p99"]
    if low == high:
        low, high = float(numbers.keys[0]), float(numbers.keys[-1])
    if not 0 < high - low < float("inf"):
        return (low, high), (numbers.total,)
    place = np.clip(np.floor((numbers.keys - low) / (high - low) * bins), 0, bins - 1)
    filled = np.zeros(bins, np.int64)
    np.add.at(filled, place.astype(np.int64), numbers.counts)
    edges = tuple(low + (high - low) * i / bins for i in range(bins + 1))
    return edges, tuple(filled.tolist())
