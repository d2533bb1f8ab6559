"""Labels in two spellings: found between splits and within one, never where they may differ."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.check import load_checks
from checks.core.run import SetOutcome, run_set_checks
from checks.metrics.label_spelling import fold_label, match_spellings

CHECK = load_checks()["label_spelling"]


def judge(**splits: list[str | None]) -> SetOutcome:
    """What the check says of labels by split."""
    labels = [(split, label) for split, held in splits.items() for label in held]
    samples = pl.DataFrame(labels, schema={"split": pl.String, "label": pl.String}, orient="row")
    ids = pl.Series("sample_id", [f"{at:032x}-0" for at in range(len(labels))])
    return run_set_checks({"samples": samples.with_columns(ids).lazy()}, [CHECK])


@pytest.mark.parametrize(
    ("train", "test"),
    [("<=50K", "<=50K."), ("yes", " YES "), ("on time", "on_time"), ("3", "3.0"),
     ("cafe\u0301", "caf\xe9"), ("late", "late\xa0")],
)  # fmt: skip
def test_another_spelling_in_test_is_named_once(train: str, test: str) -> None:
    """One finding for a spelling, with the one of train proposed and the rows counted."""
    found = judge(train=[train] * 5 + ["other"] * 3, test=[test] * 4 + ["other", None])
    assert found.findings.select("suggestion", "value").rows() == [(train, 4.0)]
    assert found.findings["sample_id"][0] == f"{8:032x}-0"
    assert found.facts["label_spelling"] == {"rename": {test: train}}


def test_the_commonest_spelling_of_train_is_proposed() -> None:
    """Test may have more rows: what is learnt is what train says."""
    found = judge(train=["No"], test=["no"] * 9)
    assert found.facts["label_spelling"] == {"rename": {"no": "No"}}


@pytest.mark.parametrize("labels", [["a", "A"], ["o", "O", "0"], ["C", "C++"], ["-1", "1"]])
def test_labels_that_may_differ_are_left(labels: list[str]) -> None:
    """Letters in two cases, signs and names with signs are labels of their own."""
    assert judge(train=labels * 20, test=labels).findings.is_empty()


def test_rare_spellings_within_train_are_named() -> None:
    """A spelling of one row in twenty is named, one of every second row is not."""
    assert judge(train=["Yes"] * 20 + ["yes"]).facts["label_spelling"] == {"rename": {"yes": "Yes"}}
    assert judge(train=["Yes"] * 20 + ["yes"] * 10).findings.is_empty()


@given(st.text(max_size=12))
def test_folding_once_is_enough(label: str) -> None:
    """A folded label folds to itself, and nothing folds to nothing but blanks."""
    folded = fold_label(label)
    assert fold_label(folded) == folded
    assert folded or not label.strip()


@given(st.dictionaries(st.text("abAB. ", min_size=1, max_size=3), st.integers(1, 50), max_size=6))
def test_renaming_once_is_enough(counts: dict[str, int]) -> None:
    """What is proposed is a label of the set that keeps its own spelling."""
    matched = match_spellings(counts, counts)
    assert set(matched.values()) <= set(counts) - set(matched)
