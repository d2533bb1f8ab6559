"""The bounds of a column's numbers, on distributions whose tails are known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from checks.metrics.tabular_tails import find_tails

NAMES = {"p01": 1, "p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99}
Numbers = NDArray[np.float64]
DRAWS = {
    "normal": lambda rng, n: rng.normal(50, 8, n),
    "around nought": lambda rng, n: rng.normal(0, 3, n),
    "lognormal": lambda rng, n: rng.lognormal(3, 1.2, n),
    "exponential": lambda rng, n: rng.exponential(5, n),
    "signed amounts": lambda rng, n: rng.choice([-1, 1], n) * rng.lognormal(4, 1.0, n),
    "uniform": lambda rng, n: rng.uniform(1, 9, n),
}


def shares_of(numbers: Numbers) -> dict[str, float]:
    """The quantiles that a profile has."""
    return {name: float(np.quantile(numbers, q / 100)) for name, q in NAMES.items()}


def outside(numbers: Numbers, ratio: float = 2.0) -> int:
    """How many numbers lie beyond their own bounds."""
    tails = find_tails(shares_of(numbers), ratio)
    assert tails is not None
    return int(pl.select(tails.outside(pl.lit(pl.Series(numbers)))).to_series().sum())


@pytest.mark.parametrize("name", DRAWS)
def test_known_tails_stay_inside(name: str) -> None:
    """Of 40,000 draws of a skewed or heavy-tailed distribution at most 16 lie beyond."""
    numbers = DRAWS[name](np.random.default_rng(3), 40_000)
    assert outside(numbers) <= 16


@pytest.mark.parametrize("name", DRAWS)
def test_errors_do_not_hide_themselves(name: str) -> None:
    """Of 3 % of numbers that are a thousand times as large, all that left their range are found."""
    rng = np.random.default_rng(4)
    numbers = DRAWS[name](rng, 10_000)
    usual = float(np.quantile(np.abs(numbers), 0.999))
    wrong = rng.choice(10_000, 300, replace=False)
    wrong = wrong[np.abs(numbers[wrong]) > np.quantile(np.abs(numbers), 0.3)]
    numbers[wrong] *= 1000
    tails = find_tails(shares_of(numbers), 2.0)
    assert tails is not None
    far = np.abs(numbers[wrong]) > 40 * usual
    assert far.sum() > 50
    found = (numbers[wrong] > tails.high) | (numbers[wrong] < tails.low)
    assert found[far].mean() >= 0.95


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(1e-3, 1e3), ratio=st.floats(0.5, 4.0), seed=st.integers(0, 50))
def test_units_do_not_matter(scale: float, ratio: float, seed: int) -> None:
    """In another unit the bounds of numbers above zero are the same bounds."""
    numbers = np.random.default_rng(seed).lognormal(2, 0.6, 500)
    one, other = (
        find_tails(shares_of(numbers), ratio),
        find_tails(shares_of(numbers * scale), ratio),
    )
    assert one is not None
    assert other is not None
    assert other.high == pytest.approx(one.high * scale, rel=1e-3)
    assert other.low == pytest.approx(one.low * scale, rel=1e-3, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=60), st.floats(0.1, 5.0))
def test_a_wider_ratio_flags_less(values: list[float], ratio: float) -> None:
    """Whatever the numbers are, doubling the ratio never flags one more."""
    shares = shares_of(np.array(values))
    near, far = find_tails(shares, ratio), find_tails(shares, 2 * ratio)
    assert (near is None) == (far is None)
    if near is not None and far is not None:
        assert far.high >= near.high
        assert far.low <= near.low


def test_numbers_that_hardly_differ_have_no_bounds() -> None:
    """Where the percentiles are the median itself, or unknown, nothing is judged."""
    assert find_tails({"p05": 1.0, "p50": 1.0, "p95": 1.0}, 2.0) is None
    assert find_tails({}, 2.0) is None
