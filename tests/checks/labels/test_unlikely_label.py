"""The label check: ranking, probabilities, held-out splits, sets too small to judge."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from checks.core.check import SetExample
from checks.labels.unlikely_label import unlikely_label

TABLES = unlikely_label.examples[0]
assert isinstance(TABLES, SetExample)
WRONG = TABLES.flagged


def tables() -> dict[str, pl.LazyFrame]:
    """The tables of the check's own example: 60 of 600 labels are wrong."""
    assert isinstance(TABLES, SetExample)
    return {name: pl.DataFrame(dict(table)).lazy() for name, table in TABLES.tables.items()}


def test_wrong_labels_rank_first() -> None:
    """Wrong labels are more suspicious than nearly all right ones, and no score is missing."""
    scores = unlikely_label(tables()).scores
    wrong = pl.col("sample_id").is_in(list(WRONG))
    assert scores["label_suspicion"].null_count() == 0
    least = scores.filter(wrong)["label_suspicion"].quantile(0.1)
    assert scores.filter(~wrong)["label_suspicion"].quantile(0.9) < least


def test_the_right_label_is_proposed() -> None:
    """The suggestion is the class of the arm that the sample lies in."""
    found = unlikely_label(tables()).findings.filter(pl.col("sample_id").is_in(list(WRONG)))
    truth = found["sample_id"].map_elements(lambda s: "abcd"[int(s[:32], 16) % 4], pl.String)
    assert (found["suggestion"] == truth).mean() > 0.95


def test_held_out_findings_are_warnings() -> None:
    """Test labels are judged against train, and only as a warning."""
    given = tables()
    third = pl.int_range(pl.len()) % 3 == 0
    split = pl.when(third).then(pl.lit("test")).otherwise(pl.lit("train"))
    judged = unlikely_label({**given, "samples": given["samples"].with_columns(split=split)})
    found = judged.findings.join(given["samples"].with_columns(split=split).collect(),
                                 on="sample_id")  # fmt: skip
    assert set(found.filter(split="test")["severity"]) <= {"warning"}
    assert set(found.filter(split="train")["severity"]) <= {"error"}
    assert judged.scores["label_suspicion"].null_count() == 0


def test_probabilities_are_heard() -> None:
    """A trained model's out-of-sample scores move the ranking of what it doubts."""
    given = tables()
    ids = given["samples"].collect()["sample_id"]
    doubted = next(i for i in ids if i not in WRONG)
    labels = given["samples"].collect()["label"]
    rows = [
        {"sample_id": s, "class_name": c, "fold": 0,
         "prob": 0.01 if (c == label) == (s == doubted) else 0.33}
        for s, label in zip(ids, labels, strict=True) for c in "abcd"
    ]  # fmt: skip
    probabilities = pl.LazyFrame(rows).with_columns(pl.col("prob").cast(pl.Float32))
    before, after = (
        unlikely_label(t).scores.filter(sample_id=doubted)["label_suspicion"].item()
        for t in (given, {**given, "probabilities": probabilities})
    )
    assert after > before


def test_too_few_samples_are_not_judged() -> None:
    """A set too small to calibrate on is left alone, and a fact says so."""
    small = {name: table.head(12) for name, table in tables().items()}
    judged = unlikely_label(small)
    assert judged.findings.height == 0
    assert "not_judged" in judged.facts
    assert judged.scores["label_suspicion"].null_count() == 12


def test_missing_labels_and_array_features() -> None:
    """Samples without a label or features get a null score; an Array column serves as a List."""
    given = tables()
    label = pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise(pl.col("label"))
    features = given["features"].with_columns(pl.col("features").cast(pl.Array(pl.Float32, 2)))
    judged = unlikely_label({
        "samples": given["samples"].with_columns(label=label), "features": features.slice(1),
    })  # fmt: skip
    assert judged.scores["label_suspicion"].null_count() == 2
    assert np.isfinite(judged.scores["label_suspicion"].drop_nulls().to_numpy()).all()


def clouds(seed: int, wrong_frac: float, count: int = 1200) -> tuple[dict[str, pl.LazyFrame], set]:
    """Five overlapping clouds in ten dimensions, some labels wrong; and whose those are."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, count)
    points = 2.2 * rng.standard_normal((5, 10))[truth] + 2 * rng.standard_normal((count, 10))
    hit = rng.random(count) < wrong_frac
    given = np.where(hit, (truth + rng.integers(1, 5, count)) % 5, truth)
    ids = [f"{row:032x}-0" for row in range(count)]
    samples = {"sample_id": ids, "split": ["train"] * count,
               "label": [f"class {place}" for place in given]}  # fmt: skip
    features = {"sample_id": ids, "features": points.tolist()}
    named = {name: pl.LazyFrame(part) for name, part in
             (("samples", samples), ("features", features))}  # fmt: skip
    return named, {ids[row] for row in np.flatnonzero(hit)}


@pytest.mark.parametrize("seed", range(4))
def test_right_labels_are_left_alone(seed: int) -> None:
    """Where all labels are right, however the clouds overlap, none is found and a fact says so."""
    judged = unlikely_label(clouds(seed, 0.0)[0])
    assert judged.findings.height <= 2
    assert judged.facts["wrong_labels"]["low"] <= 2
    if not judged.findings.height:
        assert judged.facts["says"].startswith("none found")


@pytest.mark.parametrize("seed", range(3))
def test_estimated_precision_is_near(seed: int) -> None:
    """With a tenth of the labels wrong, what is flagged is about as precise as it is said to be."""
    given, wrong = clouds(seed, 0.1)
    judged = unlikely_label(given)
    found = set(judged.findings["sample_id"])
    assert len(found) >= 20
    true = len(found & wrong) / len(found)
    assert true == pytest.approx(judged.facts["estimated_precision"], abs=0.15)
    count = judged.facts["wrong_labels"]
    assert count["low"] <= len(wrong) <= count["high"]


def test_labels_without_cause_are_left_alone() -> None:
    """Labels that have nothing to do with the features are no errors."""
    given, _ = clouds(0, 0.0)
    label = pl.Series(
        [f"style {place}" for place in np.random.default_rng(1).integers(0, 30, 1200)]
    )
    judged = unlikely_label({**given, "samples": given["samples"].with_columns(label=label)})
    assert judged.findings.height <= 12


def test_first_choice_is_never_flagged() -> None:
    """A finding always proposes another label than the one given."""
    given, _ = clouds(2, 0.2)
    found = unlikely_label(given).findings.join(given["samples"].collect(), on="sample_id")
    assert found.height
    assert (found["suggestion"] != found["label"]).all()


def test_facts_are_small_and_repeatable() -> None:
    """Facts are plain JSON of a few kB, the same again, with a budget curve that never rises."""
    given, _ = clouds(3, 0.1)
    facts = dict(unlikely_label(given).facts)
    assert json.dumps(facts) == json.dumps(dict(unlikely_label(given).facts))
    assert len(json.dumps(facts)) < 10_000
    curve = pl.DataFrame(facts["budgets"])
    for name, falling in (("precision", True), ("low", True), ("recall", False)):
        assert curve[name].is_sorted(descending=falling)
