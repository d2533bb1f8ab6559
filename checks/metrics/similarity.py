"""What lies close together: star groups around what is kept, neighbours among vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from checks.metrics.compiled import compiled
from checks.metrics.threads import one_thread


def star_groups(pairs: npt.NDArray[np.int64], rank: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the keeper of each item: star groups, so that every member is close to its keeper.

    Items are visited from the best rank down; one that no keeper has taken becomes a keeper and
    takes its free neighbours. Chains a-b-c therefore never join a and c that are far apart.

    Args:
        pairs: shape (P, 2), int64, indices into `rank`.
        rank: shape (N,), int64, all different; the smallest is kept first.

    Returns:
        Shape (N,), int64: the index of the keeper, an item's own index where it stands alone.

    >>> star_groups(np.array([[0, 1], [1, 2]]), np.array([0, 1, 2])).tolist()
    [0, 0, 2]
    """
    count = rank.size
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    starts = np.searchsorted(both[:, 0], np.arange(count + 1))
    keepers: npt.NDArray[np.int64] = _take_free(
        np.argsort(rank, kind="stable"), starts, np.ascontiguousarray(both[:, 1])
    )
    return keepers


@compiled
def _take_free(
    order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], near: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    keeper = np.full(order.size, -1, np.int64)
    for item in order:
        if keeper[item] < 0:
            keeper[item] = item
            for other in near[starts[item] : starts[item + 1]]:
                if keeper[other] < 0:
                    keeper[other] = item
    return keeper


@one_thread()
def nearest(
    queries: npt.NDArray[np.float32],
    references: npt.NDArray[np.float32],
    own: npt.NDArray[np.int64],
    count: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the `count` nearest references of each query, nearest first (Euclidean, exact).

    Args:
        queries: shape (N, D).
        references: shape (R, D); R at least `count` + 1.
        own: shape (N,), int64: the query's own place among the references, which is left out;
            -1 where it is not one of them.
        count: neighbours, at least 1.

    Returns:
        Indices into `references` and distances, both of shape (N, count).

    Of equally far ones the one that comes first is the nearer.

    Cost: O(N * R * D) in blocks of at most 512 queries; memory 2 kB a reference up to 128 MB.

    >>> points = np.array([[0.0], [1.0], [5.0]], np.float32)
    >>> nearest(points, points, np.arange(3), 1)[0].ravel().tolist()
    [1, 0, 1]
    """
    found = np.empty((len(queries), count), np.int64)
    away = np.empty((len(queries), count), np.float32)
    norms = np.einsum("ij,ij->i", references, references)
    size = max(16, min(512, (1 << 25) // len(references)))
    for start in range(0, len(queries), size):
        rows = slice(start, start + size)
        block, mine = queries[rows], own[rows]
        gap = norms - 2 * (block @ references.T)
        here = np.flatnonzero(mine >= 0)
        gap[here, mine[here]] = np.inf
        _keep_smallest(gap, found[rows], away[rows])
        squares = np.einsum("ij,ij->i", block, block)[:, None]
        away[rows] = np.sqrt(np.maximum(away[rows] + squares, 0))
    return found, away


@compiled
def _keep_smallest(
    values: npt.NDArray[np.float32], places: npt.NDArray[np.int64], kept: npt.NDArray[np.float32]
) -> None:
    """Write the smallest of each row, ascending, and their places: ten times argpartition's pace.

    Next to nothing is moved: the n-th value is among the k smallest so far k times in n.
    """
    count = kept.shape[1]
    for row in range(values.shape[0]):
        last = np.float32(np.inf)
        for place in range(values.shape[1]):
            value = values[row, place]
            if place >= count and not value < last:
                continue
            at = min(place, count - 1)
            while at > 0 and kept[row, at - 1] > value:
                kept[row, at], places[row, at] = kept[row, at - 1], places[row, at - 1]
                at -= 1
            kept[row, at], places[row, at] = value, place
            last = kept[row, count - 1] if place >= count - 1 else last


def draw_references(
    places: npt.NDArray[np.int64], most: int, total: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw the samples among which `nearest` looks, and tell each sample its own place there.

    Args:
        places: of the samples that may be drawn, ascending, 0..total - 1.
        most: at most so many are drawn.
        total: N, all samples that are asked about.
        seed: of the draw.

    Returns:
        The places drawn, ascending, shape (R,), and `own` as `nearest` takes it, shape (N,).

    >>> [part.tolist() for part in draw_references(np.array([1, 2]), 5, 3, 0)]
    [[1, 2], [-1, 0, 1]]
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(places)[:most]).astype(np.int64)
    own = np.full(total, -1, np.int64)
    own[drawn] = np.arange(drawn.size)
    return drawn, own
