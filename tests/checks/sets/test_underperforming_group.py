"""Groups that do worse than their classes: none in noise or hard classes, each planted one."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.core.check import Judged, load_checks
from checks.metrics.group_errors import compare_group

CHECK = load_checks()["underperforming_group"]
ROWS, SEEDS = 1500, 10


def tables(points: Any, kind: Any) -> dict[str, pl.LazyFrame]:
    """Train samples with these features and classes."""
    ids = [f"{at:032x}-0" for at in range(len(points))]
    width = pl.Array(pl.Float32, points.shape[1])
    features = pl.Series(points.astype(np.float32), dtype=width)
    samples = pl.LazyFrame({
        "sample_id": ids, "split": ["train"] * len(ids), "label": [f"c{at}" for at in kind],
        "uri": ["t.csv"] * len(ids), "row": np.arange(len(ids)),
    })  # fmt: skip
    return {"samples": samples, "features": pl.LazyFrame({"sample_id": ids, "features": features})}


def made(seed: int, noise: str) -> dict[str, pl.LazyFrame]:
    """Four classes apart; labels that say nothing, are flipped evenly, or in one class only."""
    draw = np.random.default_rng([41, seed])
    kind = draw.integers(0, 4, ROWS)
    points = draw.standard_normal((ROWS, 8)) + 6 * np.eye(4, 8)[kind]
    if noise == "nothing told":
        kind = draw.permutation(kind)
    elif noise == "flips":
        kind = np.where(draw.random(ROWS) < 0.15, (kind + draw.integers(1, 4, ROWS)) % 4, kind)
    elif noise == "a hard class":
        kind = np.where((kind == 0) & (draw.random(ROWS) < 0.3), 1, kind)
    return tables(points, kind)


@pytest.mark.parametrize("noise", ["none", "nothing told", "flips", "a hard class"])
def test_no_alarm_where_no_group_is_worse(noise: str) -> None:
    """Of ten sets none has a finding, neither where one class is harder than all others."""
    for seed in range(SEEDS):
        judged: Judged = CHECK(made(seed, noise))
        assert judged.findings.height == 0
        assert judged.facts["groups_judged"]


def spoilt(seed: int) -> tuple[dict[str, pl.LazyFrame], list[bool]]:
    """Five sources with a place of their own, in one of which half of the labels are drawn."""
    draw = np.random.default_rng([43, seed])
    kind, source = draw.integers(0, 3, ROWS), draw.integers(0, 5, ROWS)
    points = draw.standard_normal((ROWS, 10)) + 6 * np.eye(3, 10)[kind]
    points += 8 * np.eye(5, 10, k=3)[source]
    bad = (source == 2) & (draw.random(ROWS) < 0.6)
    made_up = tables(points, np.where(bad, draw.integers(0, 3, ROWS), kind))
    luma = np.where(source == 2, 0.1, 0.6) + 0.05 * draw.standard_normal(ROWS)
    ids = made_up["samples"].select("sample_id").collect()["sample_id"]
    columns = pl.LazyFrame({"name": ["source"], "dtype": ["String"], "kind": ["category"]})
    more = {
        "metrics": pl.LazyFrame({"sample_id": ids, "luma_mean": luma}),
        "rows": pl.LazyFrame({"sample_id": ids, "source": [f"s{at}" for at in source]}),
        "columns": columns,
    }
    return {**made_up, **more}, (source == 2).tolist()


def test_a_spoilt_source_is_found_and_described() -> None:
    """Its value is named; its clusters lie in it, and are told to be darker and from there."""
    for seed in range(3):
        given, inside = spoilt(seed)
        judged: Judged = CHECK(given)
        where = dict(zip(given["samples"].collect()["sample_id"], inside, strict=True))
        assert all(where[one] for one in judged.findings["sample_id"])
        slices = judged.findings.filter(pl.col("column") == "source")
        assert slices["evidence"].str.contains("source = s2").to_list() == [True]
        clusters = judged.findings.filter(pl.col("column").is_null())
        assert clusters.height >= 1
        assert clusters["evidence"].str.contains("lower luma_mean").all()
        assert clusters["evidence"].str.contains("source = s2", literal=True).all()


def test_a_class_inside_a_group_cannot_be_compared() -> None:
    """A group that holds all of its class errs as expected, however much."""
    inside = np.arange(200) < 50
    classes = np.where(inside, 1, 0)
    one = compare_group(inside, np.arange(200) % 2 == 0, classes, classes)
    assert one.gap == pytest.approx(0)
    assert one.p > 0.3


def test_chances_hold() -> None:
    """Where a group errs as its class does elsewhere, p is below .05 in at most 6.5 % of 2,000."""
    draw = np.random.default_rng(6)
    below = 0
    for _ in range(2000):
        inside = np.arange(400) < 60
        classes = draw.integers(0, 2, 400)
        wrong = draw.random(400) < np.where(classes == 0, 0.1, 0.4)
        below += compare_group(inside, wrong, classes, classes).p <= 0.05
    assert below <= 130
