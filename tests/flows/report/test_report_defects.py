"""Recall and precision of planted defects, counted by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from flows.report import score_defects

SAMPLES = pl.DataFrame({"sample_id": list("abcdef"), "uri": [f"{x}.png" for x in "abcdef"],
                        "row": [0] * 6})  # fmt: skip


def score(truth: dict[str, list[Any]], findings: list[tuple[str, ...]]) -> dict[str, Any]:
    """Return the only scored defect; findings are (sample, check[, column[, suggestion]])."""
    rows = [(*found, None, None)[:4] for found in findings]
    columns = {"sample_id": pl.String, "check_id": pl.String, "column": pl.String,
               "suggestion": pl.String}  # fmt: skip
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    planted = pl.DataFrame(truth).with_columns(row=pl.lit(0, pl.Int64))
    (row,) = score_defects(planted, frame, SAMPLES)
    return row


def test_recall_and_precision() -> None:
    """Two of three planted found, one of three findings wrong: both are two thirds."""
    truth = {"uri": ["a.png", "b.png", "c.png"], "defect": ["dark"] * 3, "check_id": ["d"] * 3}
    row = score(truth, [("a", "d"), ("b", "d"), ("f", "d"), ("c", "other")])
    assert (row["found"], row["planted"], row["right"], row["flagged"]) == (2, 3, 2, 3)
    assert row["recall"] == row["precision"] == pytest.approx(2 / 3, abs=1e-6)
    assert row["recall_low"] < 2 / 3 < row["recall_high"]


def test_any_check_meant_counts() -> None:
    """With alternatives, a finding of either check finds the defect, once."""
    truth = {"uri": ["a.png", "b.png"], "defect": ["dark"] * 2, "check_id": ["d, u"] * 2}
    row = score(truth, [("a", "d"), ("a", "u"), ("b", "u")])
    assert (row["found"], row["right"], row["flagged"]) == (2, 3, 3)


def test_either_member_of_a_pair_counts() -> None:
    """A pair is found on the planted copy, on its original, or where one names the other."""
    truth = {"uri": ["a.png", "b.png", "c.png"], "defect": ["copy"] * 3, "check_id": ["x"] * 3,
             "related_uri": ["d.png", "e.png", None]}  # fmt: skip
    row = score(truth, [("a", "x"), ("e", "x"), ("f", "x", None, "c")])  # type: ignore[list-item]
    assert (row["found"], row["right"], row["flagged"]) == (3, 3, 3)


def test_the_column_must_be_the_one() -> None:
    """A finding on another cell of the row is wrong; one on the whole row counts."""
    truth = {"uri": ["a.png", "b.png"], "defect": ["typo"] * 2, "check_id": ["t"] * 2,
             "column": ["city", "city"]}  # fmt: skip
    row = score(truth, [("a", "t", "state"), ("b", "t")])
    assert (row["found"], row["right"], row["flagged"]) == (1, 1, 2)


def test_nothing_flagged() -> None:
    """Without findings recall is 0 and precision is not a number that anyone invents."""
    truth = {"uri": ["a.png", "z.png"], "defect": ["dark"] * 2, "check_id": ["d"] * 2}
    row = score(truth, [])
    assert (row["planted"], row["recall"], row["precision"]) == (2, 0.0, None)


def test_clean_rows_of_the_truth_are_no_defects() -> None:
    """Truth rows without a check (clean samples with their labels) count nowhere."""
    truth = {"uri": ["a.png", "b.png"], "defect": ["dark", ""], "check_id": ["d", None]}
    row = score(truth, [("a", "d"), ("b", "d")])
    assert (row["planted"], row["right"], row["flagged"]) == (1, 1, 2)
