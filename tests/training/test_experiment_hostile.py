from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tests.training.test_experiment_end_to_end import SMALL, _decide, _images, _table, _write
from training.arms import Arms
from training.digests import rows_digest
from training.errors import TrainingError
from training.experiment import ExperimentOptions, compare
from training.jobs import Place, plan_jobs, run_jobs
from training.recipe import Recipe
from training.store_arms import Comparison, load_comparison
from training.telling import agree


def _drop(frame: pl.DataFrame, where: pl.Expr, outcome: str = "dropped") -> pl.DataFrame:
    """Decisions that drop the samples where `where` holds; each has a finding of one check."""
    action = "drop" if outcome == "dropped" else "review"
    kept = _decide(frame, "keep").with_columns(where=frame.select(hit=where)["hit"])
    return kept.with_columns(
        action=pl.when("where").then(pl.lit(action)).otherwise("action"),
        outcome=pl.when("where").then(pl.lit(outcome)).otherwise("outcome"),
    ).drop("where")


def _load(store: Path, decisions: pl.DataFrame, **options: object) -> Comparison:
    frame = _table()
    raw = _write(store, frame, None, _decide(frame, "keep"))
    cleaned = _write(store, frame, raw, decisions)
    return load_comparison(store, raw, cleaned, **options)  # type: ignore[arg-type]


def test_a_cleaning_that_keeps_nothing_is_refused(tmp_path: Path) -> None:
    """Where every training row is dropped there is one sentence, not a crash."""
    with pytest.raises(TrainingError, match="'cleaned' keeps no sample"):
        _load(tmp_path, _drop(_table(), pl.col("split") == "train"))


def test_a_class_that_is_dropped_whole_is_measured(tmp_path: Path) -> None:
    """An arm may lose a class: the control loses it as well, and the verdict stands."""
    gone = (pl.col("split") == "train") & (pl.col("label") == "yes")
    got = _load(tmp_path / "store", _drop(_table(), gone))
    report = compare(got, replace(SMALL, steps=5), tmp_path / "runs").report
    rows = {row["arm"]: row["n_train"] for row in report["tiers"]["train"]["arms"]}
    assert rows["cleaned"] == rows["random_drop"] < rows["raw"]


@pytest.mark.parametrize(("by", "left_out"), [("policy", 30), ("person", 0)])
def test_leaks_that_a_cap_kept_leave_every_arm(tmp_path: Path, by: str, left_out: int) -> None:
    """A leak is out of all arms though the policy may not drop it; a person's keep is heard."""
    first = (pl.col("split") == "train") & (pl.col("key") < f"{30:032x}")
    decisions = _drop(_table(), first, "kept").with_columns(decided_by=pl.lit(by))
    got = _load(tmp_path, decisions, leak_checks=("unlikely_label",))
    assert got.facts["left_out_as_leaks"] == left_out
    assert got.arms.raw.n_train == got.arms.cleaned.n_train == 500 - left_out


def test_held_out_rows_stay_as_they_came(tmp_path: Path) -> None:
    """Test rows that the cleaned manifest dropped are still tested on, and counted."""
    last = (pl.col("split") == "test") & (pl.col("label") == "yes")
    got = _load(tmp_path, _drop(_table(), last))
    assert got.data.rows_of(2).size == 500
    assert got.facts["held_out_changes_ignored"] == _table().filter(last).height


def test_a_truth_about_other_data_is_refused(tmp_path: Path) -> None:
    """A truth that matches no row, or has no place, is an error and not an oracle equal to raw."""
    other = pl.DataFrame({"uri": ["x.csv"], "row": [0], "true_label": ["yes"]})
    with pytest.raises(TrainingError, match="speaks of no row"):
        _load(tmp_path / "a", _decide(_table(), "keep"), truth=other)
    with pytest.raises(TrainingError, match="no such column"):
        _load(tmp_path / "b", _decide(_table(), "keep"), truth=other.drop("row"))
    narrow = other.with_columns(pl.col("row").cast(pl.Int32), uri=pl.lit("t.csv"))
    assert _load(tmp_path / "c", _decide(_table(), "keep"), truth=narrow).arms.oracle is not None


def test_a_split_without_rows_is_one_sentence(tmp_path: Path) -> None:
    """No training row at all is told as such, not as a column that does not vary."""
    frame = _table().filter(pl.col("split") != "train")
    raw = _write(tmp_path, frame, None, _decide(frame, "keep"))
    with pytest.raises(TrainingError, match="split 'train' has too few"):
        load_comparison(tmp_path, raw, raw)


