"""Time across the split: planted overlaps are measured, clean and timeless splits pass."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from checks.core.run import SetOutcome
from tests.checks.sets.tables import judge, tables_of

ROWS = 1000
START = datetime(2024, 1, 1)  # noqa: DTZ001 - as a Parquet file without a zone holds it


def made(days: list[int] | np.ndarray, splits: list[str]) -> dict[str, pl.LazyFrame]:
    """Rows in this order, sold on these days."""
    sold = pl.Series(np.asarray(days)).cast(pl.Int64) * 86_400_000_000
    frame = pl.DataFrame({"x": np.arange(len(splits)) % 17, "split": splits,
                          "label": ["a", "b"] * (len(splits) // 2)})  # fmt: skip
    when = pl.lit(START) + sold.cast(pl.Duration("us"))
    return tables_of(frame.with_columns(sold=when), label="label", split="split")


def told(found: SetOutcome) -> list[tuple[str, float]]:
    """Severity and value of each finding."""
    return found.findings.select("severity", "value").rows()


def test_a_split_by_time_passes() -> None:
    """Train before validation before test, and rows of one day on both sides, are sound."""
    splits = ["train"] * 700 + ["val"] * 100 + ["test"] * 200
    found = judge("future_in_train", made(np.arange(ROWS) // 3, splits))
    assert told(found) == []
    assert found.facts["future_in_train"]["later_frac"]["sold"]["test"] == 0


def test_an_overlap_is_measured() -> None:
    """Of 800 train rows 100 are from after the test's beginning, give or take its hundredth."""
    days = np.concatenate([np.arange(700), np.arange(700, 800), np.arange(700, 900)])
    found = judge("future_in_train", made(days, ["train"] * 800 + ["test"] * 200))
    assert told(found) == [("warning", pytest.approx(0.125, abs=0.005))]
    assert found.findings["column"].to_list() == ["sold"]


def test_time_backwards_is_an_error() -> None:
    """A test that lies before train is an error, whatever the order of the rows."""
    days = np.random.default_rng(0).permutation(ROWS)
    found = judge("future_in_train", made(days, ["test" if d < 200 else "train" for d in days]))
    assert told(found) == [("error", pytest.approx(1, abs=0.01))]
    assert "test lies before train" in found.findings["evidence"][0]


def test_a_random_split_is_told_only_where_rows_are_in_order() -> None:
    """The same random split is information on a table in time's order, nothing on another one."""
    rng = np.random.default_rng(1)
    splits = rng.choice(["train", "test"], ROWS, p=[0.8, 0.2]).tolist()
    ordered = judge("future_in_train", made(np.arange(ROWS), splits))
    assert [severity for severity, _ in told(ordered)] == ["info"]
    assert told(judge("future_in_train", made(rng.permutation(ROWS), splits))) == []


def test_a_few_wrong_dates_change_nothing() -> None:
    """One test row in 200 dated 1970 does not make the test begin there."""
    days = np.arange(ROWS)
    days[800] = -19_000
    assert told(judge("future_in_train", made(days, ["train"] * 800 + ["test"] * 200))) == []


@pytest.mark.parametrize("held", [0, 20])
def test_too_few_dates_are_not_judged(held: int) -> None:
    """Without a test, or with twenty rows of it, no order is told."""
    splits = ["test"] * held + ["train"] * (ROWS - held)
    found = judge("future_in_train", made(np.arange(ROWS), splits))
    assert told(found) == []
    assert found.facts["future_in_train"]["later_frac"]["sold"] == {}
