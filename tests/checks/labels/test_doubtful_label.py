"""Labels that may be wrong are doubted by their chance, after the check that tells it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from checks.core.check import load_checks
from checks.core.policy import Policy, decide
from checks.core.run import run_set_checks

CHECKS = load_checks()
ASKS = {"unlikely_label": "drop", "doubtful_label": "down_weight"}
Bools = npt.NDArray[np.bool_]


def make_tables(flipped: float) -> tuple[dict[str, pl.LazyFrame], Bools]:
    """Four blurred clouds of 2,000 train and 400 test samples; which labels were made wrong."""
    rng = np.random.default_rng(0)
    count = 2_400
    true = rng.integers(0, 4, count)
    centres = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    points = centres[true] + rng.normal(0, 0.33, (count, 2))
    wrong = rng.random(count) < flipped
    given = np.where(wrong, (true + rng.integers(1, 4, count)) % 4, true)
    ids = [f"{at:032x}-0" for at in range(count)]
    samples = pl.DataFrame({
        "sample_id": ids, "split": ["train"] * 2_000 + ["test"] * 400,
        "label": given.astype(str), "uri": "t.parquet", "row": range(count), "byte_size": 1,
        "xxh3_128": [one[:32] for one in ids],
    })  # fmt: skip
    features = pl.DataFrame({"sample_id": ids, "features": points.tolist()})
    return {"samples": samples.lazy(), "features": features.lazy()}, wrong


def test_doubted_labels_are_wrong_as_often_as_they_are_said_to_be() -> None:
    """The chances of the doubted add up to how many of them are wrong; test labels are left out."""
    tables, wrong = make_tables(0.2)
    outcome = run_set_checks(tables, [CHECKS["doubtful_label"], CHECKS["unlikely_label"]])
    found = outcome.findings.filter(pl.col("check_id") == "doubtful_label")
    places = found["sample_id"].str.head(32).str.to_integer(base=16).to_numpy()
    assert places.max() < 2_000
    assert found["severity"].unique().to_list() == ["info"]
    assert found["value"].sum() == pytest.approx(int(wrong[places].sum()), rel=0.1)


def test_where_no_label_is_wrong_none_is_doubted() -> None:
    """Clean labels, some of them hard to tell, keep their whole weight."""
    tables, _ = make_tables(0.0)
    outcome = run_set_checks(tables, list(map(CHECKS.get, ASKS)))
    assert outcome.facts["unlikely_label"]["flagged"] == 0
    assert outcome.facts["doubtful_label"]["doubted"] == 0
    assert outcome.scores["label_wrong"].null_count() == 2_400
    assert outcome.scores["label_suspicion"].null_count() == 0


def test_labels_that_no_feature_tells_are_not_doubted() -> None:
    """Labels drawn at random look as wrong as any other: all keep their weight."""
    tables, _ = make_tables(0.75)
    outcome = run_set_checks(tables, list(map(CHECKS.get, ASKS)))
    assert outcome.findings.filter(pl.col("check_id").is_in(list(ASKS))).is_empty()


def test_a_doubted_label_weighs_its_chance_of_being_right() -> None:
    """The sure ones go, the others stay with 1 - label_wrong, and no one is sent to review."""
    tables, _ = make_tables(0.2)
    outcome = run_set_checks(tables, list(map(CHECKS.get, ASKS)))
    samples = tables["samples"].collect()
    decided = decide(samples, outcome.findings, outcome.scores, Policy(), ASKS).decisions
    only = decided.filter(pl.col("check_ids").list.eval(pl.element() == "unlikely_label")
                          .list.any().not_() & (pl.col("check_ids").list.len() > 0))  # fmt: skip
    assert only.height
    assert set(only["action"]) == {"down_weight"}
    wrong = only.join(outcome.scores, on="sample_id")["label_wrong"]
    assert only["weight"].to_list() == pytest.approx((1 - wrong).to_list(), abs=1e-4)
    assert (decided["outcome"] == "dropped").sum() > 0


def test_without_the_other_check_nothing_is_judged() -> None:
    """No chances, no findings, and a fact that says why."""
    tables, _ = make_tables(0.2)
    outcome = run_set_checks(tables, [CHECKS["doubtful_label"]])
    assert outcome.findings.is_empty()
    assert outcome.facts["doubtful_label"] == {"not_run": "no table scores"}
    told = tables["samples"].select("sample_id", other=pl.lit(0.5))
    outcome = run_set_checks(tables | {"scores": told}, [CHECKS["doubtful_label"]])
    assert outcome.facts["doubtful_label"] == {"not_judged": "unlikely_label did not run"}
