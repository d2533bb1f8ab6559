"""What each train sample is worth to its neighbours: exact Shapley values in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checks.metrics.threads import one_thread

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
CELLS = 1 << 20  # distances that are sorted at a time
PLACE_BITS = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Worth:
    """What N train samples are worth on M test samples.

    total: shape (N,), sum over the test samples of the Shapley value, each -1..1.
    square: shape (N,), sum of its squares. asked: shape (N,), test samples that have it among
    their K nearest. against: those of them that bear another label. utility: sum over the test
    samples of the share of their K nearest that bear their label.
    """

    total: Values
    square: Values
    asked: Ints
    against: Ints
    utility: float


@one_thread()
def value_neighbours(
    train: Floats, labels: Ints, test: Floats, given: Ints, neighbour_count: int
) -> Worth:
    """Return the exact Shapley values of the train samples for a K nearest neighbours' vote.

    The utility of a set S of train samples on one test sample is the number of its min(K, |S|)
    nearest in S that bear its label, divided by K. Ordered by distance, 1 the nearest and N the
    farthest, with a_i = 1 where i bears the label of the test sample:

        s_N = a_N min(K, N) / (N K);   s_i = s_(i+1) + (a_i - a_(i+1)) min(K, i) / (i K)

    The values sum to the utility of all samples; that of none is 0.

    Args:
        train: shape (N, D). Of equally far ones the one that comes first is the nearer.
        labels: shape (N,), from 0.
        test: shape (M, D).
        given: shape (M,), labels of the test samples.
        neighbour_count: K, at least 1.

    Source: Jia et al. 2019, arXiv 1908.08619, theorem 1 (there for N >= K).
    Cost: O(M N (D + log N)); memory some 50 MB, whatever N and M, but for N above a million.

    >>> points = np.array([[0.0], [1.0], [4.0]], np.float32)
    >>> worth = value_neighbours(points, np.array([0, 1, 0]), points[:1], np.array([0]), 1)
    >>> worth.total.round(3).tolist(), worth.utility
    ([0.833, -0.167, 0.333], 1.0)
    """
    count = len(train)
    near = min(neighbour_count, count)
    places = np.arange(1, count + 1)
    shares = np.minimum(neighbour_count, places) / (places * neighbour_count)
    total, square = np.zeros(count), np.zeros(count)
    asked, against = np.zeros(count, np.int64), np.zeros(count, np.int64)
    utility, step = 0, max(1, CELLS // max(count, 1))
    norms = np.einsum("ij,ij->i", train, train)
    for start in range(0, len(test), step):
        order = _sort(test[start : start + step], train, norms)
        agrees = labels[order] == given[start : start + step, None]
        for nearest_first, one in zip(order, _accumulate(agrees, shares), strict=True):
            total[nearest_first] += one
            square[nearest_first] += one * one
        first = order[:, :near]
        asked += np.bincount(first.ravel(), minlength=count)
        against += np.bincount(first[~agrees[:, :near]], minlength=count)
        utility += int(agrees[:, :near].sum())
    return Worth(total, square, asked, against, utility / neighbour_count)


def _sort(queries: Floats, train: Floats, norms: Floats) -> Ints:
    """Places of the train samples, nearest first: distance and place in one number, then sorted."""
    own = np.einsum("ij,ij->i", queries, queries)[:, None]
    away = np.maximum(own + norms - 2 * (queries @ train.T), np.float32(0)) + np.float32(0)
    keys = away.view(np.uint32).astype(np.uint64) << PLACE_BITS
    keys |= np.arange(len(train), dtype=np.uint64)
    keys.sort(axis=1)
    order: Ints = keys.astype(np.uint32).astype(np.int64)
    return order


def _accumulate(agrees: npt.NDArray[np.bool_], shares: Values) -> Values:
    """The Shapley values of each row, nearest first: shape (B, N)."""
    value = agrees.astype(np.float64)
    value[:, :-1] -= agrees[:, 1:]
    value *= shares
    summed: Values = value[:, ::-1].cumsum(axis=1)[:, ::-1]
    return summed
