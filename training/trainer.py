"""One training run: what comes out of it, and the loop over images that are all in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.arms import RAW, Arm, TrainingData, batches, held_out_rows, keyed_seed
from training.calibration import brier_score, calibration_error
from training.checkpoint import Checkpoint
from training.dynamics import Watch, margins
from training.errors import DivergedError
from training.learner import Learner, weighted_loss
from training.recipe import Recipe
from training.standard import FIT_ROWS, Standard
from training.trail import Point, Trail

Floats = NDArray[np.float64]
CURVE_ROWS = 2000
_CHUNK, _CHUNK_PIXELS = 1000, 1000 * 32 * 32
_WARM_STEPS = 3  # code is compiled in the first, a graph recorded by the second


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one (arm, seed) left: its curve, (E,) each, and its last word on the test items.

    steps, samples int64; cpu_s, wall_s seconds since the start (a batched model's share of them),
    compile and warm-up not among them; val_acc 0..1; val_nll nats; test_pred (T,) int16 class
    codes; test_nll nats; test_brier and test_ece as in `training.calibration`. dynamics (n, 6)
    float32: of the raw arm, `training.dynamics.COLUMNS`. held_out (R, classes) float32: of an arm
    that holds out a fold, the probabilities of `held_out_rows`.
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


def curve_rows(data: TrainingData) -> NDArray[np.int64]:
    """Return the validation rows that curves are read on: all, or 2,000 spread evenly."""
    rows = data.rows_of(1)
    if rows.size <= CURVE_ROWS:
        return rows
    return rows[np.linspace(0, rows.size - 1, CURVE_ROWS).astype(np.int64)]


def chunk_rows(height: int, width: int) -> int:
    """Return how many images of so many pixels are predicted at once: 1,000 up to 32 x 32 px.

    Why: what a network holds of an image grows with its pixels; 1,000 photos of 224 px need 7 GiB
    in a resnet18.

    >>> chunk_rows(28, 28), chunk_rows(32, 32), chunk_rows(224, 224)
    (1000, 1000, 20)
    """
    return max(1, min(_CHUNK, _CHUNK_PIXELS // (height * width)))


class Pictures:
    """The resident images of one process and what is fitted on the raw training images.

    warm: the recipes that this process is ready to train (see `warm_up`).
    """

    def __init__(self, data: TrainingData, device: torch.device) -> None:
        assert data.images is not None
        self.data, self.device = data, device
        self.warm: set[Recipe] = set()
        self.images = torch.from_numpy(data.images).to(device)
        some = data.train[:: max(1, data.train.size // FIT_ROWS)]
        self.standard = Standard.fit(self.images[torch.from_numpy(some)])

    def batch(
        self, rows: NDArray[np.int64], layout: torch.memory_format = torch.channels_last
    ) -> Tensor:
        """Return the images of pool rows as standardised float32."""
        picked = self.images[torch.from_numpy(rows).to(self.device)]
        return self.standard.scale(picked, layout)

    def parts(
        self, rows: NDArray[np.int64], layout: torch.memory_format = torch.channels_last
    ) -> Iterator[Tensor]:
        """Yield the images of pool rows, some at a time."""
        size = chunk_rows(*self.images.shape[2:])
        for at in range(0, rows.size, size):
            yield self.batch(rows[at : at + size], layout)


def warm_up(pictures: Pictures, recipe: Recipe) -> None:
    """Take a throw-away network through whatever only the first run of a process waits for.

    That is compiling, recording graphs and loading a GPU's kernels, for each set of blocks that
    freeze. Why: on the first run's clock it would be a minute that raw's first seed has spent and
    its paired cleaned run has not. Once for each recipe; eager code on a CPU has nothing to wait
    for. No run's weights, order or augmentation depend on it.
    """
    device, data = pictures.device, pictures.data
    if recipe in pictures.warm or (recipe.engine == "eager" and device.type == "cpu"):
        return
    pictures.warm.add(recipe)
    own = replace(recipe, start="")
    learner = Learner(pictures.standard.filters, len(data.classes), 0, own, device)
    rows, layout = np.resize(data.train, own.batch_size), own.memory_format
    given = torch.from_numpy(data.labels[rows]).to(device)
    ones, epochs = np.ones(rows.size, np.float32), np.zeros(rows.size, np.int64)
    for share in (0.0, *own.freeze):
        learner.go_on(step := round(share * own.steps))
        for _ in range(_WARM_STEPS):
            logits = learner.predict(pictures.batch(rows, layout), rows, epochs)
            learner.move(weighted_loss(logits, given, ones, own), step)
    learner.evaluate(pictures.parts(curve_rows(data), layout))


def train(
    pictures: Pictures,
    arm: Arm,
    seed: int,
    recipe: Recipe,
    saved: Checkpoint | None = None,
    *,
    start: Mapping[str, Tensor] | None = None,
    done: Callable[[Learner], None] | None = None,
) -> Run:
    """Train the recipe's network on one arm with one seed, and read its curve.

    The network's start, the order and the augmentation are functions of the seed, not of the arm.
    The clock starts when all is compiled and warm (see `warm_up`), and counts the steps alone.
    saved: where the run keeps itself now and then, so that a killed one goes on with the same bits;
    cleared at its end by the caller, who then holds the run. start: the weights that the recipe
    names. done: called with the network that has learnt.

    Raises:
        DivergedError: if the loss is not a finite number where the curve is read, or at the end.
    """
    data, key, device = pictures.data, keyed_seed(arm.name, seed), pictures.device
    learner = Learner(pictures.standard.filters, len(data.classes), key, recipe, device, start)
    warm_up(pictures, recipe)
    watch = Watch(1, arm.keep.size, device) if arm.name == RAW else None
    trail = Trail(learner, saved, watch)
    weights = (arm.weights / arm.weights[arm.keep].mean()).astype(np.float32)
    val, due, layout = curve_rows(data), set(recipe.eval_steps()), recipe.memory_format

    def predict(rows: NDArray[np.int64]) -> Tensor:
        return learner.evaluate(pictures.parts(rows, layout))

    stream = islice(batches(arm.keep, key, recipe.batch_size), trail.step, None)
    for step in range(trail.step, recipe.steps + 1):
        trail.keep(step)
        if step in due:
            with trail.reading():
                read = score(predict(val), data.labels[val])
            trail.add(step, guard_loss(read, arm.name, seed, recipe, step))
        if step == recipe.steps:
            break
        positions, epochs = next(stream)
        given = torch.from_numpy(arm.labels[positions]).to(device)
        logits = learner.predict(pictures.batch(arm.rows[positions], layout), positions, epochs)
        learner.move(weighted_loss(logits, given, weights[positions], recipe), step)
        if watch is not None:
            with trail.clock.paused():
                watch.record(positions[None], epochs, logits.detach()[None], given[None])
    if done is not None:
        done(learner)
    run = finished(arm, seed, recipe, trail.curve, predict(data.rows_of(2)), data)
    return replace(
        run,
        dynamics=None if watch is None else conclude(watch, predict(arm.rows)[None], [arm])[0],
        held_out=held_out_probabilities(data, arm, predict),
    )


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


def guard_loss(
    read: tuple[float, float], arm: str, seed: int, recipe: Recipe, step: int
) -> tuple[float, float]:
    """Return what `score` read after so many steps.

    Raises:
        DivergedError: if the negative log likelihood is not a finite number.
    """
    if not math.isfinite(read[1]):
        rates = f"lr {recipe.lr:g}, weight_decay {recipe.weight_decay:g}"
        raise DivergedError(arm, seed, step, rates, recipe)
    return read


def finished(  # noqa: PLR0917 - a record, built in one place
    arm: Arm,
    seed: int,
    recipe: Recipe,
    curve: list[Point],
    test_logits: Tensor,
    data: TrainingData,
) -> Run:
    """Return the run's record; curve rows are (step, cpu_s, wall_s, accuracy, nll).

    Raises:
        DivergedError: if the loss on the test items is not a finite number.
    """
    steps, cpu_s, wall_s, acc, nll = (np.array(c) for c in zip(*curve, strict=True))
    labels = data.labels[data.rows_of(2)]
    probs = functional.softmax(test_logits.double(), dim=1).numpy()
    _, test_nll = guard_loss(score(test_logits, labels), arm.name, seed, recipe, recipe.steps)
    return Run(
        arm=arm.name, seed=seed, n_train=arm.n_train, steps=steps,
        samples=steps * recipe.batch_size, cpu_s=cpu_s, wall_s=wall_s, val_acc=acc, val_nll=nll,
        test_pred=test_logits.argmax(1).numpy().astype(np.int16),
        test_nll=test_nll, test_brier=brier_score(probs, labels),
        test_ece=calibration_error(probs, labels),
    )  # fmt: skip
