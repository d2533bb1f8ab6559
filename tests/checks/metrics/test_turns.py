"""Turns seen in hashes, against the same turns of the bits themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from checks.metrics.turns import TURNS, transpose_words, turned_bits

Bits = npt.NDArray[np.bool_]
ODD = np.arange(16) % 2 == 1
BACK: dict[str, Callable[[Bits], Bits]] = {
    "mirrored left to right": lambda b: b ^ ODD[None, :],
    "mirrored top to bottom": lambda b: b ^ ODD[:, None],
    "turned by 180 degrees": lambda b: b ^ ODD[None, :] ^ ODD[:, None],
    "transposed": lambda b: b.T,
    "turned by 90 degrees to the left": lambda b: (b ^ ODD[None, :]).T,
    "turned by 90 degrees to the right": lambda b: (b ^ ODD[:, None]).T,
    "transposed the other way": lambda b: (b ^ ODD[None, :] ^ ODD[:, None]).T,
}


def pack(bits: Bits) -> npt.NDArray[np.uint64]:
    """16 x 16 bits as four words, the first bit the highest."""
    return np.packbits(bits.ravel()).view(">u8").astype(np.uint64)


@pytest.mark.parametrize("name", TURNS)
def test_each_turn_is_named(name: str) -> None:
    """Bits of a turned picture differ in none from the original under the turn of that name."""
    bits = np.random.default_rng(1).random((16, 16)) < 0.5
    words = np.stack([pack(bits), pack(BACK[name](bits))])
    away, turn = turned_bits(words, np.array([0]), np.array([1]))
    assert (away[0], TURNS[turn[0]]) == (0, name)


def test_transposed_words() -> None:
    """Transposing words is transposing the block of bits."""
    bits = np.random.default_rng(2).random((16, 16)) < 0.5
    np.testing.assert_array_equal(transpose_words(pack(bits)[None])[0], pack(bits.T))
