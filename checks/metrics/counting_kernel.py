"""Compiled counting of hashes: exact up to a capacity, then only the heaviest, with a bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled
from checks.metrics.ranks import select

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]
REGISTERS = 4096  # of HyperLogLog: a standard error of 1.04 / 64
_PLACE_BITS = np.uint64(52)


@compiled
def count_hashes(
    hashes: Words, start: int, slots: Words, counts: Counts, origin: Counts, capacity: int,
    kept: int, state: Counts,
) -> int:  # fmt: skip
    """Count `hashes[start:]` in an open-addressing table; return where it had to stop for room.

    Args:
        hashes: shape (N,); 0 stands for no value and is passed over.
        slots, counts, origin: shape (S,), S a power of two, 0 where free. origin: 1 + the place in
            `hashes` of an entry that is new since the caller last looked, else as it stands.
        capacity: entries from which on only the `kept` heaviest stay, and so again whenever there
            are twice as many (Misra and Gries 1982, in the batched form of Anderson et al. 2017):
            a count is then too low by at most state[1], which is below 1 / kept of the rows.
        state: entries in the table, and the sum of what was taken away from each count.
    """
    mask = np.uint64(slots.size - 1)
    for i in range(start, hashes.size):
        key = hashes[i]
        if key == 0:
            continue
        at = (key >> np.uint64(1)) & mask
        while slots[at] != key:
            if slots[at] == 0:
                break
            at = (at + np.uint64(1)) & mask
        if slots[at] == key:
            counts[at] += 1
            continue
        if state[0] >= (capacity if state[1] == 0 else 2 * kept):
            shed(slots, counts, origin, kept, state)
            at = (key >> np.uint64(1)) & mask
            while slots[at] != 0:
                at = (at + np.uint64(1)) & mask
        elif 2 * (state[0] + 1) > slots.size:
            return i
        slots[at], counts[at], origin[at] = key, 1, i + 1
        state[0] += 1
    return hashes.size


@compiled
def shed(slots: Words, counts: Counts, origin: Counts, kept: int, state: Counts) -> None:
    """Subtract a count from every entry so that at most `kept` have something left."""
    held = np.empty(state[0], np.float64)
    n = 0
    for i in range(slots.size):
        if slots[i] != 0:
            held[n] = counts[i]
            n += 1
    less = np.int64(select(held, n - kept - 1))
    keys, left, came = np.empty(n, np.uint64), np.empty(n, np.int64), np.empty(n, np.int64)
    n = 0
    for i in range(slots.size):
        if slots[i] != 0 and counts[i] > less:
            keys[n], left[n], came[n] = slots[i], counts[i] - less, origin[i]
            n += 1
        slots[i] = 0
    fill(slots, counts, origin, keys[:n], left[:n], came[:n])
    state[0] = n
    state[1] += less


@compiled
def fill(
    slots: Words, counts: Counts, origin: Counts, keys: Words, held: Counts, came: Counts
) -> None:
    """Enter distinct keys with their counts and origins into a table that has room for them."""
    mask = np.uint64(slots.size - 1)
    for i in range(keys.size):
        at = (keys[i] >> np.uint64(1)) & mask
        while slots[at] != 0:
            at = (at + np.uint64(1)) & mask
        slots[at], counts[at], origin[at] = keys[i], held[i], came[i]


@compiled
def note_distinct(hashes: Words, registers: NDArray[np.uint8], rows: Words) -> None:
    """Raise the HyperLogLog registers by `hashes`, and fold them into the hash of each row.

    Source: Flajolet et al. 2007; a register keeps the highest rank (leading zeros + 1) it has seen.
    """
    for i in range(hashes.size):
        key = hashes[i]
        rows[i] = (rows[i] ^ key) * np.uint64(0x9FB21C651E98DF25)
        rows[i] ^= rows[i] >> np.uint64(28)
        if key == 0:
            continue
        rest, place = key << np.uint64(12), key >> _PLACE_BITS
        if registers[place] > 0 and rest >> np.uint64(64 - registers[place]) != 0:
            continue  # no higher rank than is known: nearly all
        rank = 1
        while rank <= 52 and rest >> np.uint64(63) == 0:
            rest <<= np.uint64(1)
            rank += 1
        registers[place] = max(registers[place], rank)
