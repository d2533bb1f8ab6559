"""Candidates and bits of alike rows, against counting by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from checks.metrics.row_likeness import (
    GROUPS,
    compare_rows,
    find_candidates,
    group_columns,
    hash_rows,
)


def numbered(frame: pl.DataFrame) -> pl.LazyFrame:
    """Rows as set checks get them."""
    ids = pl.Series("sample_id", [f"{at:032x}-0" for at in range(frame.height)])
    return frame.with_columns(ids).lazy()


@pytest.mark.parametrize("width", [3, 5, 9, 14])
def test_every_pair_that_differs_in_two_cells_meets(width: int) -> None:
    """All pairs with at most two differing cells are candidates, however many columns there are."""
    rng = np.random.default_rng(width)
    base = rng.integers(0, 10_000, (300, width))
    copies = base[:60].copy()
    for at, row in enumerate(copies):
        row[rng.choice(width, 1 + at % min(2, width - 1), replace=False)] += 100_000
    frame = pl.DataFrame(np.vstack([base, copies]), schema=[f"c{at}" for at in range(width)])
    groups = group_columns(frame)
    hashed = hash_rows(numbered(frame), [pl.col(n) for n in frame.columns], groups)
    pairs, count = find_candidates(hashed, 0.0, 10_000)
    found = {tuple(sorted(pair)) for pair in pairs.tolist()}
    assert count == len(found)
    assert {(at, 300 + at) for at in range(60)} <= found


def test_columns_that_follow_each_other_share_a_group() -> None:
    """A copy of a column and its tenth are put with it, unrelated columns are spread."""
    rng = np.random.default_rng(0)
    a, others = rng.integers(0, 1000, 2000), rng.integers(0, 1000, (2000, 9))
    frame = pl.DataFrame({"a": a, "a_text": a.astype(str), "a_tenth": a // 10}).hstack(
        [pl.Series(f"o{at}", others[:, at]) for at in range(9)]
    )
    groups = group_columns(frame)
    assert len(groups) == GROUPS
    assert sum(len(group) for group in groups) == frame.width
    home = next(group for group in groups if "a" in group)
    assert {"a", "a_tenth"} <= set(home)


def test_bits_are_shares_of_rows() -> None:
    """A group's bits are -log2 of its share; a part of a group counts its rarest value."""
    frame = pl.DataFrame({"a": [*"xxxxxxyz"], "b": [*"ppppqqqq"], "c": [1, 1, 2, 3, 4, 5, 6, 7]})
    groups = [["a", "b"], ["c"]]
    hashed = hash_rows(numbered(frame), [pl.col(n) for n in frame.columns], groups)
    np.testing.assert_allclose(hashed.bits[0], np.log2([8 / 4, 8 / 2]))
    pairs = np.array([[0, 1], [0, 4]])
    seen = compare_rows(frame, pairs, hashed.bits[pairs[:, 0]], groups, frame)
    assert seen.differs.tolist() == [[False] * 3, [False, True, True]]
    np.testing.assert_allclose(seen.bits, [np.log2(2) + np.log2(4), -np.log2(7 / 9)])


def test_null_agrees_with_null_alone() -> None:
    """A missing cell is like another missing one, and like nothing else."""
    frame = pl.DataFrame({"a": [None, None, ""], "b": [1, 1, 1], "c": [2, 2, 2]})
    groups = [["a"], ["b"], ["c"]]
    hashed = hash_rows(numbered(frame), [pl.col(n) for n in frame.columns], groups)
    assert hashed.words[0, 0] == hashed.words[1, 0] != hashed.words[2, 0]
    pairs = np.array(list(combinations(range(3), 2)))
    seen = compare_rows(frame, pairs, hashed.bits[pairs[:, 0]], groups, frame)
    assert seen.differs[:, 0].tolist() == [False, True, True]
