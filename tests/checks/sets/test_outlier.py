"""The outlier check."""

from __future__ import annotations

import numpy as np
import polars as pl

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
