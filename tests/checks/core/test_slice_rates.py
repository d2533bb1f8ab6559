"""Rates by slice: exact intervals and tests that others compute alike."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from checks.core.corrections import adjust_benjamini
from checks.core.slice_rates import (
    ROWS_MAX,
    exact_interval,
    exact_test,
    tell_slices,
)


@given(st.integers(1, 60), st.data())
def test_the_interval_is_scipys(total: int, data: st.DataObject):
    """Clopper and Pearson's interval is what scipy calls exact."""
    hits = data.draw(st.integers(0, total))
    low, high = stats.binomtest(hits, total).proportion_ci(method="exact")
    assert exact_interval(hits, total) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(1, 40), st.data())
def test_the_test_is_fishers(whole: int, data: st.DataObject):
    """The slice against the rest has the p value that scipy's Fisher test gives."""
    size, hits = data.draw(st.integers(0, whole)), data.draw(st.integers(0, whole))
    own = data.draw(st.integers(max(0, size + hits - whole), min(size, hits)))
    table = [[own, size - own], [hits - own, whole - size - hits + own]]
    expected = float(stats.fisher_exact(table).pvalue)
    assert exact_test(size, own, whole, hits) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_correction_is_scipys(p_values: list[float]):
    """The false discovery rate is controlled as scipy does it."""
    expected = stats.false_discovery_control(p_values)
    assert adjust_benjamini(p_values) == pytest.approx(list(expected), abs=1e-6)


def test_the_worst_fifty_are_told():
    """However many slices there are, at most 50 rows are kept, and all are counted."""
    frame = pl.DataFrame({
        "flagged": [row % 7 == 0 for row in range(700)], "dropped": [False] * 700,
        "who": [str(row % 70) for row in range(700)],
    })  # fmt: skip
    told = tell_slices(frame, ["who"])
    assert (len(told["rows"]), told["slices"]) == (ROWS_MAX, 70)
    assert {row["value"] for row in told["rows"][:10]} == {str(at) for at in range(0, 70, 7)}
    rates = [row["q_flagged"] for row in told["rows"]]
    assert rates == sorted(rates)


def test_nothing_to_slice_is_no_row():
    """Without samples there are no slices."""
    empty = pl.DataFrame(
        {"flagged": [], "dropped": []}, schema=dict.fromkeys(("flagged", "dropped"), pl.Boolean)
    )
    assert tell_slices(empty.with_columns(who=pl.lit("x")), ["who"])["rows"] == []
