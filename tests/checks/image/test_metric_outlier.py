"""Outliers within a class."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from checks.core.check import load_checks
from checks.core.run import run_row_checks


@pytest.fixture(scope="module")
def night_and_day() -> pl.DataFrame:
    """Sixty night and sixty day scenes; sample 0 is a night scene labelled day."""
    rng = np.random.default_rng(0)
    luma = np.r_[0.1, rng.normal(0.7, 0.02, 59), rng.normal(0.1, 0.02, 60)]
    flat = {"colourfulness": 20.0, "luma_std": 0.2, "entropy_bits": 7.0, "sharpness": 500.0}
    return pl.DataFrame({
        "sample_id": [f"s{i:03}" for i in range(120)], "label": ["day"] * 60 + ["night"] * 60,
        "luma_mean": luma,
    }).with_columns(pl.lit(value).alias(name) for name, value in flat.items())  # fmt: skip


def found(frame: pl.DataFrame, **params: object) -> pl.DataFrame:
    """The findings of the check."""
    check = load_checks()["metric_outlier"].configured(**params)
    return run_row_checks(frame.lazy(), [check])


def test_by_class(night_and_day: pl.DataFrame) -> None:
    """A dark picture among day scenes is an outlier of its class, not of the set; it is told."""
    inside = found(night_and_day, by_class=True)
    assert found(night_and_day).height == 0
    assert inside["sample_id"].to_list() == ["s000"]
    assert inside["evidence"][0].endswith("label day")


def test_small_classes_and_no_labels(night_and_day: pl.DataFrame) -> None:
    """Classes below `class_count`, and sets without labels, are judged as one set."""
    assert found(night_and_day, by_class=True, class_count=61).height == 0
    assert found(night_and_day.drop("label"), by_class=True).height == 0
