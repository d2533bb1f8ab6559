"""How far predicted probabilities are from what happens: Brier score and calibration error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 15
_BIN_MIN = 10  # predictions; fewer tell nothing of their bin's accuracy


def brier_score(probs_TK: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the mean squared distance of the probabilities from the truth, 0 best .. 2 worst.

    Args:
        probs_TK: probabilities of K classes for T items, rows sum to 1.
        labels: (T,), 0..K - 1.

    Source: Brier 1950, the multi-class form. 0 of no items.

    >>> brier_score(np.array([[0.5, 0.5]]), np.array([1]))
    0.5
    """
    if labels.size == 0:
        return 0.0
    squares = np.square(probs_TK, dtype=np.float64).sum(axis=1)
    own = np.take_along_axis(probs_TK, labels[:, None], axis=1)[:, 0].astype(np.float64)
    return float((squares - 2 * own + 1).mean())


def calibration_error(
    probs_TK: NDArray[np.floating], labels: NDArray[np.int64], bins: int = BINS
) -> float:
    """Return the debiased expected calibration error of the predicted class, a fraction.

    Items are sorted by the confidence in their predicted class and cut into `bins` of equal mass
    (fewer where a bin would hold under 10 items); the error is the mean over items of
    |confidence - accuracy| of their bin. Chance alone makes that positive: what it adds, by the
    normal approximation of each bin's accuracy, is taken off. Of a calibrated model that is two
    fifths of what chance makes, of one that is far off all of it; a little less than 0 may remain.
    Source: Kumar et al. 2019 (arXiv 1909.10155), the debiased estimator, its expectation in
    closed form (folded normal). 0 of no items.

    >>> sure = np.tile([0.9, 0.1], (100, 1))
    >>> round(calibration_error(sure, np.repeat([0, 1], [50, 50]), bins=1), 3)
    0.4
    """
    items = labels.size
    if items == 0:
        return 0.0
    confidence = probs_TK.max(axis=1).astype(np.float64)
    right = (probs_TK.argmax(axis=1) == labels).astype(np.float64)
    order = np.argsort(confidence, kind="stable")
    total = 0.0
    for part in np.array_split(order, max(1, min(bins, items // _BIN_MIN))):
        accuracy, count = float(right[part].mean()), part.size
        gap = abs(float(confidence[part].mean()) - accuracy)
        noise = math.sqrt(accuracy * (1 - accuracy) / max(1, count - 1))
        total += count * (2 * gap - _expected_distance(gap, noise))
    return total / items


def _expected_distance(gap: float, noise: float) -> float:
    """Return E|x| of a normal x around `gap` with standard deviation `noise`."""
    if noise == 0:
        return gap
    z = gap / noise
    density = math.exp(-z * z / 2) * math.sqrt(2 / math.pi)
    return noise * density + gap * math.erf(z / math.sqrt(2))
