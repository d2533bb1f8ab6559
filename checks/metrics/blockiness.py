"""How far JPEG's grid of 8 x 8 blocks shows in grey pixels, whatever the file says of itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled
from checks.metrics.ranks import select

_BLOCK, _LEAST_PX = 8, 64  # below 8 blocks a side one edge of the picture passes for a grid
_STEP = 5  # every fifth row, or a fifth of each row: 5 keeps no step with 8
_FLOOR = 0.5  # grey levels: a step between flat blocks is no larger than what rounding leaves


@compiled
def _add_steps(
    first_W: NDArray[np.uint8], second_W: NDArray[np.uint8], sums_W: NDArray[np.int32]
) -> None:
    for x in range(sums_W.size):
        sums_W[x] += max(first_W[x], second_W[x]) - min(first_W[x], second_W[x])


@compiled
def grid_steps(grey_HW: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean step between neighbours by place in the grid, in grey levels: (2, 8).

    [0, k]: from each column x with x % 8 == k to the next, in every fifth row. [1, k]: from each
    row y with y % 8 == k to the next, in that fifth of the columns whose turn it is (y % 5).
    H and W are at least 9.
    """
    height, width = grey_HW.shape
    part = width // _STEP
    across, down = np.zeros(width - 1, np.int32), np.zeros((_BLOCK, part), np.int32)
    for y in range(0, height, _STEP):
        _add_steps(grey_HW[y], grey_HW[y, 1:], across)
    for y in range(height - 1):
        left = y % _STEP * part
        right = left + part
        _add_steps(grey_HW[y, left:right], grey_HW[y + 1, left:right], down[y % _BLOCK])
    out = np.zeros((2, _BLOCK))
    rows = (height + _STEP - 1) // _STEP
    for k in range(_BLOCK):
        out[0, k] = across[k::_BLOCK].sum() / (rows * across[k::_BLOCK].size)
        out[1, k] = down[k].sum() / (part * ((height - 1 - k + _BLOCK - 1) // _BLOCK))
    return out


@compiled
def measure_blockiness(grey_HW: NDArray[np.uint8], scale: int) -> float:
    """Return how much larger steps are at one place of the 8 px grid than at any other.

    Args:
        grey_HW: levels 0..255, H x W.
        scale: by how much the pixels were reduced; only at 1 is there a grid to see.

    Returns:
        Largest over second largest of the 8 places, mean of both directions; 1 is no grid, 0 a
        blank picture. NaN below 64 px or where reduced. The grid may lie anywhere (cropped files).

    Source: Wang, Sheikh and Bovik 2002, No-reference perceptual quality assessment of JPEG
    compressed images (steps at block borders); the ratio of places: own trial, bench/blur.py.

    >>> measure_blockiness(np.zeros((80, 80), np.uint8), 1)
    0.0
    """
    if scale != 1 or min(grey_HW.shape) < _LEAST_PX:
        return np.nan
    total = 0.0
    for places in grid_steps(grey_HW):
        ranked = places.copy()
        largest = select(ranked, _BLOCK - 1)
        total += largest / max(_FLOOR, select(ranked, _BLOCK - 2))
    return total / 2
