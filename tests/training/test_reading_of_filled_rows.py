"""Held-out rows that are read filled: when, by which arm, and what of an effect comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.training.made_runs import judged
from tests.training.test_experiment_end_to_end import _decide, _table, _write
from training.arms import Arms, TrainingData, raw_arm
from training.effects import judge_tier, pick
from training.experiment import ExperimentOptions, compare
from training.fills import Fills
from training.judged import Judged
from training.store_arms import Comparison, load_comparison

OPTIONS = ExperimentOptions(
    tiers=("train",), seeds=6, pilots=2, steps=60, batch_size=64, device="cpu", workers=1
)


def _filled(store: Path, *, train: bool, dropped: int = 0) -> tuple[Comparison, pl.DataFrame]:
    """Rows of which some miss `x`, filled with 1; in train only if asked for. Some are dropped."""
    frame = _table().with_row_index("at")
    missing = (pl.col("at") % 7 == 0) & ((pl.col("split") != "train") | train)
    frame = frame.with_columns(x=pl.when(~missing).then("x"))
    holes = frame.filter(pl.col("x").is_null())
    cells = holes.select("key", "split", column=pl.lit("x"), value=pl.lit("1"))
    lost = pl.col("sample_id").is_in(frame["key"].head(dropped).implode())
    decided = _decide(frame, "keep").with_columns(
        action=pl.when(lost).then(pl.lit("drop")).otherwise("action"),
        outcome=pl.when(lost).then(pl.lit("dropped")).otherwise("outcome"),
    )
    raw = _write(store, frame.drop("at"), None, _decide(frame, "keep"))
    filled = frame.drop("at").with_columns(
        x=pl.when(pl.col("split") == "train").then(pl.col("x").fill_null(1.0)).otherwise("x")
    )
    cleaned = _write(store, filled, raw, decided, Fills(cells))
    return load_comparison(store, raw, cleaned), holes


def test_an_arm_trained_on_filled_rows_is_read_from_filled_ones(tmp_path: Path) -> None:
    """Held-out rows with gaps have filled twins; an arm of its own reads raw from them."""
    got, holes = _filled(tmp_path, train=True)
    gaps = holes.filter(pl.col("split") != "train")["key"].to_list()
    assert got.facts["held_out_filled"] == len(gaps)
    held = got.arms.cleaned.held
    assert held is not None
    assert sorted(got.data.keys[held >= got.data.labels.size].tolist()) == sorted(gaps)
    assert got.data.numbers is not None
    assert held.max() + 1 == len(got.data.numbers)
    assert "raw_filled" in got.arms.names()
    again = got.arms.draw("raw_filled", 0)
    assert np.array_equal(again.rows, got.arms.raw.rows)
    assert again.held is held


@pytest.mark.parametrize("dropped", [0, 5])
def test_without_a_filled_train_row_nothing_is_read_filled(tmp_path: Path, dropped: int) -> None:
    """Where no train row was filled all arms are read alike, whether or not any row was dropped."""
    got, holes = _filled(tmp_path, train=False, dropped=dropped)
    assert holes.height
    assert got.arms.cleaned.n_train == got.arms.raw.n_train - dropped
    assert got.arms.cleaned.held is None
    assert got.facts["held_out_filled"] == 0
    assert "raw_filled" not in got.arms.names()


def _reading(gain: float, alone: float) -> Judged:
    """Made runs where cleaned gains `gain` over raw, and reading filled rows `alone` of it."""
    one, other = judged(gain), judged(alone, key=1)
    return replace(one, runs={**one.runs, "raw_filled": other.runs["cleaned"]})


def test_a_gain_of_the_reading_alone_is_not_credited_to_cleaning() -> None:
    """Where raw read from filled rows gains as much, the word is open and both parts are told."""
    verdict = judge_tier(_reading(0.04, 0.04))["verdict"]
    assert verdict["low"] > 0
    assert verdict["p"] < 0.05
    assert verdict["word"] == "undecided"
    assert "helps against raw as it came, undecided against raw read" in verdict["sentence"]
    assert "Reading held-out rows filled gives +" in verdict["sentence"]
    assert verdict["reading"]["low"] < 0.04 < verdict["reading"]["high"]


def test_a_gain_over_the_reading_helps_and_its_parts_are_told() -> None:
    """Where training adds to what reading gives, cleaning helps; speed is over raw read alike."""
    report = judge_tier(_reading(0.08, 0.03))
    verdict = report["verdict"]
    assert verdict["word"] == "helps"
    assert verdict["reading"]["over"]["low"] < 0.05 < verdict["reading"]["over"]["high"]
    assert "Reading held-out rows filled gives +" in verdict["sentence"]
    assert verdict["speedup"]["versus"] == "raw_filled"
    assert pick(report["effects"], "raw_filled", "raw")["estimate"] == pytest.approx(
        verdict["reading"]["estimate"]
    )


def test_a_loss_that_the_reading_hides_is_not_called_equivalent() -> None:
    """A gain of the reading and a loss of the training that cancel give no `equivalent`."""
    one = _reading(0.0, 0.04)
    quiet = replace(one, runs={**one.runs, "cleaned": one.runs["raw"]})
    verdict = judge_tier(quiet)["verdict"]
    assert verdict["word"] == "undecided"
    assert "equivalent against raw as it came, hurts against raw read" in verdict["sentence"]


def _gappy(*, wrong: float) -> tuple[TrainingData, Arms]:
    """A number that tells the class, missing (0) in half of all held-out rows, whose twins have it.

    A few train rows have gaps too; cleaning fills them, and sets the share `wrong` of labels right.
    """
    rng = np.random.default_rng(0)
    truth, split = np.arange(1200) % 2, np.repeat([0, 1, 2], [400, 200, 600]).astype(np.int8)
    number = (2 * truth - 1 + rng.normal(0, 0.5, 1200)).astype(np.float32)
    gap = np.where(split == 0, np.arange(1200) < 20, rng.random(1200) < 0.5)
    labels = np.where((rng.random(1200) < wrong) & (split == 0), 1 - truth, truth)
    numbers = np.concatenate([np.where(gap, 0, number), number[gap]])[:, None]
    keys = np.array([f"k{at:04}" for at in range(1200)])
    data = TrainingData("table", ("a", "b"), keys, labels, split, None,
                        np.concatenate([numbers, numbers**2], 1).astype(np.float32),
                        np.zeros((len(numbers), 0), np.int64))  # fmt: skip
    at = np.arange(1200)
    at[gap] = 1200 + np.arange(gap.sum())
    raw = raw_arm(data)
    cleaned = replace(raw, name="cleaned", rows=at[:400], labels=truth[:400],
                      held=np.where(split > 0, at, np.arange(1200)))  # fmt: skip
    return data, Arms(raw, cleaned)


@pytest.mark.parametrize(("wrong", "helps"), [(0.0, False), (0.45, True)])
def test_an_experiment_parts_reading_from_training(
    wrong: float, helps: bool, tmp_path: Path
) -> None:
    """Raw read filled is raw's very training; only where labels were mended does cleaning help."""
    data, arms = _gappy(wrong=wrong)
    report = compare(Comparison(data, arms), OPTIONS, tmp_path).report
    effects = report["tiers"]["train"]["effects"]
    assert pick(effects, "cleaned", "raw")["low"] > 0.1
    assert (report["verdict"]["word"] == "helps") == helps
    reading = pick(effects, "raw_filled", "raw")
    assert reading["low"] > (0.1 if not helps else 0)
    assert "Reading held-out rows filled gives +" in report["verdict"]["sentence"]
