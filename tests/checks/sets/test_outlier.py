"""The outlier check."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from checks.sets.outlier import outlier


def tables(width: int, *, far: int = 3) -> dict[str, pl.LazyFrame]:
    """A cloud of 300 samples in `width` dimensions, the first `far` of them displaced."""
    points = np.random.default_rng(1).standard_normal((300, width)).astype(np.float32)
    points[:far] += 6
    ids = [f"{at:03}" for at in range(300)]
    split = ["test" if at % 3 == 1 else "train" for at in range(300)]
    features = pl.Series(points, dtype=pl.Array(pl.Float32, width))
    return {"samples": pl.LazyFrame({"sample_id": ids, "split": split}),
            "features": pl.LazyFrame({"sample_id": ids, "features": features})}  # fmt: skip


def test_far_samples_are_found_in_every_split() -> None:
    """Displaced samples score highest and are flagged, whether many columns or few."""
    for width in (8, 300):
        judged = outlier(tables(width))
        top = judged.scores.sort("outlier_score", descending=True)["sample_id"].head(3)
        assert set(top) == {"000", "001", "002"}
        assert {"000", "001", "002"} <= set(judged.findings["sample_id"])
        assert judged.findings.height <= 6


def test_missing_features_have_no_score() -> None:
    """A sample without features has a row with null."""
    given = tables(4)
    judged = outlier({**given, "features": given["features"].slice(10)})
    assert judged.scores.height == 300
    assert judged.scores["outlier_score"].null_count() == 10


def test_too_few_are_not_judged() -> None:
    """A handful of samples has no usual distance, and a fact says so."""
    given = {name: table.head(5) for name, table in tables(4).items()}
    assert "not_judged" in outlier(given).facts


def made(seed: int, kind: str) -> dict[str, pl.LazyFrame]:
    """A sound set of 1,000 samples, a fifth of them test."""
    draw = np.random.default_rng([51, seed])
    points = {
        "normal": lambda: draw.standard_normal((1000, 16)),
        "clouds": lambda: (
            draw.standard_normal((1000, 8)) + 6 * np.eye(4, 8)[draw.integers(0, 4, 1000)]
        ),
        "plane": lambda: draw.standard_normal((1000, 2)),
        "categories": lambda: np.eye(20)[draw.integers(0, 20, 1000)],
        "half equal": lambda: draw.standard_normal((1000, 4)) * (draw.random((1000, 1)) < 0.5),
    }[kind]()
    ids = [f"{at:04}" for at in range(1000)]
    split = ["test" if at % 5 == 1 else "train" for at in range(1000)]
    width = pl.Array(pl.Float32, points.shape[1])
    features = pl.Series(points.astype(np.float32), dtype=width)
    return {"samples": pl.LazyFrame({"sample_id": ids, "split": split}),
            "features": pl.LazyFrame({"sample_id": ids, "features": features})}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "most"),
    [("normal", 0), ("clouds", 0), ("categories", 0), ("plane", 100), ("half equal", 100)],
)
def test_false_alarms(kind: str, most: int) -> None:
    """Of ten sound sets none is flagged; in two features, at most a hundredth of the samples."""
    assert sum(outlier(made(seed, kind)).findings.height for seed in range(10)) <= most


def test_few_rows_without_equals_stand_out() -> None:
    """Where nearly all rows have equals, one that has none is found."""
    given = made(0, "categories")
    points = given["features"].collect()
    first = points["features"].to_numpy().copy()
    first[0] = 3.0
    features = pl.Series("features", first, dtype=points["features"].dtype)
    judged = outlier({**given, "features": points.with_columns(features).lazy()})
    assert judged.findings["sample_id"].to_list() == ["0000"]


def test_a_foreign_test_sample_is_told_otherwise() -> None:
    """Of a test sample it is said that train holds nothing like it; of a train sample, not."""
    judged = outlier(tables(8))
    told = dict(judged.findings.select("sample_id", "evidence").iter_rows())
    assert told["001"].startswith("nothing in train is like this test sample")
    assert told["000"].startswith("its nearest train samples")
    assert judged.facts["outliers_test_frac"] == 0.01
