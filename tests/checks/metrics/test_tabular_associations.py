"""How closely columns hang together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from scipy.stats.contingency import association

from checks.metrics.tabular import profile_table
from checks.metrics.tabular_associations import COLUMNS_MAX, _correlate, _cramer
from checks.metrics.tabular_relations import Associations


def measure(table: pl.DataFrame) -> Associations:
    """Return the associations of a table's profile."""
    told = profile_table(table.lazy(), label=None).associations
    assert told is not None
    return told


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=3, max_size=60))
def test_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    """Ties and all, the correlation of dense ranks is Spearman's; None where one is constant."""
    left, right = (np.unique(side, return_inverse=True)[1] for side in zip(*pairs, strict=True))
    told = _correlate(left, right)
    if left.max() == 0 or right.max() == 0:
        assert told is None
    else:
        assert told == pytest.approx(spearmanr(left, right).statistic, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=30, max_size=90))
def test_cramers_v_is_that_of_scipy_less_its_bias(pairs: list[tuple[int, int]]) -> None:
    """Without Bergsma's correction it would be scipy's; with it, it is never higher."""
    left, right = (np.unique(side, return_inverse=True)[1] for side in zip(*pairs, strict=True))
    told = _cramer(left, right)
    if told is None:
        return
    table = np.zeros((left.max() + 1, right.max() + 1), np.int64)
    np.add.at(table, (left, right), 1)
    n, (r, c) = len(pairs), table.shape
    phi2 = association(table, method="cramer") ** 2 * (min(r, c) - 1)
    room = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    expected = (max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1)) / room) ** 0.5
    assert told == pytest.approx(min(expected, 1.0), abs=1e-9)


def test_kinds_of_pairs() -> None:
    """Numbers are ranked, a category is told by V, its renamed copy is 1 and noise is near 0."""
    rng = np.random.default_rng(3)
    number = rng.normal(size=2000)
    group = np.where(number > 0, "high", "low")
    table = pl.DataFrame({
        "number": number, "falling": -(number**3), "group": group,
        "copy": np.where(group == "high", "H", "L"), "noise": rng.choice(["p", "q", "r"], 2000),
        "id": [f"k{i}" for i in range(2000)], "constant": "c",
    })  # fmt: skip
    told = measure(table)
    named = {frozenset((told.columns[i], told.columns[j])): (m, v) for i, j, m, v, _ in told.pairs}
    assert named[frozenset(("number", "falling"))] == ("rank", -1.0)
    assert named[frozenset(("group", "copy"))] == ("category", 1.0)
    assert named[frozenset(("number", "group"))][1] > 0.9
    assert named[frozenset(("noise", "number"))][1] < 0.1
    assert {"id", "constant"}.isdisjoint(told.columns)


def test_only_rows_with_both_count() -> None:
    """Gaps leave a pair's rows out; a pair with too few rows in common is not measured."""
    rows = [*range(100)]
    table = pl.DataFrame({
        "a": [None if r < 30 else r / 7 for r in rows],
        "b": [None if r > 89 else -r / 7 for r in rows],
        "c": [r / 7 if r < 40 else None for r in rows],
    })  # fmt: skip
    told = measure(table)
    named = {(told.columns[i], told.columns[j]): (v, n) for i, j, _, v, n in told.pairs}
    assert named == {("a", "b"): (-1.0, 60), ("b", "c"): (-1.0, 40)}


def test_neither_order_nor_batches_matter() -> None:
    """The same rows in another order, read in other batches, give the same numbers."""
    rng = np.random.default_rng(5)
    table = pl.DataFrame({"a": rng.normal(size=900), "g": rng.choice(["x", "y", "z"], 900)})
    turned = table.sample(fraction=1.0, shuffle=True, seed=1)
    one = profile_table(table.lazy(), label=None)
    assert one.associations == profile_table(turned.lazy(), label=None, batch_rows=70).associations


def test_the_strongest_columns_stay() -> None:
    """Of more columns than are kept, those of the strongest pairs stay."""
    rng = np.random.default_rng(7)
    noise = {f"noise {i}": rng.normal(size=300) for i in range(COLUMNS_MAX + 8)}
    table = pl.DataFrame({**noise, "x": range(300), "y": range(0, 900, 3)})
    told = measure(table.with_columns(pl.col("x", "y") / 7))
    assert len(told.columns) == COLUMNS_MAX
    assert [told.columns[at] for at in told.pairs[0][:2]] == ["x", "y"]
