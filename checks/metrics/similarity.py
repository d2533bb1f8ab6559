"""What lies close together: hashes within a Hamming distance, neighbours among vectors."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from checks.core.errors import CheckError

BANDS = 4
BAND_BITS = 16
PAIRS_MAX = 50_000_000


def pairs_within(
    hashes: npt.NDArray[np.uint64], distance: int, *, pairs_max: int = PAIRS_MAX
) -> npt.NDArray[np.int64]:
    """Return every pair of hashes that differ in at most `distance` bits.

    Exact: multi-index hashing over four 16-bit bands. By the pigeonhole principle a pair within d
    agrees up to d // 4 bits in one of the first d % 4 + 1 bands, or up to d // 4 - 1 bits in one
    of the others; each pair is reported by the first band that finds it, so none comes twice.

    Args:
        hashes: shape (N,), uint64.
        distance: bits, 0..64.
        pairs_max: more pairs than this are an error; nothing is ever cut off in silence.

    Returns:
        Shape (P, 2), int64, i < j in each row, rows in ascending order.

    Raises:
        CheckError: `distance` is outside 0..64, or there are more than `pairs_max` pairs.

    Source: Norouzi, Punjani, Fleet: Fast Exact Search in Hamming Space with Multi-Index Hashing,
    arXiv 1307.2982.
    Cost: about N^2 / 2^16 candidates a band and radius mask; memory 24 bytes a hash and 16 a pair.

    >>> pairs_within(np.array([0b1111, 0b1110, 0b0000], np.uint64), 1).tolist()
    [[0, 1]]
    """
    if not 0 <= distance <= BANDS * BAND_BITS:
        raise CheckError("pairs_within", "impossible distance", got=distance, allowed="0..64.")
    hashes = np.ascontiguousarray(hashes, dtype=np.uint64)
    if hashes.size < 2:  # noqa: PLR2004 - a pair needs two
        return np.empty((0, 2), np.int64)
    radii = band_radii(distance)
    found: list[npt.NDArray[np.int64]] = []
    total = 0
    for band in range(BANDS):
        if radii[band] < 0:
            continue
        masks = _masks(int(radii[band]))
        order, starts = _buckets(hashes, band)
        room = np.empty((min(hashes.size, pairs_max), 2), np.int64)
        count = cast("int", _walk(hashes, order, starts, masks, radii, band, distance, room))
        total += count
        if total > pairs_max:
            problem = f"more than {pairs_max} pairs within {distance} bits"
            raise CheckError("pairs_within", problem, got=total, advice="Take a smaller distance.")
        if count > room.shape[0]:
            room = np.empty((count, 2), np.int64)
            _walk(hashes, order, starts, masks, radii, band, distance, room)
        found.append(room[:count])
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def band_radii(distance: int) -> npt.NDArray[np.int64]:
    """Return the radius that each band is searched with; -1 where it need not be.

    >>> band_radii(6).tolist(), band_radii(2).tolist()
    ([1, 1, 1, 0], [0, 0, 0, -1])
    """
    base, extra = divmod(distance, BANDS)
    return np.array([base if band <= extra else base - 1 for band in range(BANDS)], np.int64)


def star_groups(pairs: npt.NDArray[np.int64], rank: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the keeper of each item: star groups, so that every member is close to its keeper.

    Items are visited from the best rank down; one that no keeper has taken becomes a keeper and
    takes its free neighbours. Chains a-b-c therefore never join a and c that are far apart.

    Args:
        pairs: shape (P, 2), int64, indices into `rank`.
        rank: shape (N,), int64, all different; the smallest is kept first.

    Returns:
        Shape (N,), int64: the index of the keeper, an item's own index where it stands alone.

    >>> star_groups(np.array([[0, 1], [1, 2]]), np.array([0, 1, 2])).tolist()
    [0, 0, 2]
    """
    count = rank.size
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    starts = np.searchsorted(both[:, 0], np.arange(count + 1))
    keeper = np.full(count, -1, np.int64)
    for item in np.argsort(rank, kind="stable"):
        if keeper[item] >= 0:
            continue
        near = both[starts[item] : starts[item + 1], 1]
        keeper[near[keeper[near] < 0]] = item
        keeper[item] = item
    return keeper


