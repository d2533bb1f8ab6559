"""Cells that are missing together."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.metrics import tabular_state
from checks.metrics.tabular import profile_table
from checks.metrics.tabular_profile import TableProfile

cells = st.sampled_from([None, "", " ", "N/A", "x", "y"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=30))
def test_gaps_of_a_small_table_are_counted_exactly(rows: list[tuple[str | None, ...]]) -> None:
    """Counts, pairs and patterns equal those of a count by hand, whatever stands for nothing."""
    gaps = profile_table(pl.DataFrame(rows, schema=["a", "b", "c"], orient="row").lazy(),
                         label=None).gaps  # fmt: skip
    missing = [{n for n, v in zip("abc", row, strict=True) if v not in ("x", "y")} for row in rows]
    held = {n for n in "abc" if 0 < sum(n in row for row in missing) < len(rows)}
    if gaps is None:
        assert held == set()
        return
    assert set(gaps.columns) == held
    for place, name in enumerate(gaps.columns):
        assert gaps.counts[place] == sum(name in row for row in missing)
    pairs = {(i, j): n for i, j, n in gaps.pairs}
    for i, j in combinations(range(len(gaps.columns)), 2):
        both = {gaps.columns[i], gaps.columns[j]}
        assert pairs.get((i, j), 0) == sum(both <= row for row in missing)
    told = Counter({frozenset(gaps.columns[i] for i in at): n for at, n in gaps.patterns})
    assert told == Counter(frozenset(row & held) for row in missing)


def test_every_kind_of_nothing_is_missing() -> None:
    """NaN of a typed column and null of a nested one count, infinity does not."""
    table = pl.DataFrame({
        "number": [float("nan"), None, float("inf"), 1.0],
        "list": pl.Series([None, [1], None, [2]]),
    })  # fmt: skip
    gaps = profile_table(table.lazy(), label=None).gaps
    assert gaps is not None
    assert dict(zip(gaps.columns, gaps.counts, strict=True)) == {"list": 2, "number": 2}
    assert gaps.pairs == ((0, 1, 1),)


def test_a_large_table_is_sampled() -> None:
    """Shares of the sample tell those of the table, and the profile says how large it was."""
    rows = 60_000
    hole = pl.int_range(rows, eager=True) % 4 == 0
    table = pl.DataFrame({"id": range(rows), "a": hole, "b": hole}).with_columns(
        pl.when(~pl.col("a")).then(pl.lit("x")).alias("a"),
        pl.when(~pl.col("b")).then(pl.lit("y")).alias("b"),
    )
    profile = profile_table(table.lazy(), label=None)
    assert profile.gaps is not None
    assert (profile.sample_count, profile.sample_distinct_count) == (tabular_state.SAMPLE_ROWS,) * 2
    ((_, _, both),) = profile.gaps.pairs
    assert abs(both / profile.sample_count - 0.25) < 0.02
    assert profile.gaps.counts == (both, both)


def test_they_go_through_json() -> None:
    """What was written is read back equal, and a profile without them is read too."""
    rows = {"a": [None, "x"] * 30, "b": [None, "y"] * 30, "n": [*range(60)]}
    profile = profile_table(pl.LazyFrame(rows), label=None)
    assert profile.gaps is not None
    assert TableProfile.from_json(profile.to_json()) == profile
    bare = TableProfile(0, ())
    assert TableProfile.from_json(bare.to_json()) == bare
