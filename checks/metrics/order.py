"""Whether samples stand in an order: equal labels side by side, labels or numbers that drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Order:
    """One sign of order. effect: 0 none, 1 all of it. p: its chance in a random order."""

    what: str
    effect: float
    p: float


def measure_runs(codes: Codes) -> Order:
    """Return how much oftener than by chance a sample's label is that of the one before it.

    effect: of the neighbours that would differ in a random order, the share that do not. p: one-
    sided, by the normal limit of the number of runs of several kinds.

    Args:
        codes: shape (N,), labels from 0 in the order of the samples; N at least 3.

    Source: Wald and Wolfowitz 1940; mean and variance for more than two kinds: Mood 1940.

    >>> measure_runs(np.array([0, 0, 0, 0, 1, 1, 1, 1])).effect
    0.75
    """
    from scipy.stats import norm  # noqa: PLC0415 - two thirds of a second

    size = codes.size
    counts = np.bincount(codes).astype(np.float64)
    second, third = float((counts**2).sum()), float((counts**3).sum())
    runs = 1 + int((codes[1:] != codes[:-1]).sum())
    mean = size + 1 - second / size
    variance = (second * (second + size * (size + 1)) - 2 * size * third - size**3) / (
        size**2 * (size - 1)
    )
    if variance <= 0:
        return Order("labels side by side", 0.0, 1.0)
    effect = max(0.0, (mean - runs) / (mean - 1))
    return Order("labels side by side", effect, float(norm.sf((mean - runs) / variance**0.5)))


def measure_label_drift(codes: Codes) -> Order:
    """Return how far the place of a sample in the order is explained by its label.

    effect: epsilon squared, the share of the variance of the places. p: Kruskal and Wallis 1952.

    Args:
        codes: shape (N,), labels from 0 in the order of the samples; N above the classes.

    >>> round(measure_label_drift(np.array([0, 0, 0, 0, 1, 1, 1, 1])).effect, 2)
    0.72
    """
    from scipy.stats import chi2  # noqa: PLC0415 - two thirds of a second

    size = codes.size
    counts = np.bincount(codes)
    sums = np.bincount(codes, weights=np.arange(1, size + 1))
    kept = counts > 0
    classes = int(kept.sum())
    if classes < 2 or size <= classes:  # noqa: PLR2004 - two that may lie apart
        return Order("labels drift", 0.0, 1.0)
    between = 12 / (size * (size + 1)) * float((sums[kept] ** 2 / counts[kept]).sum())
    rank = between - 3 * (size + 1)
    effect = max(0.0, (rank - classes + 1) / (size - classes))
    return Order("labels drift", effect, float(chi2.sf(rank, classes - 1)))


def measure_drift(axes: Numbers) -> Order:
    """Return how far the place of a sample is explained by the number that drifts most.

    effect: squared rank correlation of the place with the clearest of the A columns. p: by its
    normal limit, for all A of them (Bonferroni).

    Args:
        axes: shape (N, A), in the order of the samples; N at least 3.

    Source: Spearman 1904.

    >>> measure_drift(np.arange(9.0)[:, None]).effect
    1.0
    """
    from scipy.stats import norm, rankdata  # noqa: PLC0415 - two thirds of a second

    size = len(axes)
    places = np.arange(size) - (size - 1) / 2
    ranks = rankdata(axes, axis=0) - (size + 1) / 2
    spread = np.sqrt(np.square(ranks).sum(axis=0) * np.square(places).sum())
    rho = np.divide(places @ ranks, spread, out=np.zeros(ranks.shape[1]), where=spread > 0)
    best = float(np.abs(rho).max(initial=0.0))
    p = min(1.0, axes.shape[1] * 2 * float(norm.sf(best * (size - 1) ** 0.5)))
    return Order("features drift", round(best * best, 12), p)
