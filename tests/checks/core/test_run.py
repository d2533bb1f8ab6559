"""The runner: one select for row checks, hidden unreadable samples, complete findings."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from checks.core.check import Check, Judged, load_checks, set_check
from checks.core.errors import CheckError
from checks.core.run import FINDING_COLUMNS, run_row_checks, run_set_checks

CHECKS = load_checks()


def metrics() -> pl.LazyFrame:
    """Three samples, the second of them unreadable."""
    return pl.LazyFrame(
        {
            "sample_id": ["b", "a", "c"],
            "error_kind": [None, "truncated", None],
            "error": [None, "cut after 90 bytes", None],
            "frame_count": [9, 9, 1],
        }
    )


def ranking(score_ids: list[str]) -> Check:
    """A check that scores only `score_ids`."""

    def half(tables: dict[str, pl.LazyFrame]) -> Judged:
        assert tables
        scores = pl.DataFrame({"sample_id": score_ids, "half_score": [0.5] * len(score_ids)})
        return Judged(pl.DataFrame(schema={"sample_id": pl.String, "value": pl.Float64,
                                           "evidence": pl.String}), scores)  # fmt: skip

    return set_check(needs=("samples",), dimension="drift", score="half_score")(half)


def test_row_findings_are_complete() -> None:
    """A finding carries value, threshold, evidence and the check's own words, sorted by key."""
    found = run_row_checks(metrics(), [CHECKS["unreadable"], CHECKS["animated"]])
    assert tuple(found.columns) == FINDING_COLUMNS
    assert found.select("sample_id", "check_id", "value", "threshold", "evidence").rows() == [
        ("a", "unreadable", None, None, "error_kind truncated; error cut after 90 bytes"),
        ("b", "animated", 9.0, 1.0, "frame_count 9"),
    ]


def test_unreadable_samples_get_one_finding() -> None:
    """A sample that could not be read is judged by no check but the one that says so."""
    found = run_row_checks(metrics(), [CHECKS["unreadable"], CHECKS["animated"]])
    assert found.filter(sample_id="a")["check_id"].to_list() == ["unreadable"]


def test_missing_metric_is_named() -> None:
    """A check that needs a metric which is not there is an error that names both."""
    with pytest.raises(CheckError, match=r"checks\.too_small: there is no such metric .*width_px"):
        run_row_checks(metrics(), [CHECKS["too_small"]])


def test_no_checks_no_findings() -> None:
    """Without checks the findings are an empty table of the right shape."""
    assert run_row_checks(metrics(), []).shape == (0, len(FINDING_COLUMNS))


def test_scores_cover_every_sample() -> None:
    """Samples that a ranking check could not score have a row with null."""
    samples = pl.LazyFrame({"sample_id": ["b", "a"]})
    outcome = run_set_checks({"samples": samples}, [ranking(["a"])])
    assert outcome.scores.rows() == [("a", 0.5), ("b", None)]


def test_a_ranking_check_tells_more_of_each_sample() -> None:
    """Columns that a check declares beside its score are kept; others are refused."""
    samples = pl.LazyFrame({"sample_id": ["b", "a"]})
    told = pl.DataFrame({"sample_id": ["a"], "half_score": [0.5], "word": ["x"]})
    nothing = pl.DataFrame(schema={"sample_id": pl.String, "value": pl.Float64,
                                   "evidence": pl.String})  # fmt: skip
    check = replace(ranking(["a"]), more_scores=("word",), function=lambda _: Judged(nothing, told))
    assert run_set_checks({"samples": samples}, [check]).scores["word"].to_list() == ["x", None]
    with pytest.raises(CheckError, match="wrong columns"):
        run_set_checks({"samples": samples}, [replace(check, more_scores=())])


def test_repeated_scores_are_refused() -> None:
    """Two scores for one sample are an error, never a longer table."""
    samples = pl.LazyFrame({"sample_id": ["a"]})
    with pytest.raises(CheckError, match="half"):
        run_set_checks({"samples": samples}, [ranking(["a", "a"])])


def test_set_checks_never_see_unreadable_samples() -> None:
    """Two unreadable files of equal content are no duplicates."""
    ids = ["a" * 32 + "-0", "a" * 32 + "-1"]
    samples = {"sample_id": ids, "split": ["train"] * 2, "label": ["x"] * 2,
               "xxh3_128": ["a" * 32] * 2, "byte_size": [0, 0]}  # fmt: skip
    kinds = pl.LazyFrame({"sample_id": ids, "error_kind": ["empty", "empty"]})
    tables = {"samples": pl.LazyFrame(samples), "metrics": kinds}
    assert run_set_checks(tables, [CHECKS["exact_duplicate"]]).findings.height == 0
    sound = {**tables, "metrics": kinds.with_columns(error_kind=pl.lit(None, pl.String))}
    assert run_set_checks(sound, [CHECKS["exact_duplicate"]]).findings.height == 1
