"""Two networks that learn labels by heart, each trained once for an (arm, seed)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from training.arms import Arm, TrainingData, batches
from training.optim import AdamW, warm_up
from training.recipe import Recipe
from training.trainer import Pictures, train

HIDDEN, BATCH, EPOCHS, RATE = 512, 250, 25, 2e-3
CONV_EPOCHS, CONV_BATCH = 15, 128
MEMBERS = 4  # trained at once: as many as the cache holds
Runs = Sequence[tuple[Arm, int]]
Classes = npt.NDArray[np.int16]
_held: list[tuple[Pictures, Recipe]] = []  # in a worker


def predict_mlp(data: TrainingData, runs: Runs) -> Classes:
    """Train a D-512-K perceptron for each run and return its classes on the test rows, (R, T).

    As many optimiser steps in every arm as 25 epochs of the raw set have. Start and order are
    functions of the seed; weights are scaled to a mean of 1 over what an arm keeps.
    """
    parts = [_train_some(data, runs[at : at + MEMBERS]) for at in range(0, len(runs), MEMBERS)]
    return np.concatenate(parts)


def _train_some(data: TrainingData, runs: Runs) -> Classes:
    assert data.numbers is not None
    numbers = torch.from_numpy(data.numbers)
    weights = [_start(seed, numbers.shape[1], len(data.classes)) for _, seed in runs]
    stacked = [torch.stack(parts).requires_grad_() for parts in zip(*weights, strict=True)]
    mover = AdamW(stacked, RATE, 0.0, (0.9, 0.999))
    feeds = [batches(arm.keep, seed, BATCH) for arm, seed in runs]
    scale = [arm.weights / arm.weights[arm.keep].mean() for arm, _ in runs]
    steps = EPOCHS * data.train.size // BATCH
    for step in range(steps):
        at = [next(feed)[0] for feed in feeds]
        labels = torch.from_numpy(np.stack([a.labels[i] for (a, _), i in zip(runs, at)]))  # noqa: B905
        weigh = torch.from_numpy(np.stack([s[i] for s, i in zip(scale, at)]))  # noqa: B905
        rows = torch.from_numpy(np.stack([a.rows[i] for (a, _), i in zip(runs, at)]))  # noqa: B905
        logits = _forward(stacked, numbers[rows])
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        ((losses * weigh.flatten().float()).sum() / BATCH).backward()  # type: ignore[no-untyped-call]
        mover.step(warm_up(step, steps))
    with torch.no_grad():
        test = numbers[torch.from_numpy(data.rows_of(2))]
        told = [_forward([p[m : m + 1] for p in stacked], test[None]) for m in range(len(runs))]
    return torch.cat(told).argmax(2).numpy().astype(np.int16)


def _start(seed: int, inputs: int, classes: int) -> list[Tensor]:
    source = torch.Generator().manual_seed(seed)
    first = torch.randn(inputs, HIDDEN, generator=source) * (2 / inputs) ** 0.5
    second = torch.randn(HIDDEN, classes, generator=source) * 0.1 * (2 / HIDDEN) ** 0.5
    return [first, torch.zeros(1, HIDDEN), second, torch.zeros(1, classes)]


def _forward(weights: Sequence[Tensor], numbers_MBD: Tensor) -> Tensor:
    first, shift, second, bias = weights
    return torch.baddbmm(bias, functional.relu(torch.baddbmm(shift, numbers_MBD, first)), second)


def predict_conv(data: TrainingData, runs: Runs) -> Classes:
    """Train the train tier's small network for each run; its classes on the test rows, (R, T).

    One process of one thread a core; results do not depend on how many there are.
    """
    recipe = Recipe(
        "train", steps=CONV_EPOCHS * data.train.size // CONV_BATCH, batch_size=CONV_BATCH, lr=0.05,
        weight_decay=1e-3, evals=1, flip=False, translate_px=0,
    )  # fmt: skip
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=get_context("spawn"), initializer=_hold, initargs=(data, recipe)
    ) as pool:
        return np.stack(list(pool.map(_train_one, *zip(*runs, strict=True))))


def _hold(data: TrainingData, recipe: Recipe) -> None:
    """Keep what every run of this process reads."""
    torch.set_num_threads(1)
    _held.append((Pictures(data, torch.device("cpu")), recipe))


def _train_one(arm: Arm, seed: int) -> Classes:
    pictures, recipe = _held[-1]
    return train(pictures, arm, seed, recipe).test_pred


def with_numbers(data: TrainingData, features: npt.NDArray[np.float32]) -> TrainingData:
    """Return the same rows as a table of `features`, scaled by one number to a spread of 1."""
    spread = float(np.sqrt(np.square(features, dtype=np.float64).mean()))
    return replace(data, images=None, numbers=(features / np.float32(spread)).astype(np.float32))
