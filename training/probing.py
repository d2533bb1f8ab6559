"""How this device computes fastest: some steps each way, once for an experiment.

Times differ from call to call, so the choice is stored and read back: all arms and seeds share it,
and a second call finds the runs of the first.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.arms import batches, raw_arm
from training.learner import Learner, weighted_loss
from training.recipe import Recipe
from training.shards.store import write_atomic
from training.trainer import Pictures

STEPS, WARM_UP = 20, 2
LOSS_APART, LOSS_SLACK = 0.1, 0.02  # a sane way's loss differs by this share, or these nats
FASTER = 0.95  # of the reference's time: what is nearer to it is noise
Way = tuple[str, str, str]
REFERENCE: Way = ("channels_last", "fp32", "eager")
ON_CPU: tuple[Way, ...] = (
    REFERENCE,
    ("nchw", "fp32", "eager"),
    ("channels_last", "bf16", "eager"),  # compiling takes longer than short runs do
)
ON_GPU: tuple[Way, ...] = (
    *ON_CPU,
    ("channels_last", "bf16", "compile"),
    ("channels_last", "bf16", "graphs"),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One way: ms a step (CPU time on a CPU, else wall), seconds to get going, last loss."""

    layout: str
    precision: str
    engine: str
    step_ms: float
    start_s: float
    loss: float

    @property
    def way(self) -> Way:
        """What a recipe is set to."""
        return self.layout, self.precision, self.engine

    def run_s(self, steps: int) -> float:
        """Return the seconds of a run of so many steps."""
        return self.start_s + steps * self.step_ms / 1000


def choose_way(trials: Sequence[Trial], steps: int) -> Way:
    """Return the fastest sane way for runs of so many steps; the first trial where none is faster.

    Sane: its loss is finite and within about a tenth of the first trial's. A way that is faster by
    less than a twentieth is not taken.

    >>> ways = [Trial("channels_last", "fp32", "eager", 10, 0, 2.0),
    ...         Trial("nchw", "fp32", "eager", 4, 0, 2.1),
    ...         Trial("channels_last", "bf16", "eager", 1, 0, float("nan"))]
    >>> choose_way(ways, 100)
    ('nchw', 'fp32', 'eager')
    """
    first = trials[0]
    most = LOSS_APART * abs(first.loss) + LOSS_SLACK
    sane = [trial for trial in trials if abs(trial.loss - first.loss) <= most]
    fastest = min(sane, key=lambda trial: trial.run_s(steps), default=first)
    paid = fastest.run_s(steps) < FASTER * first.run_s(steps)
    return fastest.way if paid else first.way


def settle(pictures: Pictures, recipe: Recipe, cache: Path) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe as this device computes it fastest, and what was measured.

    The first call for this recipe, image shape, device and version measures and writes into
    `cache`; later ones read.
    """
    path = cache / f"probe-{_digest(pictures, recipe)}.json"
    told = _read(path)
    if told is None:
        ways = ON_CPU if pictures.device.type == "cpu" else ON_GPU
        trials = [try_way(pictures, recipe, way) for way in ways]
        told = {
            "way": list(choose_way(trials, recipe.steps)),
            "trials": [asdict(trial) for trial in trials],
            "steps": STEPS,
        }
        write_atomic(path, json.dumps(told, indent=1).encode())
    return set_way(recipe, told["way"]), told


def set_way(recipe: Recipe, way: Sequence[str]) -> Recipe:
    """Return the recipe computed in one way."""
    return recipe.change(dict(zip(("layout", "precision", "engine"), way, strict=True)))


def _read(path: Path) -> dict[str, Any] | None:
    """What was settled before; None where there is nothing or it is damaged."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        known = tuple(told["way"]) in ON_GPU and isinstance(told["trials"], list)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if known else None


def _digest(pictures: Pictures, recipe: Recipe) -> str:
    plain = set_way(recipe, REFERENCE)
    shape = list(pictures.images.shape[1:])
    told = [asdict(plain), shape, pictures.device.type, torch.__version__]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def try_way(pictures: Pictures, recipe: Recipe, way: Way) -> Trial:
    """Train some steps in one way, the same batches as every other."""
    device = pictures.device
    losses, marks = [], [_now(device)]
    for loss in some_steps(pictures, set_way(recipe, way)):
        losses.append(loss)
        marks.append(_now(device))
    spent = np.diff(marks)
    steady = median(spent[WARM_UP:].tolist())
    start_s = max(0.0, float(spent[:WARM_UP].sum()) - WARM_UP * steady)
    last = float(torch.stack(losses[-5:]).mean())
    return Trial(*way, step_ms=1000 * steady, start_s=start_s, loss=last)


def some_steps(pictures: Pictures, recipe: Recipe) -> Iterator[Tensor]:
    """Train raw for the steps of a trial, warm-up first; yield each one's loss."""
    chosen, device = replace(recipe, steps=STEPS + WARM_UP), pictures.device
    data, arm = pictures.data, raw_arm(pictures.data)
    learner = Learner(pictures.standard.filters, len(data.classes), 0, chosen, device)
    stream, ones = batches(arm.keep, 0, recipe.batch_size), np.ones(recipe.batch_size, np.float32)
    for step in range(STEPS + WARM_UP):
        places, epochs = next(stream)
        images = pictures.batch(arm.rows[places], chosen.memory_format)
        logits = learner.predict(images, places, epochs)
        given = torch.from_numpy(arm.labels[places]).to(device)
        loss = weighted_loss(logits, given, ones, recipe)
        learner.move(loss, step)
        yield loss.detach()


def _now(device: torch.device) -> float:
    """Seconds: of this process on a CPU, of the clock once a GPU is done."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()
