"""Classes given away by a property of the file: silent on chance, loud on planted leaks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.core.check import Judged, load_checks
from checks.metrics.bins import Bins
from checks.sets.property_label_leak import _name_range

CLASSES, EACH = 5, 60


def made(rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Samples of five classes and metrics that do not know them."""
    count = CLASSES * EACH
    ids = [f"{i:032x}-0" for i in range(count)]
    samples = pl.DataFrame({
        "sample_id": ids, "split": "train", "label": [f"c{i % CLASSES}" for i in range(count)],
        "byte_size": rng.integers(3000, 9000, count),
    })  # fmt: skip
    metrics = pl.DataFrame({
        "sample_id": ids, "luma_mean": rng.beta(3, 4, count),
        "colourfulness": rng.gamma(3, 9, count),
        "sharpness": rng.lognormal(6, 1, count), "width_px": rng.integers(300, 600, count),
        "area_px": rng.integers(90_000, 250_000, count), "border_frac": np.zeros(count),
        "format": rng.choice(["JPEG", "PNG"], count, p=[0.8, 0.2]),
        "jpeg_quality": rng.choice([75, 90, 95], count),
    })  # fmt: skip
    return samples, metrics


def judge(samples: pl.DataFrame, metrics: pl.DataFrame, **params: Any) -> Judged:
    """What the check says."""
    check = load_checks()["property_label_leak"].configured(**params)
    judged: Judged = check({"samples": samples.lazy(), "metrics": metrics.lazy()})
    return judged


def test_false_alarms() -> None:
    """Where labels say nothing nothing is flagged, and p is below .05 in 5 % of the sets.

    Of 80 sets with a chance of .05 each, 9 or more are seen in fewer than 2 of 100 cases.
    """
    below = 0
    for seed in range(80):
        judged = judge(*made(np.random.default_rng([9, seed])), rounds=399, seed=seed)
        facts: Any = judged.facts["properties"]
        below += min(fact["p_adjusted"] for fact in facts.values()) <= 0.05
        assert judged.findings.height == 0
    assert below <= 8


@pytest.mark.parametrize(
    ("leak", "name"),
    [
        (pl.when(pl.col("c") & pl.col("most")).then(pl.lit("PNG")).otherwise(pl.lit("JPEG")),
         "format"),
        (pl.when("c").then(pl.col("luma_mean") / 4).otherwise("luma_mean"), "luma_mean"),
        (pl.when(pl.col("c") & pl.col("most")).then(640).otherwise("width_px"), "width_px"),
        (pl.when(pl.col("c") & pl.col("most")).then(30).otherwise("jpeg_quality"), "jpeg_quality"),
        (pl.when(pl.col("c") & pl.col("most")).then(None).otherwise("jpeg_quality"),
         "jpeg_quality"),
    ],
)  # fmt: skip
def test_planted_leaks(leak: pl.Expr, name: str) -> None:
    """Format, darkness, size, JPEG quality or its absence is named, on that class alone."""
    samples, metrics = made(np.random.default_rng(1))
    marked = metrics.with_columns(c=samples["label"] == "c3", most=pl.int_range(pl.len()) % 30 != 3)
    metrics = marked.with_columns(leak.alias(name)).drop("c", "most")
    judged = judge(samples, metrics)
    found = judged.findings.join(samples, on="sample_id")
    assert set(found["label"]) == {"c3"}
    assert found.height == 1
    assert found["evidence"].str.contains(f"'c3' is given away by {name}: ", literal=True).all()
    assert next(iter(judged.facts["properties"])) == name  # type: ignore[call-overload]


def test_a_trifle_in_a_large_set_is_not_flagged() -> None:
    """A difference that is beyond chance, but small, is told in the facts only."""
    rng = np.random.default_rng(4)
    count = 20_000
    label = rng.integers(0, 2, count)
    ids = [f"{i:032x}-0" for i in range(count)]
    samples = pl.DataFrame({"sample_id": ids, "label": label.astype(str), "byte_size": 9})
    metrics = pl.DataFrame({"sample_id": ids, "luma_mean": rng.normal(label * 0.1, 1)})
    judged = judge(samples, metrics)
    facts: Any = judged.facts["properties"]
    assert judged.findings.height == 0
    assert facts["luma_mean"]["p_adjusted"] <= 0.05


def test_small_classes_are_not_judged() -> None:
    """Three equal pictures of a class of three betray nothing."""
    samples, metrics = made(np.random.default_rng(2))
    label = pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("rare")).otherwise("label")
    metrics = metrics.with_columns(
        luma_mean=pl.when(pl.int_range(pl.len()) < 3).then(0.999).otherwise("luma_mean")
    )
    judged = judge(samples.with_columns(label=label), metrics)
    assert judged.findings.height == 0


def test_what_all_properties_tell_together() -> None:
    """Two halves of a leak, each too small to be named, are told together beside the commonest."""
    samples, metrics = made(np.random.default_rng(3))
    number = samples["label"].str.slice(1).cast(pl.Int64)
    metrics = metrics.with_columns(
        luma_mean=pl.col("luma_mean") + (number % 2) * 0.3,
        sharpness=pl.col("sharpness") * (1 + 9 * (number // 2)),
    )
    facts: Any = judge(samples, metrics).facts
    assert facts["together_low"] > facts["commonest_frac"]
    assert facts["lift"] > 0.15
    assert facts["together_low"] < facts["together_frac"] < facts["together_high"]


def test_nothing_is_told_together_by_chance() -> None:
    """Where properties know nothing the interval holds a fifth in at least 17 of 20 sets."""
    held = 0
    for seed in range(20):
        facts: Any = judge(*made(np.random.default_rng([8, seed])), rounds=19).facts
        held += facts["together_low"] <= 0.2 <= facts["together_high"]
    assert held >= 17


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1, 1, "have 0"),
        (2, 3, "lie in 0 to 2"),
        (1, 2, "lie in 0 to 1.5"),
        (0, 0, "are below 0"),
        (0, 1, "are at most 0"),
        (1, 5, "are at least 0"),
        (2, 5, "are above 0"),
        (3, 3, "lie in 1.5 to 2"),
        (4, 4, "have 2"),
        (6, 6, "have no x"),
    ],
)
def test_ranges_are_told_by_the_values_in_them(low: int, high: int, said: str) -> None:
    """An edge right before a common value is that value: nobody reads -4.9e-324."""
    before = [math.nextafter(value, -math.inf) for value in (0.0, 2.0)]
    bins = Bins("number", (before[0], 0.0, 1.5, before[1], 2.0))
    assert _name_range("x", bins, low, high) == said
