"""Pairs of hashes within a distance, against brute force: in one array, in blocks, in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.errors import CheckError
from checks.metrics.hamming import Hashes, count_crowded, pair_blocks, pairs_within
from checks.metrics.hash_file import pairs_within_file

WORD = st.integers(0, 2**64 - 1)


def hashes_with_copies(count: int, seed: int) -> Hashes:
    """Random hashes, and as many copies of them with 0 to 12 bits flipped."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 2**64, count, dtype=np.uint64)
    copies = first.copy()
    for _ in range(12):
        bit = np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
        copies ^= np.where(rng.random(count) < 0.5, bit, np.uint64(0)).astype(np.uint64)
    return np.concatenate([first, copies])


def every_pair(hashes: Hashes, distance: int) -> npt.NDArray[np.int64]:
    """The pairs within a distance by comparing each with each."""
    away = np.bitwise_count(hashes[:, None] ^ hashes[None])
    return np.argwhere(np.triu(away <= distance, 1))


def as_set(pairs: npt.NDArray[np.int64]) -> set[tuple[int, ...]]:
    """Rows as a set, each of them once."""
    found = {tuple(row) for row in pairs.tolist()}
    assert len(found) == len(pairs)
    return found


@pytest.mark.parametrize("distance", range(65))
def test_pairs_are_exact(distance: int) -> None:
    """The pairs are those of brute force, in order, each once, for every distance."""
    hashes = hashes_with_copies(60, distance)
    np.testing.assert_array_equal(pairs_within(hashes, distance), every_pair(hashes, distance))


@given(
    st.lists(WORD, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=20)), max_size=12),
    st.integers(0, 64),
    st.integers(1, 5),
)
def test_any_hashes_in_any_blocks(
    words: list[int], copies: list[tuple[int, set[int]]], distance: int, block: int
) -> None:
    """Whatever the hashes, repeated and near ones among them, blocks together are brute force."""
    flipped = [words[at] ^ sum(1 << bit for bit in bits) for at, bits in copies if at < len(words)]
    hashes = np.array([*words, *flipped], np.uint64)
    parts = list(pair_blocks(hashes, distance, block=block))
    assert all(0 < len(part) <= block for part in parts)
    found = np.concatenate([np.empty((0, 2), np.int64), *parts])
    assert as_set(found) == as_set(every_pair(hashes, distance))


def test_five_thousand_hashes() -> None:
    """At the size where buckets hold more than one hash, nothing is missed either."""
    hashes = hashes_with_copies(2_500, 1)
    np.testing.assert_array_equal(pairs_within(hashes, 10), every_pair(hashes, 10))


def test_identical_hashes() -> None:
    """Identical hashes are all paired."""
    assert len(pairs_within(np.full(60, 7, np.uint64), 0)) == 60 * 59 // 2


def test_overflow_is_never_silent() -> None:
    """More pairs than allowed are an error, not a shorter list."""
    with pytest.raises(CheckError, match="more than 100 pairs"):
        pairs_within(np.full(60, 7, np.uint64), 0, pairs_max=100)


@pytest.mark.parametrize("distance", [-1, 65])
def test_impossible_distance(distance: int) -> None:
    """A distance outside the hash is refused."""
    with pytest.raises(CheckError, match="impossible distance"):
        pairs_within(np.zeros(3, np.uint64), distance)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_for_a_pair(count: int) -> None:
    """Fewer than two hashes have no pair."""
    assert pairs_within(np.zeros(count, np.uint64), 6).shape == (0, 2)


def test_a_crowded_bucket_is_left_out_and_told() -> None:
    """A cap costs only pairs whose every band is crowded, and says how much it skipped."""
    rng = np.random.default_rng(3)
    crowd = rng.integers(0, 2**48, 40, dtype=np.uint64)  # one key in the highest band
    near = crowd ^ np.uint64(0b1)
    hashes = np.concatenate([crowd, near])
    found = np.concatenate(list(pair_blocks(hashes, 3, bucket_max=20)))
    assert as_set(found) == as_set(every_pair(hashes, 3))
    told = count_crowded(hashes, 3, 20)
    assert (told.buckets, told.hashes, told.pairs) == (1, 80, 80 * 79 // 2)
    same = np.arange(30, dtype=np.uint64)  # crowded in three bands, apart in the lowest
    assert list(pair_blocks(same, 1, bucket_max=20)) == []
    assert len(every_pair(same, 1)) > 0
    assert count_crowded(same, 1, 20).buckets == 1


def test_crowded_neighbours_count_once() -> None:
    """Candidates between two crowded buckets are counted for one of them."""
    hashes = np.array([0] * 3 + [1] * 4, np.uint64)
    radius_one = count_crowded(hashes, 4, 2)
    assert radius_one.pairs == 7 * 6 // 2 + 3 * (7 * 6 // 2)
    assert radius_one.buckets == 2 + 3


def write_hashes(path: Path, hashes: list[int | None]) -> Path:
    """A Parquet file of several row groups."""
    pl.DataFrame({"hash": pl.Series(hashes, dtype=pl.UInt64)}).write_parquet(path, row_group_size=7)
    return path


def test_pairs_of_a_file(tmp_path: Path) -> None:
    """From a file come all pairs: first rows with each other, repeats with their first row."""
    words = hashes_with_copies(40, 5).tolist()
    rows: list[int | None] = [None, *words[:50], words[3], None, *words[50:], words[3]]
    out = tmp_path / "pairs.parquet"
    found = pairs_within_file(write_hashes(tmp_path / "h.parquet", rows), "hash", 6, out)
    pairs = pl.read_parquet(out)
    assert (found.hashes, found.pairs) == (82, pairs.height)
    first = {word: row for row, word in reversed(list(enumerate(rows))) if word is not None}
    expected = {(first[word], row, 0) for row, word in enumerate(rows)
                if word is not None and first[word] != row}  # fmt: skip
    distinct = sorted(first.values())
    expected |= {
        (i, j, bits) for i in distinct for j in distinct if i < j
        if (bits := (int(rows[i] or 0) ^ int(rows[j] or 0)).bit_count()) <= 6
    }  # fmt: skip
    assert set(pairs.iter_rows()) == expected
    assert found.distinct == len(distinct)


def test_a_file_with_a_cap_tells_it(tmp_path: Path) -> None:
    """What the cap leaves out stands beside the pairs."""
    path = write_hashes(tmp_path / "h.parquet", list(range(30)))
    found = pairs_within_file(path, "hash", 0, tmp_path / "p.parquet", bucket_max=20)
    assert found.crowded.buckets == 0  # distance 0 is searched by the lowest band alone
    found = pairs_within_file(path, "hash", 1, tmp_path / "p.parquet", bucket_max=20)
    assert (found.crowded.buckets, found.crowded.hashes) == (1, 30)


@pytest.mark.parametrize("column", ["hsh", "text"])
def test_a_column_without_hashes(tmp_path: Path, column: str) -> None:
    """A column that is absent or holds no 64-bit integers is named, and nothing is written."""
    path = tmp_path / "h.parquet"
    pl.DataFrame({"hash": [1], "text": ["x"]}).write_parquet(path)
    with pytest.raises(CheckError, match=f"column {column}.*holds no hashes.*hash, text"):
        pairs_within_file(path, column, 3, tmp_path / "p.parquet")
    assert [left.name for left in tmp_path.iterdir()] == ["h.parquet"]
