"""A training step on a CPU: ours beside a plain NCHW loop of the same network.

Noise of 32 x 32 px in batches of 250, one thread. Both sides take the same network from the same
weights through forward, loss, backward and update; plain is a loop as one writes it: NCHW tensors,
torch.optim.SGD with Nesterov momentum. `whole` adds what a step is fed with, on both sides the
same augmentation, and the average of the weights, which only ours keeps. CPU seconds, rounds
interleaved, medians of the rounds' ratios; the interval is the lowest to the highest round. Run it
as `python -m bench.cpu_step --json`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch.nn import functional

from bench.record import Figure, record, show
from training.arms import TrainingData, batches, raw_arm
from training.augment import augment
from training.jobs import repeatable
from training.learner import Learner, weighted_loss
from training.models import Net, build
from training.recipe import Recipe
from training.trainer import Pictures

CPU = torch.device("cpu")
ROUNDS, STEPS, BATCH = 9, 6, 250
WIDTHS = ((16, 32, 64), (32, 64, 128), (64, 256, 256))
TARGETS = (1.4, 1.4, None)
Step = Callable[[], object]


def make_noise(rows: int = 2000) -> TrainingData:
    """Return images of noise with random labels; nothing is learnt here."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (rows, 3, 32, 32), dtype=np.uint8)
    classes = tuple("0123456789")
    split = np.zeros(rows, np.int8)
    labels = rng.integers(0, 10, rows)
    return TrainingData("image", classes, np.arange(rows).astype(str), labels, split, images)


def make_ours(pictures: Pictures, recipe: Recipe, *, whole: bool) -> Step:
    """Return our step: channels last, fused updates; `whole` with gathering and augmentation."""
    data = pictures.data
    arm = raw_arm(data)
    learner = Learner(pictures.standard.filters, 10, 0, recipe, CPU)
    stream = batches(arm.keep, 0, BATCH)
    fixed, _ = next(stream)
    images, still = pictures.batch(fixed), torch.from_numpy(data.labels[fixed])
    ones = np.ones(BATCH, np.float32)

    def step_whole() -> None:
        rows, epochs = next(stream)
        logits = learner.predict(pictures.batch(rows), rows, epochs)
        loss = weighted_loss(logits, torch.from_numpy(data.labels[rows]), ones, recipe)
        learner.move(loss, recipe.steps)

    def step_alone() -> None:
        learner.net.train()
        weighted_loss(learner.net(images), still, ones, recipe).backward()  # type: ignore[no-untyped-call]
        for mover in learner.movers:
            mover.step(1.0)

    return step_whole if whole else step_alone


def make_plain(pictures: Pictures, recipe: Recipe, *, whole: bool) -> Step:
    """Return the step of a plain loop."""
    data = pictures.data
    layout = torch.contiguous_format
    net = build(pictures.standard.filters, 10, 0, CPU, recipe.net, layout=layout).train()
    trained = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trained, 0.05, 0.85, weight_decay=5e-4, nesterov=True)
    stream = batches(raw_arm(data).keep, 0, BATCH)
    fixed, _ = next(stream)
    images, still = pictures.batch(fixed, layout), torch.from_numpy(data.labels[fixed])

    def step_whole() -> None:
        rows, epochs = next(stream)
        moved = augment(pictures.batch(rows, layout), rows, epochs, 0, translate_px=2, flip=True)
        move(moved.contiguous(), torch.from_numpy(data.labels[rows]))

    def move(batch: torch.Tensor, labels: torch.Tensor) -> None:
        optimiser.zero_grad()
        functional.cross_entropy(net(batch), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step_whole if whole else lambda: move(images, still)


def time_steps(step: Step) -> float:
    """Return CPU seconds of some steps."""
    begun = time.process_time()
    for _ in range(STEPS):
        step()
    return time.process_time() - begun


def compare(pictures: Pictures, widths: tuple[int, ...], *, whole: bool) -> list[float]:
    """Return each round's ratio, plain to ours."""
    recipe = Recipe("train", 100, BATCH, 0.05, 5e-4, flip=True, net=Net(widths=widths))
    sides = [make(pictures, recipe, whole=whole) for make in (make_plain, make_ours)]
    for side in sides:
        time_steps(side)
    spent = [[time_steps(side) for side in sides] for _ in range(ROUNDS)]
    return [plain / ours for plain, ours in spent]


def measure() -> dict[str, Figure]:
    """Return the ratios of all widths, and those of a whole step."""
    figures = {}
    with repeatable(CPU):
        pictures = Pictures(make_noise(), CPU)
        for widths, target in zip(WIDTHS, TARGETS, strict=True):
            name = "_".join(map(str, widths))
            for whole in (False, True):
                ratios = compare(pictures, widths, whole=whole)
                figures[f"{'whole_' if whole else ''}step_ratio_{name}"] = Figure(
                    median(ratios), None if whole else target, "higher", ROUNDS,
                    (min(ratios), max(ratios)),
                )  # fmt: skip
    return figures


if __name__ == "__main__":
    show(record("cpu_step", measure()))
