"""Mirrored and turned pictures, seen in their 256-bit hashes alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from checks.metrics.compiled import compiled
from checks.metrics.hamming import Hashes, popcount

TURNS = (
    "mirrored left to right", "mirrored top to bottom", "turned by 180 degrees", "transposed",
    "turned by 90 degrees to the left", "turned by 90 degrees to the right",
    "transposed the other way",
)  # fmt: skip
_SIDE = 16
# Odd columns, odd rows and both of a 16 x 16 block, in the four rows of bits that a word holds.
_ACROSS, _DOWN = 0x5555_5555_5555_5555, 0x0000_FFFF_0000_FFFF
_FLIPS = np.array([0, _ACROSS, _DOWN, _ACROSS ^ _DOWN], np.uint64)


def turned_bits(
    words: Hashes, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the fewest bits between left, turned, and right, and which turn leads to right.

    A mirror image has the same DCT with the odd frequencies negated, and a hash bit says whether
    a frequency is above the median, which is close to zero: mirroring complements these bits.
    A transposed picture has the transposed block.

    Args:
        words: shape (N, 4), 16 x 16 bits row by row, the first bit the highest.
        left: shape (P,), rows of `words`.
        right: shape (P,).

    Returns:
        Bits 0..256 and places in TURNS, both of shape (P,).

    >>> words = np.array([[1 << 63, 0, 0, 0], [0x5555_5555_5555_5555 ^ 1 << 63, *[_ACROSS] * 3]],
    ...                  np.uint64)
    >>> bits, turn = turned_bits(words, np.array([0]), np.array([1]))
    >>> bits.tolist(), TURNS[turn[0]]
    ([0], 'mirrored left to right')
    """
    words = np.ascontiguousarray(words)
    return _turned_bits(words, transpose_words(words), left, right)


@compiled
def transpose_words(words: Hashes) -> Hashes:
    """Return the hashes of the transposed pictures: (N, 4) to (N, 4)."""
    out = np.zeros_like(words)
    one = np.uint64(1)
    for item in range(words.shape[0]):
        for y in range(_SIDE):
            for x in range(_SIDE):
                bit = (words[item, y // 4] >> np.uint64(63 - (y % 4 * _SIDE + x))) & one
                out[item, x // 4] |= bit << np.uint64(63 - (x % 4 * _SIDE + y))
    return out


@compiled
def _turned_bits(
    words: Hashes, swapped: Hashes, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    bits, turn = np.full(left.size, 257, np.int64), np.zeros(left.size, np.int64)
    for pair in range(left.size):
        for variant in range(1, 8):
            other = words[right[pair]] if variant < 4 else swapped[right[pair]]  # noqa: PLR2004
            count = np.int64(0)
            for word in range(4):
                difference = words[left[pair], word] ^ other[word] ^ _FLIPS[variant % 4]
                count += np.int64(popcount(difference))
            if count < bits[pair]:
                bits[pair], turn[pair] = count, variant - 1
    return bits, turn
