"""What is done about labels: ambiguous ones are spared, weights are soft, slices have caps."""

from __future__ import annotations

import polars as pl
import pytest

from checks.core.errors import CheckError, TableError
from checks.core.policy import Policy, Verdict, decide
from checks.core.policy_ambiguous import mark_ambiguous

COUNT = 100
FREE = {"min_class_count": 0, "max_class_share_loss": 1.0}


def key(index: int) -> str:
    """Return the sample_id of sample number `index`."""
    return f"{index:032x}-0"


def make_samples(split: str = "train") -> pl.DataFrame:
    """A hundred samples, half of them labelled `a` and half `b`."""
    ids = [key(index) for index in range(COUNT)]
    return pl.DataFrame({
        "sample_id": ids, "split": split, "label": ["a", "b"] * (COUNT // 2), "uri": "t.parquet",
        "row": range(COUNT), "byte_size": 1, "xxh3_128": [one[:32] for one in ids],
    })  # fmt: skip


def make_findings(*rows: int, check: str = "unlikely_label") -> pl.DataFrame:
    """Labels that one check doubts."""
    told = {
        "sample_id": [key(row) for row in rows], "check_id": check, "column": None,
        "dimension": "incorrect", "severity": "error", "value": 1.0, "threshold": 0.5,
        "evidence": "seen", "suggestion": "b",
    }  # fmt: skip
    return pl.DataFrame(told, schema_overrides={"column": pl.String, "sample_id": pl.String})


def make_scores(**columns: dict[int, object]) -> pl.DataFrame:
    """Scores of some rows by column, null elsewhere."""
    ids = [key(index) for index in range(COUNT)]
    told = {name: [by.get(row) for row in range(COUNT)] for name, by in columns.items()}
    return pl.DataFrame({"sample_id": ids, **told})


def judge(findings: pl.DataFrame, scores: pl.DataFrame, **limits: object) -> Verdict:
    """Decide with a policy that holds nothing back but what `limits` says."""
    slices = limits.pop("slices", None)
    policy = Policy(**{**FREE, "force": True, **limits})
    asks = {"unlikely_label": "drop", "conflicting_labels": "down_weight"}
    return decide(make_samples(), findings, scores, policy, asks, slices=slices)


def test_a_plausible_second_choice_is_spared():
    """Second choice at its class's usual probability, or half of the neighbours: no drop."""
    scores = make_scores(
        label_prob={0: 0.45, 2: 0.45, 4: 0.05, 6: 0.4, 8: 0.0},
        suggestion_prob={0: 0.5, 2: 0.5, 4: 0.5, 6: 0.4, 8: 0.5},
        label_votes={4: 0.5, 6: 0.49},
    )
    verdict = judge(make_findings(0, 2, 4, 6, 8), scores)
    told = verdict.decisions.filter(pl.col("check_ids").list.len() > 0)
    assert told["action"].to_list() == ["review", "review", "review", "drop", "drop"]
    assert told["weight"].to_list() == [1, 1, 1, 0, 0]
    assert verdict.facts["ambiguous"] == {"neighbours": 1, "second_choice": 2, "spared": 3}


def test_an_ambiguous_sample_can_weigh_less():
    """`ambiguous_weight` weighs it, and it alone; another check's doubt weighs as ever."""
    scores = make_scores(label_votes={0: 0.9, 2: 0.9})
    findings = pl.concat([make_findings(0, 2), make_findings(2, check="conflicting_labels")])
    verdict = judge(findings, scores, ambiguous_weight=0.5)
    rows = verdict.decisions.filter(pl.col("check_ids").list.len() > 0).select("action", "weight")
    assert rows.rows() == [("down_weight", 0.5), ("down_weight", 0.25)]


def test_nothing_is_ambiguous_without_evidence():
    """Scores without the columns, or with nulls, spare nobody."""
    for scores in (make_scores(), make_scores(label_votes={}, label_prob={}, suggestion_prob={})):
        assert judge(make_findings(0), scores).facts["outcomes"]["dropped"] == 1
        assert mark_ambiguous(make_samples(), scores).is_empty()


def test_a_label_that_the_scores_contest_is_shown_as_ambiguous():
    """It is named without a finding too; one that the model would give is not contested."""
    scores = make_scores(suggestion={0: "b", 1: "b"}, label_votes={0: 0.6, 1: 0.6})
    assert mark_ambiguous(make_samples(), scores).rows() == [(key(0), "neighbours")]


def test_soft_weights_are_the_chance_that_the_label_is_right():
    """Soft weighs a doubted label by that chance, at least .05; constant weighs all alike."""
    scores = make_scores(label_wrong={0: 0.9, 2: 0.999, 4: None})
    findings = make_findings(0, 2, 4, check="conflicting_labels")
    soft = judge(findings, scores, weights="soft").decisions.filter(pl.col("weight") < 1)
    assert soft["weight"].to_list() == pytest.approx([0.1, 0.05, 0.25])
    constant = judge(findings, scores, weights="constant").decisions.filter(pl.col("weight") < 1)
    assert constant["weight"].to_list() == [0.25] * 3
    with pytest.raises(CheckError, match="no such way"):
        Policy(weights="sofft")


def test_a_cap_holds_in_every_slice():
    """Of what one annotator labelled 15 % may go, of the smallest slice one; force lifts it."""
    who = pl.DataFrame({
        "sample_id": [key(index) for index in range(COUNT)],
        "annotator": ["ada"] * 40 + ["bob"] * 3 + ["eve"] * 57,
    })  # fmt: skip
    findings = make_findings(*range(20), 40, 41)
    scores = make_scores(label_suspicion={row: 1 - row / COUNT for row in range(COUNT)})
    capped = judge(findings, scores, slices=who, force=False, max_drop_frac=1.0,
                   max_class_drop_frac=1.0)  # fmt: skip
    dropped = capped.decisions.filter(pl.col("outcome") == "dropped")["sample_id"].to_list()
    assert dropped == [key(row) for row in (0, 1, 2, 3, 4, 5, 40)]
    told = "cap reached: 15 more would go over 15% of the samples with one annotator; "
    assert capped.facts["caps"] == [told + "down-weighted instead"]
    assert judge(findings, scores, slices=who).facts["outcomes"]["dropped"] == 22
    nothing = judge(findings, scores, slices=who, force=False, max_slice_drop_frac=0.0)
    assert nothing.facts["outcomes"]["dropped"] == 0


def test_biased_cleaning_is_visible():
    """The slice that is flagged more often than the rest stands first, with its interval."""
    who = pl.DataFrame({
        "sample_id": [key(index) for index in range(COUNT)],
        "annotator": ["ada"] * 20 + [None] * 80,
    })  # fmt: skip
    slices = judge(make_findings(*range(12)), make_scores(), slices=who).facts["slices"]
    assert (slices["flagged"], slices["dropped"], slices["differ"]) == (12, 12, 2)
    first = slices["rows"][0]
    assert (first["slice"], first["value"], first["rate"]) == ("annotator", "ada", 0.6)
    assert first["low"] < 0.6 < first["high"]
    assert first["ratio"] == 5.0
    assert first["q_flagged"] == first["q_dropped"] < 1e-8
    assert {row["value"] for row in slices["rows"]} == {"ada", "(missing)", "a", "b"}
    assert all(row["q_flagged"] > 0.05 for row in slices["rows"] if row["slice"] == "class")


def test_slices_that_are_no_table_are_refused():
    """A sample twice, or no sample_id, raises one sentence."""
    for wrong in ({"sample_id": [key(0)] * 2}, {"who": ["ada"]}):
        with pytest.raises(TableError, match="no table of slices"):
            judge(make_findings(0), make_scores(), slices=pl.DataFrame(wrong))
