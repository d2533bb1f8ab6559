"""Compiled loops over pixels. Everything is summed in integers, so results are equal bit by bit.

Importing this module costs about a second (numba); only the worker processes do.
Shapes: H x W pixels, 3 channels RGB. Grey levels and brightness are 0..255.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

CELLS = 64  # side of the area resample under the hashes
BLOCK = 16  # side of the block of low frequencies that is kept
_ANGLES = np.outer(np.arange(BLOCK), 2 * np.arange(CELLS // 2) + 1) * (np.pi / (2 * CELLS))
_HALF = np.rint(np.cos(_ANGLES) * 4096).astype(np.int64)
# Mirrored by construction: flipping an image changes signs of coefficients and nothing else.
COSINES: NDArray[np.int64] = np.concatenate(
    [_HALF, _HALF[:, ::-1] * np.where(np.arange(BLOCK) % 2, -1, 1)[:, None]], axis=1
)
_GREY_SPREAD = 12  # R, G and B this close together are grey; JPEG's chroma noise stays below
_Function = TypeVar("_Function", bound=Callable[..., object])


def _compiled(function: _Function) -> _Function:
    return cast("_Function", njit(cache=True, nogil=True)(function))


@_compiled
def to_grey(rgb_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ITU-R 601 luma, rounded as Pillow's `convert("L")` rounds."""
    height, width, _ = rgb_HW3.shape
    out = np.empty((height, width), np.uint8)
    for y in range(height):
        line = rgb_HW3[y]
        for x in range(width):  # whole numbers below 2^24: exact in float32, four times as wide
            luma = np.float32(19595) * np.float32(line[x, 0])
            luma += np.float32(38470) * np.float32(line[x, 1])
            luma += np.float32(7471) * np.float32(line[x, 2])
            out[y, x] = np.uint8((luma + np.float32(0x8000)) * np.float32(1 / 65536))
    return out


@_compiled
def grey_histogram(grey_HW: NDArray[np.uint8], step: int) -> NDArray[np.int64]:
    """Return the (256,) counts of grey levels at every `step`-th pixel of every `step`-th row."""
    counts = np.zeros(256, np.int64)
    for y in range(0, grey_HW.shape[0], step):
        for x in range(0, grey_HW.shape[1], step):
            counts[grey_HW[y, x]] += 1
    return counts


