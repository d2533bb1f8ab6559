"""How sharp, smeared and noisy grey pixels are, from second differences summed in integers.

Sums are exact, so results are equal bit by bit everywhere. Importing this costs a second (numba).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled
from checks.metrics.ranks import select

SHARPNESS_METRICS = (
    "sharpness", "sharpness_p90", "detail_ratio", "weakest_detail_ratio", "strongest_detail_ratio",
    "noise_sigma",
)  # fmt: skip
COLUMNS, LAPLACIAN, ROWS, DOWN, UP, NOISE, COUNT, RARE_COUNT = range(8)  # of difference_tiles
_DIRECTIONS = (COLUMNS, ROWS, DOWN, UP)
_TILES, _TILE_MIN_PX = 8, 4
_SAMPLED_FROM_PX = 8_192  # larger pictures give every third row: an edge always touches one
_STEP, _RARE_STEP = 3, 6
_CHUNK_ROWS = 256  # at most 512 rows lie under one int32 sum: 512 * 2040^2 < 2^31
_LEAST_PX = 3
_FLOOR = 8.0  # grey levels squared: what rounding and JPEG leave in a smooth picture
_DIRECTIONS_FROM_PX = 64  # short side from which a quarter of the size still shows directions


@compiled
def halve(grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the rounded mean of each 2 x 2 pixels; an odd last row or column is left out."""
    height, width = grey_HW.shape[0] // 2, grey_HW.shape[1] // 2
    out = np.empty((height, width), np.uint8)
    for y in range(height):
        upper, lower = grey_HW[2 * y], grey_HW[2 * y + 1]
        for x in range(width):
            pair = np.uint16(upper[2 * x]) + np.uint16(upper[2 * x + 1]) + np.uint16(2)
            out[y, x] = (pair + np.uint16(lower[2 * x]) + np.uint16(lower[2 * x + 1])) >> 2
    return out


@compiled
def _subtract_cross(rows_3W: NDArray[np.uint8], lines_6W: NDArray[np.int16]) -> None:
    above, here, below = rows_3W[0], rows_3W[1], rows_3W[2]
    flat, steep, laplacian = lines_6W[ROWS], lines_6W[COLUMNS], lines_6W[LAPLACIAN]
    for x in range(flat.size):
        twice = 2 * np.int32(here[x + 1])
        flat[x] = here[x] + here[x + 2] - twice
        steep[x] = above[x + 1] + below[x + 1] - twice
    for x in range(flat.size):
        laplacian[x] = flat[x] + steep[x]


@compiled
def _subtract_diagonals(rows_3W: NDArray[np.uint8], lines_6W: NDArray[np.int16]) -> None:
    above, here, below = rows_3W[0], rows_3W[1], rows_3W[2]
    down, up, laplacian, noise = lines_6W[DOWN], lines_6W[UP], lines_6W[LAPLACIAN], lines_6W[NOISE]
    for x in range(down.size):
        twice = 2 * np.int32(here[x + 1])
        down[x] = above[x] + below[x + 2] - twice
        up[x] = above[x + 2] + below[x] - twice
    for x in range(down.size):
        noise[x] = down[x] + up[x] - 2 * laplacian[x]


@compiled
def difference_tiles(
    grey_HW: NDArray[np.uint8], grid: int, step: int, rare_step: int, only_laplacian: bool
) -> NDArray[np.int64]:
    """Return sums of squared second differences in each tile, and counts: (8, grid * grid).

    At an inner pixel c with neighbours a and b on both sides of it, d = a + b - 2 c. Channels: d
    along columns; the Laplacian (d along columns plus d along rows); d along rows, along the
    falling and the rising diagonal; both diagonal ones less twice the Laplacian (Immerkaer's
    mask). The inner pixels are cut into grid x grid tiles of nearly equal size. Each gives every
    `step`-th row to the first two channels, and every `rare_step`-th, once or twice `step`, to
    the others, which a horizontal edge does not need; then the two counts. With `only_laplacian`
    the others stay 0. H and W are at least 3.
    """
    height, width = grey_HW.shape[0] - 2, grey_HW.shape[1] - 2
    out = np.zeros((8, grid * grid), np.int64)
    lines, sums = np.empty((6, width), np.int16), np.empty((6, width), np.int32)
    for v in range(grid):
        top, bottom = v * height // grid, (v + 1) * height // grid
        for first in range(top, bottom, rare_step * _CHUNK_ROWS):
            sums[:] = 0
            last = min(bottom, first + rare_step * _CHUNK_ROWS)
            for y in range(first, last, step):
                _subtract_cross(grey_HW[y : y + 3], lines)
                _add_squares(lines[:ROWS].reshape(-1), sums[:ROWS].reshape(-1))
                if not only_laplacian and (y - top) % rare_step == 0:
                    _subtract_diagonals(grey_HW[y : y + 3], lines)
                    _add_squares(lines[ROWS:].reshape(-1), sums[ROWS:].reshape(-1))
            _add_tiles(sums, out[:, v * grid : (v + 1) * grid])
        rows = (bottom - top + step - 1) // step
        rare_rows = (bottom - top + rare_step - 1) // rare_step
        for u in range(grid):
            columns = (u + 1) * width // grid - u * width // grid
            out[COUNT, v * grid + u] = rows * columns
            out[RARE_COUNT, v * grid + u] = rare_rows * columns
    return out