def nearest(
    queries: npt.NDArray[np.float32],
    references: npt.NDArray[np.float32],
    own: npt.NDArray[np.int64],
    count: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the `count` nearest references of each query, nearest first (Euclidean, exact).

    Args:
        queries: shape (N, D).
        references: shape (R, D); R at least `count` + 1.
        own: shape (N,), int64: the query's own place among the references, which is left out;
            -1 where it is not one of them.
        count: neighbours, at least 1.

    Returns:
        Indices into `references` and distances, both of shape (N, count).

    Cost: O(N * R * D) in blocks of 512 queries; memory 2 kB a reference.

    >>> points = np.array([[0.0], [1.0], [5.0]], np.float32)
    >>> nearest(points, points, np.arange(3), 1)[0].ravel().tolist()
    [1, 0, 1]
    """
    found = np.empty((len(queries), count), np.int64)
    away = np.empty((len(queries), count), np.float32)
    norms = np.einsum("ij,ij->i", references, references)
    for start in range(0, len(queries), 512):
        block = queries[start : start + 512]
        gap = norms - 2 * (block @ references.T)
        mine = own[start : start + 512]
        rows = np.flatnonzero(mine >= 0)
        gap[rows, mine[rows]] = np.inf
        close = np.argpartition(gap, count - 1, axis=1)[:, :count]
        gaps = np.take_along_axis(gap, close, axis=1)
        order = np.argsort(gaps, axis=1, kind="stable")
        found[start : start + 512] = np.take_along_axis(close, order, axis=1)
        squares = np.einsum("ij,ij->i", block, block)[:, None]
        away[start : start + 512] = np.sqrt(
            np.maximum(np.take_along_axis(gaps, order, axis=1) + squares, 0)
        )
    return found, away


def count_bits(
    left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Return the Hamming distance of each row: shapes (P,) or (P, W) to (P,), bits.

    >>> count_bits(np.array([[1, 3]], np.uint64), np.array([[0, 0]], np.uint64)).tolist()
    [3]
    """
    bits: npt.NDArray[np.int64] = np.bitwise_count(left ^ right).astype(np.int64)
    return bits if bits.ndim == 1 else bits.sum(axis=1, dtype=np.int64)


def _masks(radius: int) -> npt.NDArray[np.int64]:
    every = np.arange(1 << BAND_BITS, dtype=np.int64)
    return every[np.bitwise_count(every) <= radius]


def _buckets(
    hashes: npt.NDArray[np.uint64], band: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sort the items by their band's key: the order, and where each key starts."""
    keys = ((hashes >> np.uint64(band * BAND_BITS)) & np.uint64(0xFFFF)).astype(np.int64)
    starts = np.zeros((1 << BAND_BITS) + 1, np.int64)
    np.cumsum(np.bincount(keys, minlength=1 << BAND_BITS), out=starts[1:])
    return np.argsort(keys, kind="stable"), starts


@njit(cache=True)  # type: ignore[untyped-decorator]
def _popcount(word: Any) -> Any:
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _is_first(difference: Any, radii: Any, band: Any) -> Any:
    """Whether no earlier band has already found this pair."""
    for earlier in range(band):
        part = (difference >> np.uint64(earlier * 16)) & np.uint64(0xFFFF)
        if _popcount(part) <= radii[earlier]:
            return False
    return True


@njit(cache=True)  # type: ignore[untyped-decorator]
def _walk(  # noqa: PLR0917 - numba takes positional arguments
    hashes: Any, order: Any, starts: Any, masks: Any, radii: Any, band: Any, distance: Any,
    room: Any,
) -> Any:  # fmt: skip
    """Visit each pair of buckets once; count the pairs, and write those that there is room for."""
    sorted_hashes = hashes[order]
    written = 0
    for key in range(starts.size - 1):
        if starts[key] == starts[key + 1]:
            continue
        for mask in masks:
            other = key ^ mask
            if other < key:
                continue
            for left in range(starts[key], starts[key + 1]):
                begin = left + 1 if other == key else starts[other]
                for right in range(begin, starts[other + 1]):
                    difference = sorted_hashes[left] ^ sorted_hashes[right]
                    if _popcount(difference) <= distance and _is_first(difference, radii, band):
                        if written < room.shape[0]:
                            room[written, 0] = min(order[left], order[right])
                            room[written, 1] = max(order[left], order[right])
                        written += 1
    return written
