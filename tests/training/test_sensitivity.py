from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.made_runs import judged
from training.arms import Arm, Arms, TrainingData, raw_arm
from training.effects import judge_tier
from training.errors import DivergedError
from training.experiment import ExperimentOptions, compare
from training.judged import Judged
from training.sensitivity import find_blindness
from training.store_arms import Comparison
from training.telling import finite

ITEMS = 4000
RARE = (np.arange(ITEMS) % 25 == 0).astype(np.int64)
OPTIONS = ExperimentOptions(
    tiers=("train",), seeds=5, pilots=2, steps=30, batch_size=32, device="cpu", workers=1
)


def _answering(one: Judged, pred: Callable[[str, int], np.ndarray]) -> Judged:
    """The same runs on a test set with a rare class, with other predictions."""
    runs = {
        arm: [replace(run, test_pred=pred(arm, run.seed).astype(np.int16)) for run in mine]
        for arm, mine in one.runs.items()
    }
    return replace(one, runs=runs, labels=RARE, chance=0.96)


def test_arms_that_always_answer_the_commonest_class_are_not_equivalent() -> None:
    """Equal accuracies of two arms that learnt nothing give no verdict, but the loss to look at."""
    one = _answering(judged(0.0), lambda _arm, _seed: 0 * RARE)
    worse = [replace(run, test_nll=run.test_nll + 0.4) for run in one.runs["raw"]]
    verdict = judge_tier(replace(one, runs={**one.runs, "cleaned": worse}))["verdict"]
    assert verdict["word"] == "undecided"
    assert verdict["blind"]["commonest"] == pytest.approx(0.96)
    assert "right for 96.0 % of the test items" in verdict["sentence"]
    assert "changes the test loss by +0.400 nats" in verdict["sentence"]


def test_becoming_a_constant_is_no_help() -> None:
    """A cleaned arm that gives up the rare class beats a raw one that tries, and is not praised."""
    rng = np.random.default_rng(0)

    def pred(arm: str, _seed: int) -> np.ndarray:
        return 0 * RARE if arm == "cleaned" else (rng.random(ITEMS) < 0.04).astype(np.int64)

    report = judge_tier(_answering(judged(0.0), pred))
    assert report["verdict"]["low"] > 0.01
    assert report["verdict"]["word"] == "undecided"


def test_one_lucky_item_is_no_learning() -> None:
    """An item more than the commonest class gets, the same in every seed, does not open the eye."""
    lucky = RARE * (np.arange(ITEMS) == 0)
    found = find_blindness(_answering(judged(0.0), lambda _arm, _seed: lucky))
    assert found is not None
    assert found["why"] == "unlearnt"


@pytest.mark.parametrize("learns", ["raw", "cleaned"])
def test_one_arm_that_learnt_is_enough(learns: str) -> None:
    """Cleaning that lets a network learn helps, and one that ends its learning hurts."""
    rng = np.random.default_rng(0)

    def pred(arm: str, _seed: int) -> np.ndarray:
        return RARE * (rng.random(ITEMS) < 0.7) if arm == learns else 0 * RARE

    verdict = judge_tier(_answering(judged(0.0), pred))["verdict"]
    assert verdict["word"] == ("helps" if learns == "cleaned" else "hurts")


def _table(rare: float) -> TrainingData:
    """Eight weak columns and two classes, the second a share `rare` of the rows."""
    rng = np.random.default_rng(0)
    labels = (rng.random(900) < rare).astype(np.int64)
    numbers = (rng.normal(0, 1, (900, 8)) + 0.1 * labels[:, None]).astype(np.float32)
    split = np.repeat([0, 1, 2], [500, 200, 200]).astype(np.int8)
    keys = np.array([f"k{at:03}" for at in range(900)])
    codes = np.zeros((900, 0), np.int64)
    return TrainingData("table", ("no", "yes"), keys, labels, split, None, numbers, codes)


def _drop_some(raw: Arm) -> Arm:
    return replace(raw, name="cleaned", keep=np.arange(raw.keep.size) % 5 > 0)


def test_an_experiment_says_why_it_cannot_tell(tmp_path: Path) -> None:
    """Of a class too rare to be learnt the report is open, and says no NaN."""
    data = _table(0.03)
    raw = raw_arm(data)
    report = compare(Comparison(data, Arms(raw, _drop_some(raw))), OPTIONS, tmp_path).report
    assert report["verdict"]["word"] == "undecided"
    assert "beat always answering the commonest class" in report["verdict"]["sentence"]
    assert not re.search(r"\bnan\b", json.dumps(finite(report), allow_nan=False))


def test_runs_that_diverge_give_no_report(tmp_path: Path) -> None:
    """With an absurd learning rate the experiment ends with what to do, and no verdict."""
    raw = raw_arm(_table(0.5))
    wild = replace(OPTIONS, recipe={"lr": 100.0}, steps=300)
    with pytest.raises(DivergedError, match="Lower lr"):
        compare(Comparison(_table(0.5), Arms(raw, _drop_some(raw))), wild, tmp_path)


def test_an_experiment_on_equal_arms_says_so(tmp_path: Path) -> None:
    """A cleaning that changes no train row is told as such, whatever was learnt."""
    raw = raw_arm(_table(0.03))
    arms = Arms(raw, replace(raw, name="cleaned"))
    report = compare(Comparison(_table(0.03), arms), OPTIONS, tmp_path).report
    assert report["verdict"]["word"] == "equivalent"
    assert "raw and cleaned are one" in report["verdict"]["sentence"]
