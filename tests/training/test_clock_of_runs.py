"""What a run's clock counts: its steps, and nothing that is only measured or kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from tests.training.test_heads_batched import RECIPE as HEADS
from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import CPU, RECIPE, bars
from training import heads, trail, trainer
from training.arms import raw_arm
from training.checkpoint import Checkpoint
from training.dynamics import Watch
from training.heads import Rows, train_heads
from training.optim import AdamW, Nesterov
from training.trainer import Pictures, train

STEP_S, READING_S = 2.0, 1000.0


class Passing:
    """A clock of the process that moves only where it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def slow(self, what: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        """Return what takes so many seconds and does the same."""

        def call(*given: Any, **named: Any) -> Any:
            self.now += seconds
            return what(*given, **named)

        return call


@pytest.fixture
def passing() -> Iterator[Passing]:
    """Steps take 2 s, all that is measured or kept 1,000 s, the rest nothing."""
    time = Passing()
    told = SimpleNamespace(process_time=lambda: time.now, perf_counter=lambda: time.now)
    with (
        patch.object(trail, "time", told),
        patch.object(trainer, "score", time.slow(trainer.score, READING_S)),
        patch.object(heads, "score", time.slow(heads.score, READING_S)),
        patch.object(Watch, "record", time.slow(Watch.record, READING_S)),
        patch.object(Checkpoint, "save", time.slow(Checkpoint.save, READING_S)),
        patch.object(Nesterov, "step", time.slow(Nesterov.step, STEP_S)),
        patch.object(AdamW, "step", time.slow(AdamW.step, STEP_S)),
    ):
        yield time


def test_a_network_pays_for_its_steps_alone(passing: Passing, tmp_path: Path) -> None:
    """Curve, dynamics and checkpoints are on no clock: raw, which has them, costs no more."""
    recipe = replace(RECIPE, steps=8, evals=4)
    run = train(Pictures(bars(), CPU), raw_arm(bars()), 0, recipe, Checkpoint(tmp_path / "one", 0))
    assert run.cpu_s.tolist() == [STEP_S * step for step in run.steps]
    assert passing.now > READING_S


def test_heads_share_the_clock_of_their_steps(passing: Passing, tmp_path: Path) -> None:
    """Two heads of one batch have half of its steps' seconds each, at the same points."""
    data = clouds()
    runs = [(raw_arm(data), 0), (raw_arm(data), 1)]
    recipe = replace(HEADS, steps=8, evals=4)
    told = train_heads(Rows(data, CPU), runs, recipe, Checkpoint(tmp_path / "both", 0))
    assert [run.cpu_s.tolist() for run in told] == [[STEP_S / 2 * at for at in told[0].steps]] * 2
    assert passing.now > READING_S
