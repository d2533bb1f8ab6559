from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from tests.training.test_trainer_runs import CPU, RECIPE, bars
from training import learner, trail
from training.arms import TrainingData, raw_arm
from training.jobs import repeatable
from training.models import Net
from training.trainer import Pictures, Run, train

SHORT = replace(
    RECIPE, steps=8, evals=2, batch_size=16, net=Net(widths=(8, 8)), engine="compile",
    freeze=(0.25, 0.5),
)  # fmt: skip
Networks = Callable[..., Any]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """The same images for every test here."""
    return bars(side=16)


def _same(one: Run, other: Run) -> bool:
    parts = ("val_acc", "val_nll", "test_pred", "dynamics")
    pairs = [(getattr(one, part), getattr(other, part)) for part in parts]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


@pytest.fixture
def happened() -> Iterator[list[str]]:
    """What happens, in order: a batch that a network is called with, or a run's clock started."""
    told: list[str] = []

    def compiled(net: Networks, _recipe: object) -> Networks:
        def call(*batch: object) -> Any:
            told.append("batch")
            return net(*batch)

        return call

    class Started(trail.Clock):
        def __init__(self, *spent: Any) -> None:
            told.append("clock")
            super().__init__(*spent)

    with patch.object(learner, "compiled", compiled), patch.object(trail, "Clock", Started):
        yield told


def test_a_clock_starts_when_all_is_warm(data: TrainingData, happened: list[str]) -> None:
    """A recipe's first run takes throw-away steps before its clock, later ones none at all."""
    with repeatable(CPU):
        pictures = Pictures(data, CPU)
        for _ in range(2):
            train(pictures, raw_arm(data), 0, SHORT)
    first = happened.index("clock")
    assert first >= 3 * 3  # steps for each set of frozen blocks
    assert happened[first:] == ["clock", *["batch"] * 8] * 2


def test_eager_code_on_a_cpu_has_nothing_to_wait_for(
    data: TrainingData, happened: list[str]
) -> None:
    """The default way of computing takes no step but its own."""
    train(Pictures(data, CPU), raw_arm(data), 0, replace(SHORT, engine="eager"))
    assert happened == ["clock", *["batch"] * 8]


def test_warming_up_changes_no_run(data: TrainingData) -> None:
    """Weights, order and augmentation are to the bit those of a run that nothing went before."""
    with repeatable(CPU), patch.object(learner, "compiled", lambda net, _recipe: net):
        runs = [
            train(Pictures(data, CPU), raw_arm(data), 3, replace(SHORT, engine=engine))
            for engine in ("eager", "compile")
        ]
    assert _same(*runs)


def test_nothing_is_compiled_while_a_clock_goes(data: TrainingData) -> None:
    """All graphs of a run, also those after blocks froze, are there before its clock starts."""
    seen: list[int] = []

    class Started(trail.Clock):
        def __init__(self, *spent: Any) -> None:
            seen.append(counters["stats"]["unique_graphs"])
            super().__init__(*spent)

    def compiled(net: Networks, _recipe: object) -> Networks:
        whole: Networks = torch.compile(net, backend="eager")
        return whole

    counters.clear()
    with (
        repeatable(CPU), patch.object(learner, "compiled", compiled),
        patch.object(trail, "Clock", Started),
    ):  # fmt: skip
        pictures = Pictures(data, CPU)
        for seed in range(2):
            train(pictures, raw_arm(data), seed, SHORT)
    assert seen[0] >= 3
    assert {*seen, counters["stats"]["unique_graphs"]} == {seen[0]}


def test_logits_outlive_the_graph_that_gave_them(data: TrainingData) -> None:
    """Where each batch writes over the output before it, as graphs do, dynamics stay right."""

    def replayed(net: Networks, recipe: object) -> Networks:
        own: list[Tensor] = []

        def call(*batch: object) -> Tensor:
            for old in own:
                old.data.fill_(torch.nan)
            own[:] = [net(*batch)]
            return own[0]

        return call if getattr(recipe, "engine", "") == "graphs" else net

    with repeatable(CPU), patch.object(learner, "compiled", replayed):
        runs = [
            train(Pictures(data, CPU), raw_arm(data), 3, replace(SHORT, engine=engine))
            for engine in ("eager", "graphs")
        ]
    assert _same(*runs)
