"""The order of an epoch as a function, not a list: row = permutation(seed, epoch, position)."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

_ROUNDS = 8  # even, so that the two halves end with the widths they began with
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # splitmix64


class EpochOrder:
    """A keyed permutation of 0..rows-1 that holds no list: any stretch of it costs only itself.

    A Feistel network over the smallest power of two that holds all rows; a value outside is
    permuted again until it falls inside (less than one extra turn on average).

    Source: Black and Rogaway, "Ciphers with arbitrary finite domains", 2002 (cycle walking).

    >>> sorted(EpochOrder(5, seed=0, epoch=0).rows(0, 5).tolist())
    [0, 1, 2, 3, 4]
    """

    def __init__(self, rows: int, seed: int, epoch: int) -> None:
        if rows < 1:
            raise TrainingError("loader", "there is nothing to order", got=rows)
        self.length = rows
        bits = max(2, (rows - 1).bit_length())
        self._left, self._right = np.uint64(bits // 2), np.uint64(bits - bits // 2)
        digest = hashlib.sha512(f"{seed}:{epoch}".encode()).digest()
        self._keys = np.frombuffer(digest, "<u8")[:_ROUNDS].astype(np.uint64)

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions start..stop-1, int64 (stop-start,), each in 0..rows-1."""
        return self.at(np.arange(start, min(stop, self.length)))

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows at any positions, each in 0..rows-1, int64 of the same shape."""
        values = self._permute(positions.astype(np.uint64))
        while (outside := values >= self.length).any():
            values[outside] = self._permute(values[outside])
        return values.astype(np.int64)

    def _permute(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        one = np.uint64(1)
        left_bits, right_bits = self._left, self._right
        left, right = values >> right_bits, values & ((one << right_bits) - one)
        for key in self._keys:
            mixed = _mix(right ^ key) & ((one << left_bits) - one)
            left, right = right, left ^ mixed
            left_bits, right_bits = right_bits, left_bits
        return (left << right_bits) | right


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return values ^ (values >> np.uint64(31))
