"""All pairs of 64-bit hashes within a Hamming distance, exactly, in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from checks.core.errors import CheckError
from checks.metrics.compiled import compiled

BANDS = 4
BAND_BITS = 16
KEYS = 1 << BAND_BITS
PAIRS_MAX = 50_000_000
BLOCK_PAIRS = 1_000_000
Hashes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Crowded:
    """What a cap on buckets leaves out: buckets, the hashes in them, candidate pairs of both."""

    buckets: int
    hashes: int
    pairs: int


def pairs_within(hashes: Hashes, distance: int, *, pairs_max: int = PAIRS_MAX) -> Pairs:
    """Return every pair of hashes that differ in at most `distance` bits, as one array.

    Args:
        hashes: shape (N,), uint64.
        distance: bits, 0..64.
        pairs_max: more pairs than this are an error; nothing is ever cut off in silence.

    Returns:
        Shape (P, 2), int64, i < j in each row, rows in ascending order.

    Raises:
        CheckError: `distance` is outside 0..64, or there are more than `pairs_max` pairs.

    Cost: as `pair_blocks`, and 16 bytes a pair.

    >>> pairs_within(np.array([0b1111, 0b1110, 0b0000], np.uint64), 1).tolist()
    [[0, 1]]
    """
    found = [np.empty((0, 2), np.int64)]
    total = 0
    for block in pair_blocks(hashes, distance):
        total += len(block)
        if total > pairs_max:
            problem = f"more than {pairs_max} pairs within {distance} bits"
            raise CheckError("pairs_within", problem, got=total, advice="Take a smaller distance.")
        found.append(block)
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def pair_blocks(
    hashes: Hashes, distance: int, *, bucket_max: int | None = None, block: int = BLOCK_PAIRS
) -> Iterator[Pairs]:
    """Yield every pair of hashes that differ in at most `distance` bits, a block at a time.

    Exact: multi-index hashing over four 16-bit bands. By the pigeonhole principle a pair within d
    agrees up to d // 4 bits in one of the first d % 4 + 1 bands, or up to d // 4 - 1 bits in one
    of the others; each pair is reported by the first band that finds it, so none comes twice.

    Args:
        hashes: shape (N,), uint64. Collapse repeats first: k equal ones are k^2 / 2 pairs.
        distance: bits, 0..64.
        bucket_max: hashes that share a band above which that bucket is not searched; a pair is
            then missed only where every band that would find it is that crowded. None searches
            all. `count_crowded` says what a cap leaves out.
        block: pairs in a block, at most.

    Yields:
        Shape (P, 2), int64, i < j in each row; the order depends on nothing but the hashes.

    Raises:
        CheckError: `distance` is outside 0..64.

    Source: Norouzi, Punjani, Fleet: Fast Exact Search in Hamming Space with Multi-Index Hashing,
    arXiv 1307.2982.
    Cost: about N^2 / 2^17 candidates a band and radius mask, each about a nanosecond on random
    hashes; memory 12 bytes a hash and 16 a pair of the block.

    >>> [part.tolist() for part in pair_blocks(np.array([7, 6, 0], np.uint64), 2, block=1)]
    [[[0, 1]], [[1, 2]]]
    """
    hashes = np.ascontiguousarray(hashes, dtype=np.uint64)
    radii, crowd = band_radii(distance), hashes.size if bucket_max is None else bucket_max
    opened = np.array([sizes <= crowd for sizes in _bucket_sizes(hashes)])
    for band in np.flatnonzero(radii >= 0):
        order, words, starts = _fill_buckets(hashes, np.uint64(band * BAND_BITS))
        masks = _masks(int(radii[band]))
        state = np.array([0, 0, -1, -1])
        while state[0] < KEYS:
            room = np.empty((block, 2), np.int64)
            count = _walk(words, order, starts, masks, radii, opened, band, distance, state, room)
            if count:
                yield room[:count]


def count_crowded(hashes: Hashes, distance: int, bucket_max: int) -> Crowded:
    """Return what `pair_blocks` leaves out under `bucket_max`; a pair may count in each band.

    Raises:
        CheckError: `distance` is outside 0..64.

    >>> count_crowded(np.array([1, 2, 3, 4], np.uint64) << np.uint64(48), 0, bucket_max=2)
    Crowded(buckets=1, hashes=4, pairs=6)
    """
    radii = band_radii(distance)
    over, buckets, pairs = np.zeros(hashes.size, np.bool_), 0, 0
    for band, sizes in enumerate(_bucket_sizes(hashes)):
        crowded = np.flatnonzero(sizes > bucket_max)
        if radii[band] < 0 or not crowded.size:
            continue
        buckets += crowded.size
        over |= np.isin(_band_keys(hashes, band), crowded)
        masks = _masks(int(radii[band]))[1:]
        for key in crowded:
            other = sizes[key ^ masks]
            counted = (other > bucket_max) & ((key ^ masks) < key)
            own = int(sizes[key])
            pairs += own * (own - 1) // 2 + own * int(other[~counted].sum())
    return Crowded(buckets, int(over.sum()), pairs)


def band_radii(distance: int) -> npt.NDArray[np.int64]:
    """Return the radius that each band is searched with; -1 where it need not be.

    Raises:
        CheckError: `distance` is outside 0..64.

    >>> band_radii(6).tolist(), band_radii(2).tolist()
    ([1, 1, 1, 0], [0, 0, 0, -1])
    """
    if not 0 <= distance <= BANDS * BAND_BITS:
        raise CheckError("pairs_within", "impossible distance", got=distance, allowed="0..64.")
    base, extra = divmod(distance, BANDS)
    return np.array([base if band <= extra else base - 1 for band in range(BANDS)], np.int64)


def count_bits(left: Hashes, right: Hashes) -> npt.NDArray[np.int64]:
    """Return the Hamming distance of each row: shapes (P,) or (P, W) to (P,), bits.

    >>> count_bits(np.array([[1, 3]], np.uint64), np.array([[0, 0]], np.uint64)).tolist()
    [3]
    """
    bits: npt.NDArray[np.int64] = np.bitwise_count(left ^ right).astype(np.int64)
    return bits if bits.ndim == 1 else bits.sum(axis=1, dtype=np.int64)


def _masks(radius: int) -> npt.NDArray[np.int64]:
    """Return the differences of keys within `radius` bits, 0 first."""
    every = np.arange(KEYS, dtype=np.int64)
    return every[np.bitwise_count(every) <= radius]


def _band_keys(hashes: Hashes, band: int) -> npt.NDArray[np.uint16]:
    return (hashes >> np.uint64(band * BAND_BITS)).astype(np.uint16)


def _bucket_sizes(hashes: Hashes) -> list[npt.NDArray[np.int64]]:
    return [np.bincount(_band_keys(hashes, band), minlength=KEYS) for band in range(BANDS)]


@intrinsic  # type: ignore[untyped-decorator]
def popcount(_context: Any, _word: Any) -> Any:
    """The processor's own instruction; numba knows no `np.bitwise_count`."""

    def emit(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return types.uint64(types.uint64), emit


@compiled
def _fill_buckets(
    hashes: Hashes, shift: np.uint64
) -> tuple[npt.NDArray[np.int32], Hashes, npt.NDArray[np.int64]]:
    """Sort by one band's key: places, hashes beside each other, and where each key starts."""
    starts = np.zeros(KEYS + 1, np.int64)
    for word in hashes:
        starts[np.int64((word >> shift) & np.uint64(KEYS - 1)) + 1] += 1
    for at in range(KEYS):
        starts[at + 1] += starts[at]
    free = starts[:-1].copy()
    order, words = np.empty(hashes.size, np.int32), np.empty(hashes.size, np.uint64)
    for place in range(hashes.size):
        key = np.int64((hashes[place] >> shift) & np.uint64(KEYS - 1))
        order[free[key]] = place
        words[free[key]] = hashes[place]
        free[key] += 1
    return order, words, starts


@compiled
def _is_first(word: Any, other: Any, radii: Any, opened: Any, band: Any) -> Any:
    """Whether no earlier band has already found this pair."""
    for earlier in range(band):
        shift = np.uint64(earlier * BAND_BITS)
        one = np.int64((word >> shift) & np.uint64(KEYS - 1))
        two = np.int64((other >> shift) & np.uint64(KEYS - 1))
        near = np.int64(popcount(np.uint64(one ^ two))) <= radii[earlier]
        if near and opened[earlier, one] and opened[earlier, two]:
            return False
    return True


@compiled
def _walk(  # noqa: PLR0917 - numba takes positional arguments
    words: Any, order: Any, starts: Any, masks: Any, radii: Any, opened: Any, band: Any,
    distance: Any, state: Any, room: Any,
) -> Any:  # fmt: skip
    """Visit each pair of buckets once, from `state` on, until the room for pairs is full.

    `state` (bucket, mask, left, right; -1 not begun) is moved to where the next call goes on.
    """
    written, limit = 0, np.uint64(distance)
    key, at, left, right = state
    while key < KEYS:
        while opened[band, key] and starts[key] < starts[key + 1] and at < masks.size:
            other = key ^ masks[at]
            if other >= key and opened[band, other]:
                left = max(left, starts[key])
                while left < starts[key + 1]:
                    word = words[left]
                    begin = left + 1 if other == key else starts[other]
                    for place in range(max(right, begin), starts[other + 1]):
                        if popcount(word ^ words[place]) <= limit and _is_first(
                            word, words[place], radii, opened, band
                        ):
                            if written == room.shape[0]:
                                state[0], state[1], state[2], state[3] = key, at, left, place
                                return written
                            room[written, 0] = min(order[left], order[place])
                            room[written, 1] = max(order[left], order[place])
                            written += 1
                    left, right = left + 1, -1
                left = -1
            at += 1
        key, at = key + 1, 0
    state[0] = key
    return written
