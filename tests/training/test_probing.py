from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.test_trainer_runs import CPU, RECIPE, bars
from training import probing
from training.arms import Arms, raw_arm
from training.experiment import ExperimentOptions, compare
from training.jobs import repeatable
from training.probing import ON_CPU, REFERENCE, Trial, choose_way, set_way, settle, try_way
from training.store_arms import Comparison
from training.trainer import Pictures, train

SHORT = replace(RECIPE, steps=8, evals=1, batch_size=16)
times = st.floats(0.01, 100)


@given(st.lists(st.tuples(times, times), min_size=3, max_size=3), st.integers(1, 1000))
def test_the_choice_is_never_slower_than_the_reference(
    told: list[tuple[float, float]], steps: int
) -> None:
    """What is taken costs no more than the first way, and has a loss near its own."""
    trials = [Trial(*way, ms, 0.0, loss) for way, (ms, loss) in zip(ON_CPU, told, strict=True)]
    taken = next(trial for trial in trials if trial.way == choose_way(trials, steps))
    assert taken.run_s(steps) <= trials[0].run_s(steps)
    assert abs(taken.loss - trials[0].loss) <= 0.1 * trials[0].loss + 0.02


def test_a_start_that_does_not_pay_is_left_alone() -> None:
    """Compiled code that runs fast but starts late is for long runs only."""
    trials = [Trial(*REFERENCE, 10.0, 0.0, 2.0), Trial("channels_last", "bf16", "graphs", 1, 30, 2)]
    assert choose_way(trials, 1000) == REFERENCE
    assert choose_way(trials, 100_000) == ("channels_last", "bf16", "graphs")


@pytest.mark.parametrize("loss", [np.nan, np.inf, 5.0])
def test_a_fast_way_that_computes_something_else_is_not_taken(loss: float) -> None:
    """A loss that is not finite, or far from the reference's, rules a way out."""
    trials = [Trial(*REFERENCE, 10, 0, 2.0), Trial("nchw", "fp32", "eager", 1, 0, loss)]
    assert choose_way(trials, 100) == REFERENCE


@pytest.mark.parametrize("way", ON_CPU, ids="-".join)
def test_every_way_of_a_cpu_trains(way: tuple[str, str, str]) -> None:
    """Each way takes its steps to about the same loss, in some time."""
    with repeatable(CPU):
        pictures = Pictures(bars(), CPU)
        trial, reference = (try_way(pictures, SHORT, one) for one in (way, REFERENCE))
        run = train(pictures, raw_arm(pictures.data), 0, set_way(SHORT, way))
    assert trial.step_ms > 0
    assert trial.loss == pytest.approx(reference.loss, rel=0.1, abs=0.02)
    assert np.isfinite(run.val_nll).all()


def test_what_was_settled_stays(tmp_path: Path) -> None:
    """A second call reads the choice, whatever it would measure now; a damaged file is redone."""
    pictures = Pictures(bars(), CPU)
    with patch.object(probing, "try_way", lambda *asked: Trial(*asked[2], 1.0, 0.0, 1.0)):
        recipe, told = settle(pictures, SHORT, tmp_path)
    assert recipe == SHORT
    assert len(told["trials"]) == len(ON_CPU)

    def fast(*asked: tuple[str, str, str]) -> Trial:
        return Trial(*asked[2], 9.0 if asked[2] == REFERENCE else 1.0, 0.0, 1.0)

    with patch.object(probing, "try_way", fast):
        assert settle(pictures, recipe, tmp_path)[0] == recipe
        next(tmp_path.iterdir()).write_text("{")
        assert settle(pictures, recipe, tmp_path)[0].layout == "nchw"


def test_all_arms_of_an_experiment_share_the_choice(tmp_path: Path) -> None:
    """The report tells what was measured, and the recipe of the tier is the one that was taken."""
    data = bars()
    raw = raw_arm(data)
    arms = Arms(raw, replace(raw, name="cleaned", keep=np.arange(raw.keep.size) > 20))
    options = ExperimentOptions(
        tiers=("train",), seeds=2, pilots=1, steps=4, batch_size=16, device="cpu", workers=1,
        probe=True,
    )  # fmt: skip
    first = compare(Comparison(data, arms), options, tmp_path).report["tiers"]["train"]
    again = compare(Comparison(data, arms), options, tmp_path).report["tiers"]["train"]
    assert first["device_probe"] == again["device_probe"]
    way = first["device_probe"]["way"]
    assert [first["recipe"][name] for name in ("layout", "precision", "engine")] == way