@_compiled
def colour_sums(
    rgb_HW3: NDArray[np.uint8], step: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (256,) histogram of brightness and the (5,) sums of opponent colours.

    Brightness is sqrt(.241 R2 + .691 G2 + .068 B2), rounded (Finley's HSP, cleanvision's metric).
    The sums: rg = R - G, rg2, yb = R + G - 2 B (twice Hasler's), yb2, and the count of pixels
    whose channels lie more than 12 levels apart. Sampled at every `step`-th pixel and row.
    """
    height, width, _ = rgb_HW3.shape
    counts = np.zeros(256, np.int64)
    sums = np.zeros(5, np.int64)
    for y in range(0, height, step):
        line = rgb_HW3[y]
        for x in range(0, width, step):
            red, green, blue = np.int32(line[x, 0]), np.int32(line[x, 1]), np.int32(line[x, 2])
            power = 241 * red * red + 691 * green * green + 68 * blue * blue
            counts[np.int64(np.sqrt(power / 1000.0) + 0.5)] += 1
            rg, yb = red - green, red + green - 2 * blue
            sums[0] += rg
            sums[1] += rg * rg
            sums[2] += yb
            sums[3] += yb * yb
            sums[4] += max(red, green, blue) - min(red, green, blue) > _GREY_SPREAD
    return counts, sums


@_compiled
def laplacian_tiles(grey_HW: NDArray[np.uint8], grid: int) -> NDArray[np.int64]:
    """Return count, sum and sum of squares of the Laplacian in each tile: (3, grid, grid).

    The Laplacian is up + down + left + right - 4 centre, at the inner pixels only; these are cut
    into grid x grid tiles of nearly equal size. H and W are at least 3.
    """
    rows, columns = grey_HW.shape[0] - 2, grey_HW.shape[1] - 2
    out = np.zeros((3, grid, grid), np.int64)
    line = np.empty(columns, np.int16)
    for v in range(grid):
        for y in range(v * rows // grid + 1, (v + 1) * rows // grid + 1):
            above, here, below = grey_HW[y - 1], grey_HW[y], grey_HW[y + 1]
            for x in range(columns):
                around = np.int16(above[x + 1]) + below[x + 1] + here[x] + here[x + 2]
                line[x] = around - 4 * np.int16(here[x + 1])
            for u in range(grid):
                left, right = u * columns // grid, (u + 1) * columns // grid
                total, squares = np.int64(0), np.int64(0)
                for x in range(left, right):
                    value = np.int64(line[x])
                    total += value
                    squares += value * value
                out[0, v, u] += right - left
                out[1, v, u] += total
                out[2, v, u] += squares
    return out


@_compiled
def _is_flat(line: NDArray[np.uint8], level: np.int64, tolerance: int) -> bool:
    for value in line:  # noqa: SIM110 - numba compiles no generator expression
        if abs(np.int64(value) - level) > tolerance:
            return False
    return True


@_compiled
def flat_borders(grey_HW: NDArray[np.uint8], tolerance: int) -> NDArray[np.int64]:
    """Return how many rows or columns at top, bottom, left, right are one constant level: (4,).

    The level is that side's first corner pixel; `tolerance` grey levels to either side count.
    """
    height, width = grey_HW.shape
    out = np.zeros(4, np.int64)
    first, last = np.int64(grey_HW[0, 0]), np.int64(grey_HW[height - 1, width - 1])
    while out[0] < height and _is_flat(grey_HW[out[0]], first, tolerance):
        out[0] += 1
    while out[1] < height and _is_flat(grey_HW[height - 1 - out[1]], last, tolerance):
        out[1] += 1
    while out[2] < width and _is_flat(grey_HW[:, out[2]], first, tolerance):
        out[2] += 1
    while out[3] < width and _is_flat(grey_HW[:, width - 1 - out[3]], last, tolerance):
        out[3] += 1
    return out


@_compiled
def area_cells(grey_HW: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the exact area resample to 64 x 64 cells, each as a sum over H * W parts.

    Cell / (H * W) is the mean grey level under the cell. Larger and smaller images alike.
    """
    height, width = grey_HW.shape
    out = np.zeros((CELLS, CELLS), np.int64)
    line = np.zeros(width, np.int64)
    for v in range(CELLS):
        line[:] = 0
        low, high = v * height, (v + 1) * height
        for y in range(low // CELLS, (high + CELLS - 1) // CELLS):
            weight = min(high, (y + 1) * CELLS) - max(low, y * CELLS)
            for x in range(width):
                line[x] += weight * np.int64(grey_HW[y, x])
        for u in range(CELLS):
            left, right = u * width, (u + 1) * width
            total = np.int64(0)
            for x in range(left // CELLS, (right + CELLS - 1) // CELLS):
                total += (min(right, (x + 1) * CELLS) - max(left, x * CELLS)) * line[x]
            out[v, u] = total
    return out


@_compiled
def low_frequencies(cells_SS: NDArray[np.int64], area: int) -> NDArray[np.int64]:
    """Return the (16, 16) lowest DCT-II coefficients of the cells, unnormalised, in integers.

    Scale: 256 * 4096^2 for each grey level and cosine. `area`: H * W of the image.
    """
    half = np.zeros((BLOCK, CELLS), np.int64)
    scaled_SS = cells_SS * 256 // area
    for j in range(BLOCK):
        for v in range(CELLS):
            factor = COSINES[j, v]
            for u in range(CELLS):
                half[j, u] += factor * scaled_SS[v, u]
    out = np.zeros((BLOCK, BLOCK), np.int64)
    for j in range(BLOCK):
        for i in range(BLOCK):
            total = np.int64(0)
            for u in range(CELLS):
                total += half[j, u] * COSINES[i, u]
            out[j, i] = total
    return out


@_compiled
def hash_words(block_JJ: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return one bit for each coefficient, 1 above the median, row by row in 64-bit words.

    A square block of side 8 gives 1 word, of side 16 gives 4; the first bit is the highest.
    """
    flat = block_JJ.copy().reshape(-1)
    ranked = np.sort(flat)
    middle = ranked[flat.size // 2 - 1] + ranked[flat.size // 2]
    out = np.zeros(flat.size // 64, np.uint64)
    for i in range(flat.size):
        bit = np.uint64(2 * flat[i] > middle)
        out[i // 64] = (out[i // 64] << np.uint64(1)) | bit
    return out
