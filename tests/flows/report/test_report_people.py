"""What the report makes of decisions: who survives of copies, and what people decided."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flows.report import build_report, render_html
from flows.report.duplicates import group_duplicates
from flows.report.ledger import PERSON, count_fates, list_taken, sum_ledger
from tests.flows.report.made_findings import IDS, make_decisions, make_findings, make_samples

FATE = st.sampled_from(["kept", "dropped", "quarantined"])


def _act(outcome: str) -> tuple[str, str, str]:
    return {"kept": "keep", "dropped": "drop"}.get(outcome, "review"), outcome, "policy"


@given(fates=st.lists(FATE, min_size=2, max_size=6), copies=st.booleans())
def test_a_group_begins_with_a_survivor(fates: list[str], copies: bool) -> None:
    """Whatever was decided of contradicting or plain copies, survivors stand before the others.

    Only a survivor is called the one that is kept, and it is where it is the only one.
    """
    count = len(fates)
    samples = make_samples(["a" if copies or i % 2 else "b" for i in range(count)],
                           xxh3_128=["1" * 32] * count)  # fmt: skip
    findings = make_findings("conflicting_labels", IDS[:count], dimension="incorrect")
    if copies:
        findings = make_findings("exact_duplicate", IDS[1:count], dimension="duplicate",
                                 suggestion=IDS[0])  # fmt: skip
    decided = make_decisions(samples, **{f"at{i}": _act(fate) for i, fate in enumerate(fates)})
    (group,) = group_duplicates(findings, samples, decided)["groups"]
    stays = [member["outcome"] == "kept" for member in group["members"]]
    assert {m["sample_id"] for m in group["members"]} == set(IDS[:count])
    assert stays == sorted(stays, reverse=True)
    roles = [member["role"] for member in group["members"]]
    assert roles[1:] == ["copy"] * (count - 1)
    if sum(stays) == 1:
        assert roles[0] == "keeper"
    if not any(stays):
        assert roles[0] == "first"


def test_a_turn_is_not_told_of_the_other_side() -> None:
    """Where a group is turned around, the bits between the two stay and the turn is not claimed."""
    samples = make_samples(["a", "a"])
    findings = make_findings("near_duplicate", IDS[1:2], dimension="duplicate", value=7.0,
                             threshold=40.0, suggestion=IDS[0],
                             evidence="7 of 256 bits, turned by 90 degrees")  # fmt: skip
    decided = make_decisions(samples, at0=("drop", "dropped", "policy"))
    (group,) = group_duplicates(findings, samples, decided)["groups"]
    told = [(m["sample_id"], m["role"], m["differs"]) for m in group["members"]]
    assert told == [(IDS[1], "keeper", []), (IDS[0], "copy", ["7 of 256 bits"])]


def test_no_check_answers_for_what_people_decided() -> None:
    """A person's verdict has a bar of its own and counts under none of the sample's checks."""
    samples = make_samples(["a"] * 4)
    decided = make_decisions(
        samples, at0=("drop", "dropped", "policy"), at1=("drop", "dropped", "ann"),
        at2=("relabel", "repaired", "reviewers"),
    )  # fmt: skip
    taken = {row.pop("check_id"): row for row in list_taken(decided)}
    assert taken["some_check"] == {"dropped": 1, "quarantined": 0, "repaired": 0,
                                   "down_weighted": 0}  # fmt: skip
    assert taken[PERSON] == {"dropped": 1, "quarantined": 0, "repaired": 1, "down_weighted": 0}
    assert count_fates(decided)["some_check"] == {"dropped": 1, "by_person": 2}


def test_held_out_samples_that_people_changed_are_told(table_run: Any) -> None:
    """The method says how many test samples people changed, and on which labels arms are scored."""
    path = table_run.path / "decisions.parquet"
    split = pl.read_parquet(table_run.path / "samples.parquet").select("sample_id", "split")
    tests = split.filter(split="test")["sample_id"].head(2)
    mine = pl.col("sample_id").is_in(tests.implode())
    pl.read_parquet(path).with_columns(
        outcome=pl.when(mine).then(pl.lit("repaired")).otherwise("outcome"),
        decided_by=pl.when(mine).then(pl.lit("ann")).otherwise("decided_by"),
    ).write_parquet(path)
    report = build_report(table_run.path, **table_run.options())
    assert report["ledger"]["held_out_by_people"] == {"test": 2}
    html = render_html(report)
    assert "People changed 2 test samples. The cleaned shards that were written hold them" in html
    assert "with the labels as given" in html


def test_without_people_nothing_is_said_of_them() -> None:
    """What the policy did to held-out samples is not told as people's deed."""
    samples = make_samples(["a"] * 3, split=["test", "train", "val"])
    decided = make_decisions(samples, at0=("drop", "dropped", "policy"),
                             at1=("drop", "dropped", "ann"))  # fmt: skip
    ledger = sum_ledger(samples, decided, None)
    assert ledger is not None
    assert (ledger["held_out_by_people"], ledger["decided_by_people"]) == ({}, 1)
