"""One training run: what goes in (recipe), what comes out (run), and the convolutional loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.arms import RAW, Arm, TrainingData, batches, held_out_rows, keyed_seed
from training.augment import augment
from training.calibration import brier_score, calibration_error
from training.dynamics import Watch, margins
from training.models import SmallNet, build, whitening_filters
from training.optim import Average, optimisers, warm_up

Floats = NDArray[np.float64]
CURVE_ROWS = 2000
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a tier trains; the same for every arm and seed.

    steps: optimiser steps, of batch_size samples each. evals: points of the curve after step 0.
    ema_share: the averaged weights remember this share of all steps. hidden: width of a head.
    embedding: width of a category's vector, 0 for none (codes are in the features then).
    flip, translate_px: augmentation of images. label_smoothing: 0..1.
    """

    tier: str
    steps: int
    batch_size: int
    lr: float
    weight_decay: float
    evals: int = 24
    ema_share: float = 0.1
    label_smoothing: float = 0.0
    optimiser: str = "sgd"
    hidden: int = 128
    embedding: int = 0
    flip: bool = False
    translate_px: int = 2

    def eval_steps(self) -> list[int]:
        """Return the steps at which the curve is read: 0 first, the last step last.

        >>> Recipe("probe", 10, 8, 0.1, 0.0, evals=2).eval_steps()
        [0, 5, 10]
        """
        grid = np.linspace(0, self.steps, min(self.evals, self.steps) + 1).round()
        return [int(step) for step in grid]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one (arm, seed) left: its curve, (E,) each, and its last word on the test items.

    steps, samples int64; cpu_s, wall_s seconds since the start (a batched model's share of them);
    val_acc 0..1; val_nll nats; test_pred (T,) int16 class codes; test_nll nats; test_brier and
    test_ece as in `training.calibration`. dynamics (n, 6) float32: of the raw arm,
    `training.dynamics.COLUMNS`. held_out (R, classes) float32: of an arm that holds out a fold,
    the probabilities of `held_out_rows`.
    """

    arm: str
    seed: int
    n_train: int
    steps: NDArray[np.int64]
    samples: NDArray[np.int64]
    cpu_s: Floats
    wall_s: Floats
    val_acc: Floats
    val_nll: Floats
    test_pred: NDArray[np.int16]
    test_nll: float
    test_brier: float
    test_ece: float
    dynamics: NDArray[np.float32] | None = None
    held_out: NDArray[np.float32] | None = None


class Clock:
    """Process and wall seconds since it was made."""

    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def read(self, share: float = 1.0) -> tuple[float, float]:
        """Return (cpu_s, wall_s) since the start, times share."""
        return (time.process_time() - self.cpu) * share, (time.perf_counter() - self.wall) * share


def curve_rows(data: TrainingData) -> NDArray[np.int64]:
    """Return the validation rows that curves are read on: all, or 2,000 spread evenly."""
    rows = data.rows_of(1)
    if rows.size <= CURVE_ROWS:
        return rows
    return rows[np.linspace(0, rows.size - 1, CURVE_ROWS).astype(np.int64)]


class Pictures:
    """The resident images of one process and what is fitted on the raw training images."""

    def __init__(self, data: TrainingData, device: torch.device) -> None:
        assert data.images is not None
        self.data, self.device = data, device
        self.images = torch.from_numpy(data.images).to(device)
        some = self.images[torch.from_numpy(data.train[:: max(1, data.train.size // 2000)])]
        floats = some.float() / 255
        self.mean = floats.mean((0, 2, 3), keepdim=True)
        self.std = floats.std((0, 2, 3), keepdim=True).clamp_min(1e-3)
        self.filters = whitening_filters(((floats - self.mean) / self.std).cpu())

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the images of pool rows as standardised float32, channels last."""
        picked = self.images[torch.from_numpy(rows).to(self.device)]
        scaled = (picked.float() / 255 - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)


def train(pictures: Pictures, arm: Arm, seed: int, recipe: Recipe) -> Run:
    """Train the small network on one arm with one seed, and read its curve.

    The network's start, the order and the augmentation are functions of the seed, not of the arm.
    """
    data, key, clock = pictures.data, keyed_seed(arm.name, seed), Clock()
    net = build(pictures.filters, len(data.classes), key, pictures.device)
    average = Average([*net.parameters(), *net.buffers()], recipe.ema_share * recipe.steps)
    movers = optimisers(net, recipe.optimiser, recipe.lr, recipe.weight_decay)
    weights = (arm.weights / arm.weights[arm.keep].mean()).astype(np.float32)
    stream, curve, due = batches(arm.keep, key, recipe.batch_size), [], set(recipe.eval_steps())
    val = curve_rows(data)
    watch = Watch(1, arm.keep.size, pictures.device) if arm.name == RAW else None
    for step in range(recipe.steps + 1):
        if step in due:
            logits = evaluate(pictures, net, average, val)
            curve.append((step, *clock.read(), *score(logits, data.labels[val])))
        if step == recipe.steps:
            break
        positions, epochs = next(stream)
        images = augment(
            pictures.batch(arm.rows[positions]), positions, epochs, key,
            translate_px=recipe.translate_px, flip=recipe.flip,
        )  # fmt: skip
        given = torch.from_numpy(arm.labels[positions]).to(pictures.device)
        logits = net.train()(images)
        loss = weighted_loss(logits, given, weights[positions], recipe.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        if watch is not None:
            watch.record(positions[None], epochs, logits.detach()[None], given[None])
        for mover in movers:
            mover.step(warm_up(step, recipe.steps))
        average.update()
    test = data.rows_of(2)
    run = finished(arm, seed, recipe, curve, evaluate(pictures, net, average, test), data)

    def predict(rows: NDArray[np.int64]) -> Tensor:
        return evaluate(pictures, net, average, rows)

    return replace(
        run,
        dynamics=None if watch is None else conclude(watch, predict(arm.rows)[None], [arm])[0],
        held_out=held_out_probabilities(data, arm, predict),
    )


def weighted_loss(
    logits: Tensor, labels: Tensor, weights: NDArray[np.float32], smoothing: float
) -> Tensor:
    """Return the batch's mean of weight times cross entropy."""
    losses = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return (losses * torch.from_numpy(weights).to(logits.device)).mean()


def conclude(watch: Watch, final_MNK: Tensor, arms: Sequence[Arm]) -> NDArray[np.float32]:
    """Return the dynamics (M, n, 6) of runs whose trained networks give these logits."""
    labels = torch.from_numpy(np.stack([arm.labels for arm in arms])).to(final_MNK.device)
    return watch.summarise(margins(final_MNK, labels))


def held_out_probabilities(
    data: TrainingData, arm: Arm, predict: Callable[[NDArray[np.int64]], Tensor]
) -> NDArray[np.float32] | None:
    """Return the probabilities (R, classes) of what a fold's arm holds out; None of other arms."""
    rows = held_out_rows(data, arm)
    if rows is None:
        return None
    return functional.softmax(predict(rows).double(), dim=1).float().numpy()


@torch.no_grad()
def evaluate(
    pictures: Pictures, net: SmallNet, average: Average, rows: NDArray[np.int64]
) -> Tensor:
    """Return the averaged network's logits (R, classes) on pool rows, on the CPU."""
    net.eval()
    average.swap()
    parts = [
        net(pictures.batch(rows[at : at + _CHUNK])).cpu() for at in range(0, rows.size, _CHUNK)
    ]
    average.swap()
    return torch.cat(parts) if parts else torch.zeros(0, net.head.out_features)


def score(logits: Tensor, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return (accuracy 0..1, mean negative log likelihood in nats); (0, 0) of no rows.

    >>> score(torch.tensor([[0.0, 100.0]]), np.array([1]))
    (1.0, 0.0)
    """
    if labels.size == 0:
        return 0.0, 0.0
    truth = torch.from_numpy(labels)
    hits = (logits.argmax(1) == truth).double().mean()
    return float(hits), float(functional.cross_entropy(logits.double(), truth))


def finished(  # noqa: PLR0917 - a record, built in one place
    arm: Arm,
    seed: int,
    recipe: Recipe,
    curve: list[tuple[int, float, float, float, float]],
    test_logits: Tensor,
    data: TrainingData,
) -> Run:
    """Return the run's record; curve rows are (step, cpu_s, wall_s, accuracy, nll)."""
    steps, cpu_s, wall_s, acc, nll = (np.array(c) for c in zip(*curve, strict=True))
    labels = data.labels[data.rows_of(2)]
    probs = functional.softmax(test_logits.double(), dim=1).numpy()
    return Run(
        arm=arm.name, seed=seed, n_train=arm.n_train, steps=steps,
        samples=steps * recipe.batch_size, cpu_s=cpu_s, wall_s=wall_s, val_acc=acc, val_nll=nll,
        test_pred=test_logits.argmax(1).numpy().astype(np.int16),
        test_nll=score(test_logits, labels)[1], test_brier=brier_score(probs, labels),
        test_ece=calibration_error(probs, labels),
    )  # fmt: skip
