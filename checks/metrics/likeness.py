"""Perceptual hashes of grey pictures, compiled: area means, their DCT, bits above the median.

All coefficients are whole numbers, so a picture has the same hash on every machine.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled
from checks.metrics.ranks import select

Whole = NDArray[np.int64]

CELLS = 64  # side of the area resample under the hashes
BLOCK = 16  # side of the block of low frequencies that is kept
LOW = 8  # side of the block under the 64-bit hashes
HASH_METRICS = ("phash64", *(f"phash256_{word}" for word in range(4)), "phash64_d4")
_ANGLES = np.outer(np.arange(BLOCK), 2 * np.arange(CELLS // 2) + 1) * (np.pi / (2 * CELLS))
# Left half of the cosines; the right half mirrors it, with the sign turned for odd frequencies.
# Thus flipping an image changes signs of coefficients and nothing else.
_COSINES = np.rint(np.cos(_ANGLES) * 4096)
_EVEN, _ODD = _COSINES[::2].T.copy(), _COSINES[1::2].T.copy()
_SCALE = 256 * 4096**2  # of a coefficient, for each grey level and cosine
_WEIGHTS = np.array([[0, 8, 4, 2], [5, 3, 2, 1], [3, 2, 1, 1], [2, 1, 1, 1]], np.int64)
# EXIF orientation -> (transpose, flip rows, flip columns) that turn the picture upright
_UPRIGHT = np.array(
    [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1],
     [1, 1, 0]], np.bool_,
)  # fmt: skip


@compiled
def area_cells(grey_HW: NDArray[np.uint8]) -> Whole:
    """Return the exact area resample to 64 x 64 cells, each as a sum over H * W parts.

    Cell / (H * W) is the mean grey level under the cell. Larger and smaller images alike.
    """
    height, width = grey_HW.shape
    out = np.empty((CELLS, CELLS), np.int64)
    line = np.zeros(width + 1, np.uint32)  # up to 255 * H
    sums = np.zeros(width + 1, np.int64)  # of the pixels to the left
    for v in range(CELLS):
        line[:width] = 0
        low, high = v * height, (v + 1) * height
        for y in range(low // CELLS, (high + CELLS - 1) // CELLS):
            weight = np.uint32(min(high, (y + 1) * CELLS) - max(low, y * CELLS))
            row = grey_HW[y]
            for x in range(width):
                line[x] += weight * np.uint32(row[x])
        for x in range(width):
            sums[x + 1] = sums[x] + np.int64(line[x])
        before = np.int64(0)
        for u in range(CELLS):
            x, rest = divmod((u + 1) * width, CELLS)  # the cell's end, in 64ths of a pixel
            until = sums[x] * CELLS + rest * np.int64(line[x])
            out[v, u] = until - before
            before = until
    return out


@compiled
def low_frequencies(cells_SS: Whole, area: int) -> Whole:
    """Return the (16, 16) lowest DCT-II coefficients of the cells, unnormalised, in integers.

    Scale: 256 * 4096^2 for each grey level and cosine. `area`: H * W of the image. The sums run in
    floats, four at a time: all of them are whole numbers below 2^53, hence exact in any order.
    The quotient's floor is exact too: below 2^16, and 1 / area from the next whole number.
    """
    middle = CELLS // 2
    folded = np.empty((2, middle, CELLS))  # row + mirrored row, row - mirrored row
    for v in range(middle):
        for u in range(CELLS):
            one = np.floor(np.float64(cells_SS[v, u] * 256) / area)
            two = np.floor(np.float64(cells_SS[CELLS - 1 - v, u] * 256) / area)
            folded[0, v, u] = one + two
            folded[1, v, u] = one - two
    out = np.empty((BLOCK, BLOCK), np.int64)
    sums, even, odd = np.empty(CELLS), np.empty(BLOCK // 2), np.empty(BLOCK // 2)
    for j in range(BLOCK):
        sums[:] = 0
        side = folded[j % 2]
        for v in range(0, middle, 4):
            a, b, c, d = _COSINES[j, v], _COSINES[j, v + 1], _COSINES[j, v + 2], _COSINES[j, v + 3]
            for u in range(CELLS):
                upper = a * side[v, u] + b * side[v + 1, u]
                sums[u] += upper + (c * side[v + 2, u] + d * side[v + 3, u])
        even[:], odd[:] = 0, 0
        for u in range(middle):
            together = sums[u] + sums[CELLS - 1 - u]
            apart = sums[u] - sums[CELLS - 1 - u]
            for i in range(BLOCK // 2):
                even[i] += together * _EVEN[u, i]
                odd[i] += apart * _ODD[u, i]
        for i in range(BLOCK // 2):
            out[j, 2 * i], out[j, 2 * i + 1] = np.int64(even[i]), np.int64(odd[i])
    return out


@compiled
def hash_words(block_JJ: Whole) -> NDArray[np.uint64]:
    """Return one bit for each coefficient, 1 above the median, row by row in 64-bit words.

    A square block of side 8 gives 1 word, of side 16 gives 4; the first bit is the highest.
    """
    flat = block_JJ.copy().reshape(-1)
    half = flat.size // 2
    ranked = flat.copy()
    upper, lower = select(ranked, half), ranked[0]
    for i in range(half):  # what is smaller lies before it
        lower = max(lower, ranked[i])
    middle = lower + upper
    out = np.zeros(flat.size // 64, np.uint64)
    for i in range(flat.size):
        bit = np.uint64(2 * flat[i] > middle)
        out[i // 64] = (out[i // 64] << np.uint64(1)) | bit
    return out


@compiled
def turn(block_JJ: Whole, transpose: bool, rows: bool, columns: bool) -> Whole:
    """Return the DCT block of the picture that is transposed, then flipped in rows or columns.

    A flip changes the sign of every odd coefficient of its axis: nothing is computed again.
    """
    side = block_JJ.shape[0]
    out = np.empty((side, side), np.int64)
    for j in range(side):
        for i in range(side):
            value = block_JJ[i, j] if transpose else block_JJ[j, i]
            odd = (rows and j % 2 == 1) != (columns and i % 2 == 1)
            out[j, i] = -value if odd else value
    return out


@compiled
def _is_larger(one_JJ: Whole, two_JJ: Whole) -> bool:
    """Return whether the first of two blocks, of equal weighted sums, is preferred."""
    for a, b in zip(one_JJ.flat, two_JJ.flat):  # noqa: B905 - numba knows no strict
        if a != b:
            return bool(a > b)
    return False


@compiled
def steady_variant(low_JJ: Whole) -> Whole:
    """Return the same one of a block's 8 mirror and rotation variants, whichever is given.

    It is the variant with the largest weighted sum of its lowest coefficients: continuous in the
    pixels, so that a re-encoded mirror image seldom ends at another variant.
    """
    best, best_sum = low_JJ, np.int64(0)
    for variant in range(8):
        other = turn(low_JJ, variant & 4 != 0, variant & 2 != 0, variant & 1 != 0)
        weighted = np.int64(0)
        for j in range(4):
            for i in range(4):
                weighted += _WEIGHTS[j, i] * other[j, i]
        better = weighted > best_sum or (weighted == best_sum and _is_larger(other, best))
        if variant == 0 or better:
            best, best_sum = other, weighted
    return best


@compiled
def contrast(low_JJ: Whole) -> float:
    """Return the standard deviation that the low frequencies alone give, in grey levels."""
    power = 0.0
    for j in range(low_JJ.shape[0]):
        for i in range(low_JJ.shape[1]):
            value = low_JJ[j, i] / _SCALE
            share = value * value  # orthonormal factors are 1 / 64 and sqrt(2)
            if j == 0:
                share *= 0.5
            if i == 0:
                share *= 0.5
            power += share if j + i > 0 else 0.0
    return math.sqrt(power) * 2 / CELLS / CELLS


@compiled
def hash_pictures(
    grey_NHW: NDArray[np.uint8], orientation_N: Whole,
    words_N6: NDArray[np.uint64], contrast_N: NDArray[np.float64],
) -> None:  # fmt: skip
    """Write the hashes of the upright pictures and the contrast of their low frequencies.

    Args:
        grey_NHW: luma, H and W at least 1.
        orientation_N: EXIF, 1..8.
        words_N6: for the 64-bit hash, the four words of the 256-bit hash, and the 64-bit hash
            that all mirror images and turns share.
        contrast_N: for the contrast in grey levels.
    """
    _, height, width = grey_NHW.shape
    for n in range(grey_NHW.shape[0]):
        block = low_frequencies(area_cells(grey_NHW[n]), height * width)
        transpose, rows, columns = _UPRIGHT[orientation_N[n]]
        block = turn(block, transpose, rows, columns)
        low = block[:LOW, :LOW].copy()
        words_N6[n, 0] = hash_words(low)[0]
        words = hash_words(block)
        for k in range(4):
            words_N6[n, 1 + k] = words[k]
        words_N6[n, 5] = hash_words(steady_variant(low))[0]
        contrast_N[n] = contrast(low)