def test_the_classes_of_train_are_counted_not_those_of_the_set(tmp_path: Path) -> None:
    """Where train holds one of two classes the error says one."""
    one = pl.when(pl.col("split") == "train").then(pl.lit("no")).otherwise("label")
    frame = _table().with_columns(label=one)
    raw = _write(tmp_path, frame, None, _decide(frame, "keep"))
    with pytest.raises(TrainingError, match=r"two classes in its train split \(got 1\)"):
        load_comparison(tmp_path, raw, raw)


def test_a_spoiled_or_foreign_file_is_never_trusted(tmp_path: Path) -> None:
    """Any flipped byte in a finished run, or another run under its name, is trained again."""
    one = _images()
    recipe = Recipe("train", 2, 16, 0.05, 0.0, evals=1)
    place = Place(tmp_path, 1, torch.device("cpu"))
    jobs = plan_jobs(one.data, one.arms, recipe, [("raw", 0), ("cleaned", 0)], place.device)
    first = run_jobs(one.data, one.arms, jobs, place)
    files = [tmp_path / f"{job.digest}.npz" for job in jobs]
    whole = files[0].read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 40):
        spoiled = bytearray(whole)
        spoiled[at] ^= 0xFF
        files[0].write_bytes(bytes(spoiled))
        again = run_jobs(one.data, one.arms, jobs[:1], place)
        assert np.array_equal(again[0].val_nll, first[0].val_nll)
    files[0].write_bytes(files[1].read_bytes())
    assert run_jobs(one.data, one.arms, jobs[:1], place)[0].arm == "raw"


def test_digests_tell_shapes_apart() -> None:
    """Rows of the same bytes in another shape are other rows, to the cache and to the audit."""
    data = _images().data
    assert data.images is not None
    flat = replace(data, images=data.images.reshape(-1, 1, 8, 32))
    recipe = Recipe("train", 2, 16, 0.05, 0.0)
    jobs = [
        plan_jobs(one, _images().arms, recipe, [("raw", 0)], torch.device("cpu"))[0].digest
        for one in (data, flat)
    ]
    assert jobs[0] != jobs[1]


def test_both_held_out_digests_are_recorded(tmp_path: Path) -> None:
    """The report holds the digests of the validation and test rows that all arms were read on."""
    one = _images()
    report = compare(one, replace(SMALL, seeds=2, pilots=1, steps=2), tmp_path).report
    assert report["audit"]["val_digest"] == rows_digest(one.data, 1)
    assert report["audit"]["test_digest"] == rows_digest(one.data, 2)


def test_an_arm_that_reads_test_rows_is_refused(tmp_path: Path) -> None:
    """No arm is trained whose rows lie in validation or test."""
    one = _images()
    foul = replace(one.arms.cleaned, rows=one.arms.cleaned.rows + 60)
    with pytest.raises(TrainingError, match="outside train"):
        compare(replace(one, arms=Arms(one.arms.raw, foul)), SMALL, tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"pilots": 0}, {"steps": 0}, {"batch_size": 1}, {"margin": -0.1}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    """No pilots, no steps, a batch of one or a negative margin is one clear error."""
    with pytest.raises(TrainingError, match="too small"):
        ExperimentOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("estimates", "sign", "said"),
    [
        ((0.02, 0.03), True, "Both tiers point the same way"),
        ((-0.02, -0.03), True, "Both tiers point the same way"),
        ((0.02, 0.01), None, "Only tier probe points clearly to one side of zero"),
        ((0.01, -0.001), None, "Neither tier points clearly to one side of zero"),
        ((0.009, 0.008), None, "Neither tier points clearly"),
        ((0.02, -0.02), False, "opposite directions"),
    ],
)
def test_only_intervals_clear_of_zero_have_a_direction(
    estimates: tuple[float, float], sign: bool | None, said: str
) -> None:
    """Estimates within .01 of zero, the width of these intervals, agree with nothing."""
    tiers: dict[str, dict[str, Any]] = {
        name: {"verdict": {"low": value - 0.01, "high": value + 0.01, "word": "undecided"}}
        for name, value in zip(("probe", "train"), estimates, strict=True)
    }
    told = agree(tiers)
    assert told is not None
    assert told["sign"] is sign
    assert said in told["sentence"]
    tiers["train"]["verdict"]["blind"] = {"why": "unlearnt"}
    told = agree(tiers)
    assert told is not None
    assert told["sign"] is None
