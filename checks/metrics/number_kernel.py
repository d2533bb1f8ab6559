"""The compiled pass over a column's numbers: counts, ends, log buckets and a hash of each value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from checks.metrics.compiled import compiled
from checks.metrics.tabular_words import SENTINELS

BUCKET_BITS = 8  # of the mantissa: 256 buckets for each doubling, so 0.2 % to either side
BUCKET_SPAN = 1 << (11 + BUCKET_BITS)
_SHIFT = np.uint64(52 - BUCKET_BITS)
_SIZE = np.uint64(2**63 - 1)  # a float64 without its sign
COUNTS = (
    "null",
    "nan",
    "inf",
    "number",
    "integer",
    "zero",
    "negative",
    "clock",
    *(f"sentinel {number:g}" for number in SENTINELS),
)

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@compiled
def mix(word: np.uint64) -> np.uint64:
    """Return 64 well-spread bits that no other word gives (splitmix64, Steele et al. 2014)."""
    word = np.uint64(word + np.uint64(0x9E3779B97F4A7C15))
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint64(word ^ (word >> np.uint64(31)))


@compiled
def is_set(bits: Bytes, place: int) -> bool:
    """Whether an Arrow validity bitmap has a one at `place`; without a bitmap all are valid."""
    return bits.size == 0 or (bits[place >> 3] >> (place & 7)) & 1 == 1


@compiled
def _note_kind(x: float, counts: Counts) -> None:
    if x == np.floor(x):
        counts[4] += 1
        if 0.0 <= x <= 2400.0 and x - 100.0 * np.floor(x / 100.0) < 60.0:
            counts[7] += 1
        for k in range(len(SENTINELS)):
            if x == SENTINELS[k]:
                counts[8 + k] += 1
    if x == 0.0:
        counts[5] += 1
    elif x < 0.0:
        counts[6] += 1


@compiled
def _count(dense: NDArray[np.uint32], reach: Counts, row: int, place: int) -> None:
    dense[row, place] += 1
    reach[2 * row] = min(reach[2 * row], place)
    reach[2 * row + 1] = max(reach[2 * row + 1], place)


@compiled
def measure_numbers(
    numbers: Floats, raw: Words, valid: Bytes, first_bit: int, step: float,
    counts: Counts, ends: Floats, dense: NDArray[np.uint32], reach: Counts, hashes: Words,
) -> tuple[int, float, float]:  # fmt: skip
    """Count one batch of numbers; return how many are finite, their mean, their squared deviations.

    Args:
        numbers: shape (N,); raw: 64 bits that tell the same values apart, for the hashes.
        valid, first_bit: Arrow's validity bitmap (empty: all valid) and where it begins.
        step: 0 for buckets of 2**-BUCKET_BITS of a doubling, else their width.
        counts: as COUNTS. ends: the lowest and the highest finite number.
        dense: shape (2, BUCKET_SPAN), counts of positive and of negative numbers.
        reach: first and last bucket touched of either row.
        hashes: shape (N,), written: 0 where there is no value.
    """
    bits = numbers.view(np.uint64)
    total, kept = 0.0, 0
    for i in range(numbers.size):
        hashes[i] = 0
        if not is_set(valid, first_bit + i):
            counts[0] += 1
            continue
        x = numbers[i]
        if x != x:
            counts[1] += 1
            continue
        hashes[i] = mix(raw[i] if x != 0.0 else np.uint64(0)) | np.uint64(1)
        if np.isinf(x):
            counts[2] += 1
            continue
        kept += 1
        total += x
        _note_kind(x, counts)
        ends[0], ends[1] = min(ends[0], x), max(ends[1], x)
        if step > 0.0:
            _count(
                dense,
                reach,
                0 if x >= 0 else 1,
                int(min(abs(np.floor(x / step)), BUCKET_SPAN - 1.0)),
            )
        elif x != 0.0:
            place = int((bits[i] & _SIZE) >> _SHIFT)
            _count(dense, reach, 0 if x > 0 else 1, place)
    counts[3] += kept
    mean = total / max(kept, 1)
    spread = 0.0
    for i in range(numbers.size):
        x = numbers[i]
        if is_set(valid, first_bit + i) and np.isfinite(x):
            spread += (x - mean) * (x - mean)
    return kept, mean, spread


@compiled
def merge_sorted(
    left: Counts, left_counts: Counts, right: Counts, right_counts: Counts, out: Counts
) -> int:
    """Write the union of two ascending lists of keys, counts added, to `out`; return its length.

    `out` has the shape (2, N + M): keys above their counts.
    """
    i, j, k = 0, 0, 0
    while i < left.size or j < right.size:
        from_left = j == right.size or (i < left.size and left[i] <= right[j])
        key = left[i] if from_left else right[j]
        out[0, k], out[1, k] = key, 0
        if i < left.size and left[i] == key:
            out[1, k] += left_counts[i]
            i += 1
        if j < right.size and right[j] == key:
            out[1, k] += right_counts[j]
            j += 1
        k += 1
    return k