@compiled
def _add_tiles(sums_6W: NDArray[np.int32], out: NDArray[np.int64]) -> None:
    grid, width = out.shape[1], sums_6W.shape[1]
    for u in range(grid):
        left, right = u * width // grid, (u + 1) * width // grid
        for k in range(6):
            out[k, u] += sums_6W[k, left:right].sum()


@compiled
def _add_squares(lines: NDArray[np.int16], sums: NDArray[np.int32]) -> None:
    for x in range(lines.size):
        sums[x] += np.int32(lines[x]) * np.int32(lines[x])


@compiled
def _at_share(values: NDArray[np.float64], percent: int) -> float:
    return float(select(values.copy(), (values.size * percent + 99) // 100 - 1))


@compiled
def _energies(grey_HW: NDArray[np.uint8], only_laplacian: bool) -> NDArray[np.float64]:
    """Return the mean squares by channel and tile: (6, tiles)."""
    short, sampled = min(grey_HW.shape), grey_HW.size >= _SAMPLED_FROM_PX
    step, rare_step = (_STEP, _RARE_STEP) if sampled else (1, 1)
    grid = max(1, min(_TILES, (short - 2) // _TILE_MIN_PX))
    sums = difference_tiles(grey_HW, grid, step, rare_step, only_laplacian)
    out = np.empty((6, grid * grid))
    for k in range(6):
        counts = sums[COUNT if k < ROWS else RARE_COUNT]
        for tile in range(grid * grid):
            out[k, tile] = sums[k, tile] / counts[tile]
    return out


@compiled
def measure_sharpness(grey_HW: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return SHARPNESS_METRICS of one picture as a vector, NaN where it is too small.

    sharpness: mean square of the Laplacian; sharpness_p90: its 90th percentile over tiles (grey
    levels squared). detail_ratio: mean squared Laplacian of the pixels over that of 2 x 2 means,
    each the 97th percentile over tiles, so that one sharp subject tells and contrast does not:
    sharp photos lie at .2 to 2, blurred ones (sigma 2 px) at .1. weakest_ and
    strongest_detail_ratio: second differences along one direction (rows, columns, diagonals)
    over those of 4 x 4 means; motion lowers the first far more. noise_sigma: grey levels, in the
    flattest tenth of the tiles. A flat picture gives 0 everywhere.

    Args:
        grey_HW: levels 0..255, H x W. Below 3 px all is NaN, below 6 px the ratios are, and the
            directional ones below 64 px.

    Source: Laplacian: Pech-Pacheco et al. 2000; noise: Immerkaer 1996, Fast Noise Variance
    Estimation; ratios of scales: own trial, bench/blur.py.
    Cost: a tenth of Pillow's decoding of a 400 x 533 JPEG (bench/blur.py).

    >>> measure_sharpness(np.full((80, 80), 9, np.uint8)).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    out = np.full(6, np.nan)
    short = min(grey_HW.shape)
    if short < _LEAST_PX:
        return out
    fine = _energies(grey_HW, False)
    out[0], out[1] = fine[LAPLACIAN].mean(), _at_share(fine[LAPLACIAN], 90)
    out[5] = math.sqrt(_at_share(fine[NOISE], 10)) / 6
    if short < 2 * _LEAST_PX:
        return out
    halved = halve(grey_HW)
    half = _energies(halved, True)[LAPLACIAN]
    out[2] = _at_share(fine[LAPLACIAN], 97) / (_at_share(half, 97) + _FLOOR)
    if short < _DIRECTIONS_FROM_PX:
        return out
    coarse = _energies(halve(halved), False)
    out[3], out[4] = np.inf, 0.0
    for k in _DIRECTIONS:
        ratio = _at_share(fine[k], 97) / (_at_share(coarse[k], 97) + _FLOOR)
        out[3], out[4] = min(out[3], ratio), max(out[4], ratio)
    return out


@compiled
def measure_many(grey_NHW: NDArray[np.uint8], out: NDArray[np.float64]) -> None:
    """Write SHARPNESS_METRICS of each picture to `out`, (N, M), as `measure_sharpness` tells."""
    for n in range(grey_NHW.shape[0]):
        told = measure_sharpness(grey_NHW[n])
        for k in range(told.size):
            out[n, k] = told[k]
