"""Rare and missing classes: planted ones named once, none on sets that are sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from checks.core.check import Judged, load_checks

CHECKS = load_checks()


def judge(check_id: str, labels: list[str], splits: list[str], **settings: Any) -> Judged:
    """What a check says of samples with these labels and splits."""
    ids = [f"{at:032x}-0" for at in range(len(labels))]
    samples = pl.LazyFrame({"sample_id": ids, "split": splits, "label": labels})
    judged: Judged = CHECKS[check_id].configured(**settings)({"samples": samples})
    return judged


def drawn(seed: int, shares: list[float], rows: int) -> tuple[list[str], list[str]]:
    """Labels drawn with these shares, and splits at random."""
    draw = np.random.default_rng([21, seed])
    labels = [f"c{at}" for at in draw.choice(len(shares), rows, p=shares)]
    return labels, draw.choice(["train", "val", "test"], rows, p=[0.6, 0.2, 0.2]).tolist()


def test_no_alarm_on_even_classes() -> None:
    """Of 300 sets of even classes, down to ten samples each, at most three have a finding."""
    alarms = 0
    for seed in range(300):
        rows, classes = ((200, 10), (400, 10), (60, 2))[seed % 3]
        labels, splits = drawn(seed, [1 / classes] * classes, rows)
        alarms += judge("class_imbalance", labels, splits).findings.height > 0
    assert alarms <= 3


def test_each_rare_class_is_named_once() -> None:
    """Two rare classes of five have a finding each with what they lack; facts tell evenness."""
    labels, splits = drawn(0, [0.32, 0.32, 0.3, 0.04, 0.02], 3000)
    judged = judge("class_imbalance", labels, splits)
    assert judged.findings.height == 2
    told = " ".join(judged.findings["evidence"])
    assert "'c3' has" in told
    assert "'c4' has" in told
    lack = judged.findings.sort("value")["evidence"][0].split("it lacks ")[1].split(" ")[0]
    counts = np.unique([n for n, s in zip(labels, splits, strict=True) if s == "train"],
                       return_counts=True)[1]  # fmt: skip
    mended = (counts[4] + int(lack)) / (counts.sum() + int(lack))
    assert 0.1 <= mended < 0.1 + 2 / counts.sum()
    assert 0.7 < judged.facts["evenness_train"] < 0.9  # type: ignore[operator]


def test_another_spelling_is_no_class() -> None:
    """A label of test that train spells otherwise is neither rare nor missing."""
    labels = ["yes"] * 60 + ["no"] * 60 + ["yes."] * 20 + ["no."] * 20
    splits = ["train"] * 120 + ["test"] * 40
    assert judge("class_imbalance", labels, splits).findings.height == 0
    assert judge("missing_class", labels, splits).findings.height == 0


def test_no_alarm_on_random_splits() -> None:
    """Of 300 random splits with classes from rare to common at most three have a warning."""
    alarms = 0
    for seed in range(300):
        labels, splits = drawn(seed, [0.55, 0.3, 0.1, 0.04, 0.01], 600)
        found = judge("missing_class", labels, splits).findings
        alarms += found.filter(pl.col("severity") == "warning").height > 0
    assert alarms <= 3


def test_missing_classes_are_named_once() -> None:
    """A class that validation and test lack is one finding; one that train lacks is an error."""
    labels, splits = drawn(1, [0.4, 0.3, 0.3], 900)
    splits = ["train" if name == "c1" else s for name, s in zip(labels, splits, strict=True)]
    judged = judge("missing_class", [*labels, "c9"], [*splits, "test"])
    found = judged.findings.sort("severity")
    assert found["severity"].to_list() == ["error", "warning"]
    assert "'c9' has 1 samples in test, but none in train" in found["evidence"][0]
    assert found["evidence"][1].endswith("none in val, test")


def test_sets_without_splits_or_classes_are_not_judged() -> None:
    """One split has no class to miss, one class no share; the facts say so."""
    assert "not_judged" in judge("missing_class", ["a", "b"], ["train"] * 2).facts
    assert "not_judged" in judge("class_imbalance", ["a"] * 50, ["train"] * 50).facts
