"""Compiled loops over pixels. Everything is summed in integers, so results are equal bit by bit.

Importing this module costs about a second (numba); only the worker processes do.
Shapes: N pictures of H x W pixels. A colour pixel is one 32-bit word, R in its lowest byte, then G
and B; the highest byte is not looked at. Words instead of three bytes let the compiler work on
eight pixels at once. Grey levels and brightness are 0..255.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled

Grey = NDArray[np.uint8]
Packed = NDArray[np.uint32]
Counts = NDArray[np.int64]

SCANNED = 265  # numbers of a picture: 256 levels, 5 sums of colour, 4 borders
_GREY_SPREAD = 12  # R, G and B this close together are grey; JPEG's chroma noise stays below
_CHUNK = 4096  # pixels whose sums of squared colour differences stay within 31 bits
_LANES = 4  # histograms side by side: equal neighbours do not wait for each other


@compiled
def _write_grey(line: Packed, out: Grey) -> None:
    """Write ITU-R 601 luma of one row, rounded as Pillow's `convert("L")` rounds."""
    for x in range(line.size):
        word = line[x]
        luma = np.uint32(19595) * (word & np.uint32(255))
        luma += np.uint32(38470) * ((word >> np.uint32(8)) & np.uint32(255))
        luma += np.uint32(7471) * ((word >> np.uint32(16)) & np.uint32(255))
        out[x] = np.uint8((luma + np.uint32(0x8000)) >> np.uint32(16))


@compiled
def _add_lanes(counts: Counts) -> Counts:
    total = np.zeros(256, np.int64)
    for lane in range(_LANES):
        for level in range(256):
            total[level] += counts[lane, level]
    return total


