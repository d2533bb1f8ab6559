"""Numbers that describe brightness and colour, compiled: from histograms and sums to metrics.

Floats are added in one fixed order, so results are equal for one picture and for many.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled

PERCENTS = np.array([1, 5, 50, 95, 99])
LEVEL_METRICS = (
    "luma_mean", "luma_std", "luma_p01", "luma_p05", "luma_p50", "luma_p95", "luma_p99",
    "clip_low_frac", "clip_high_frac", "midtone_frac", "entropy_bits", "colourfulness",
    "coloured_frac",
)  # fmt: skip
_CLIP_LOW, _CLIP_HIGH = 2, 253  # brightness levels up to / from which a pixel counts as clipped
_MIDTONES = (64, 192)


@compiled
def _brightness(counts: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """Fill the first eleven places of LEVEL_METRICS; brightness and shares are 0..1."""
    n, total = counts.sum(), np.int64(0)
    for level in range(256):
        total += level * counts[level]
    mean = total / n
    variance, entropy, below, place = 0.0, 0.0, np.int64(0), 0
    for level in range(256):
        if counts[level] == 0:
            continue
        share = counts[level] / n
        variance += share * (level - mean) * (level - mean)
        entropy -= share * math.log2(share)
        below += counts[level]
        while place < PERCENTS.size and below * 100 >= PERCENTS[place] * n:
            out[2 + place] = level / 255
            place += 1
    out[0], out[1] = mean / 255, math.sqrt(variance) / 255
    out[7] = counts[: _CLIP_LOW + 1].sum() / n
    out[8] = counts[_CLIP_HIGH:].sum() / n
    out[9] = counts[_MIDTONES[0] : _MIDTONES[1]].sum() / n
    out[10] = abs(entropy)


@compiled
def _colourfulness(sums: NDArray[np.int64], n: int) -> float:
    """Return Hasler and Suesstrunk's colourfulness (2003, M3), in levels."""
    rg, yb = sums[0] / n, sums[2] / n / 2
    spread = max(0.0, sums[1] / n - rg * rg) + max(0.0, sums[3] / n / 4 - yb * yb)
    return math.sqrt(spread) + 0.3 * math.sqrt(rg * rg + yb * yb)


@compiled
def describe_levels(scanned_NK: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """Write LEVEL_METRICS of each picture to `out`, (N, 13).

    Args:
        scanned_NK: histograms of brightness and colour sums from `kernels`, no picture empty.
        out: for the metrics.

    >>> scanned, out = np.zeros((1, 265), np.int64), np.empty((1, 13))
    >>> scanned[0, [0, 255]] = 2
    >>> describe_levels(scanned, out)
    >>> dict(zip(LEVEL_METRICS, out[0].tolist()))["entropy_bits"]
    1.0
    """
    for i in range(scanned_NK.shape[0]):
        counts, sums = scanned_NK[i, :256], scanned_NK[i, 256:261]
        n = counts.sum()
        _brightness(counts, out[i])
        out[i, 11] = _colourfulness(sums, n)
        out[i, 12] = sums[4] / n
