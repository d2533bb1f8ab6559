"""The label check: ranking, probabilities, held-out splits, sets too small to judge."""

from __future__ import annotations

import numpy as np
import polars as pl

from checks.core.check import SetExample
from checks.labels.unlikely_label import unlikely_label

TABLES = unlikely_label.examples[0]
assert isinstance(TABLES, SetExample)
WRONG = TABLES.flagged


def tables() -> dict[str, pl.LazyFrame]:
    """The tables of the check's own example: 75 of 600 labels are wrong."""
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