@compiled
def grey_histogram(grey_HW: Grey, step: int) -> Counts:
    """Return the (256,) counts of grey levels at every `step`-th pixel of every `step`-th row."""
    counts = np.zeros((_LANES, 256), np.int64)
    width = grey_HW.shape[1]
    for y in range(0, grey_HW.shape[0], step):
        line = grey_HW[y]
        for x in range(0, width - (_LANES - 1) * step, _LANES * step):
            for lane in range(_LANES):
                counts[lane, line[x + lane * step]] += 1
        sampled = (width + step - 1) // step
        for x in range(sampled // _LANES * _LANES, sampled):
            counts[0, line[x * step]] += 1
    return _add_lanes(counts)


@compiled
def _take_samples(line: Packed, step: int, out: NDArray[np.int32]) -> None:
    """Write every `step`-th pixel's R, G and B to the rows of `out`, (3, W // step)."""
    red, green, blue = out[0], out[1], out[2]
    if step == 1:
        for x in range(red.size):
            word = line[x]
            red[x] = word & np.uint32(255)
            green[x] = (word >> np.uint32(8)) & np.uint32(255)
            blue[x] = (word >> np.uint32(16)) & np.uint32(255)
        return
    for x in range(red.size):
        word = line[x * step]
        red[x] = word & np.uint32(255)
        green[x] = (word >> np.uint32(8)) & np.uint32(255)
        blue[x] = (word >> np.uint32(16)) & np.uint32(255)


@compiled
def _count_brightness(samples: NDArray[np.int32], level: Grey, counts: Counts) -> None:
    """Add the brightness of each sample to the histograms `counts`, (4, 256).

    Short floats carry it eight at a time; each of their steps is rounded as IEEE 754 says, so it
    is the same everywhere, and differs from the exact rounding in no level but at its very edge.
    """
    red, green, blue = samples[0], samples[1], samples[2]
    for x in range(red.size):
        power = np.int32(241 * red[x] * red[x] + 691 * green[x] * green[x] + 68 * blue[x] * blue[x])
        root = np.sqrt(np.float32(power) * np.float32(0.001))
        level[x] = np.uint8(np.int32(root + np.float32(0.5)))
    whole = red.size // _LANES * _LANES
    for x in range(0, whole, _LANES):
        for lane in range(_LANES):
            counts[lane, level[x + lane]] += 1
    for x in range(whole, red.size):
        counts[0, level[x]] += 1


@compiled
def _add_colours(
    red: NDArray[np.int32], green: NDArray[np.int32], blue: NDArray[np.int32], sums: Counts
) -> None:
    """Add the opponent colours of at most 4,096 samples to `sums`, (5,)."""
    rg, rg2, yb, yb2, coloured = np.int32(0), np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for x in range(red.size):
        one = np.int32(red[x] - green[x])
        two = np.int32(red[x] + green[x] - 2 * blue[x])
        rg = np.int32(rg + one)
        rg2 = np.int32(rg2 + one * one)
        yb = np.int32(yb + two)
        yb2 = np.int32(yb2 + two * two)
        high, low = max(red[x], green[x], blue[x]), min(red[x], green[x], blue[x])
        coloured = np.int32(coloured + np.int32(np.int32(high - low) > np.int32(_GREY_SPREAD)))
    sums[0] += rg
    sums[1] += rg2
    sums[2] += yb
    sums[3] += yb2
    sums[4] += coloured


@compiled
def scan_picture(packed_HW: Packed, step: int, grey_HW: Grey) -> tuple[Counts, Counts]:
    """Write luma to `grey_HW`; return the (256,) histogram of brightness and (5,) colour sums.

    Brightness is sqrt(.241 R2 + .691 G2 + .068 B2), rounded (Finley's HSP, cleanvision's metric).
    The sums: rg = R - G, rg2, yb = R + G - 2 B (twice Hasler's), yb2, and the count of pixels
    whose channels lie more than 12 levels apart. Both are sampled at every `step`-th pixel
    and row; luma is ITU-R 601, rounded as Pillow's `convert("L")` rounds.
    """
    height, width = packed_HW.shape
    counts = np.zeros((_LANES, 256), np.int64)
    sums = np.zeros(5, np.int64)
    size = (width + step - 1) // step
    samples, level = np.empty((3, size), np.int32), np.empty(size, np.uint8)
    for y in range(height):
        _write_grey(packed_HW[y], grey_HW[y])
        if y % step:
            continue
        _take_samples(packed_HW[y], step, samples)
        _count_brightness(samples, level, counts)
        for start in range(0, size, _CHUNK):
            part = slice(start, min(size, start + _CHUNK))
            _add_colours(samples[0][part], samples[1][part], samples[2][part], sums)
    return _add_lanes(counts), sums


@compiled
def _is_flat(line: Grey, level: np.int64, tolerance: int) -> bool:
    for value in line:  # noqa: SIM110 - numba compiles no generator expression
        if abs(np.int64(value) - level) > tolerance:
            return False
    return True


@compiled
def flat_borders(grey_HW: Grey, tolerance: int) -> Counts:
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


@compiled
def _write(counts: Counts, sums: Counts, borders: Counts, out: Counts) -> None:
    """Write the three behind each other; assigning to slices would take seconds to compile."""
    for level in range(256):
        out[level] = counts[level]
    for k in range(5):
        out[256 + k] = sums[k]
    for side in range(4):
        out[261 + side] = borders[side]


@compiled
def scan_colour(packed_NHW: Packed, step: int, tolerance: int, grey_NHW: Grey, out: Counts) -> None:
    """Write luma to `grey_NHW`, and to `out`, (N, 265), what `scan_grey` writes.

    Results are written, not returned: for each array that comes back numba takes 5 us.
    """
    for n in range(packed_NHW.shape[0]):
        counts, sums = scan_picture(packed_NHW[n], step, grey_NHW[n])
        _write(counts, sums, flat_borders(grey_NHW[n], tolerance), out[n])


@compiled
def scan_grey(grey_NHW: Grey, step: int, tolerance: int, out: Counts) -> None:
    """Write the histogram (256), colour sums (5, all 0) and borders (4) to `out`, (N, 265)."""
    for n in range(grey_NHW.shape[0]):
        counts, sums = grey_histogram(grey_NHW[n], step), np.zeros(5, np.int64)
        _write(counts, sums, flat_borders(grey_NHW[n], tolerance), out[n])
