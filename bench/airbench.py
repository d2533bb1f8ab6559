"""Seconds to 94 % of CIFAR-10 on a GPU: our trainer beside airbench94_muon's published recipe.

Needs a CUDA device and CIFAR-10's binary batches, in the folder that GRISTMILL_CIFAR10 names; where
there is no device it says so and records nothing. Both sides on one device in one call, runs
interleaved after one of each that compiles and warms up. Timed as published: theirs is one compiled
network, taken back to its start before its clock goes, by kernels that need not repeat their bits;
ours builds its network within the clock and does repeat them. Neither reads files or fits the
whitening within it. `data_wait` is the share of our run that gathering and augmenting batches takes
alone. `arms` is an experiment of 5 arms and 20 seeds. Run it as `python -m bench.airbench --json`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from bench.airbench_recipe import Reference, accuracy, as_published
from bench.record import Figure, record, show
from training.arms import TrainingData, batches, raw_arm
from training.augment import augment
from training.jobs import repeatable
from training.models import Net
from training.recipe import Recipe
from training.trainer import Pictures, train

RUNS, ARMS, SEEDS, TARGET = 10, 5, 20, 0.94
NET = Net(widths=(64, 256, 256), stride=1, dirac=True)
OURS = Recipe(
    "train", 200, 2000, 0.4, 4e-3, evals=1, ema_share=0.02, label_smoothing=0.2, optimiser="muon",
    flip=True, schedule="wsd", decay_share=0.9, net=NET, precision="bf16", engine="compile",
)  # fmt: skip
Timed = tuple[float, float]


def load_cifar10(folder: Path) -> TrainingData:
    """Return the 50,000 and 10,000 images of the binary batches; 2,000 of train also validate."""
    names = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]
    rows = np.concatenate(
        [np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names]
    )
    rows = np.concatenate([rows, rows[:2000]])
    split = np.repeat([0, 2, 1], [50_000, 10_000, 2000]).astype(np.int8)
    images = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32))
    classes = tuple(f"c{at}" for at in range(10))
    keys = np.arange(len(rows)).astype(str)
    return TrainingData("image", classes, keys, rows[:, 0].astype(np.int64), split, images)


def timed(pictures: Pictures, way: Callable[[], float]) -> Timed:
    """Return accuracy and seconds."""
    _finish(pictures.device)
    begun = time.perf_counter()
    right = way()
    _finish(pictures.device)
    return right, time.perf_counter() - begun


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def run_ours(pictures: Pictures, seed: int, recipe: Recipe, kept: float = 1.0) -> float:
    """Train on a share of the rows and return the test accuracy."""
    data, raw = pictures.data, raw_arm(pictures.data)
    keep = np.random.default_rng(seed).random(raw.keep.size) < kept
    run = train(pictures, replace(raw, name="cleaned", keep=keep), seed, recipe)
    return float((run.test_pred == data.labels[data.rows_of(2)]).mean())


def time_reference(reference: Reference, seed: int) -> Timed:
    """Return what airbench's recipe reaches, and its seconds from a start that is drawn before."""
    pictures = reference.pictures
    truth = pictures.data.labels[pictures.data.rows_of(2)]
    with as_published():
        reference.reset(seed)
        return timed(pictures, lambda: accuracy(reference.train(), truth))


def feed_alone(pictures: Pictures, recipe: Recipe) -> float:
    """Gather and augment the batches of a run, and do nothing with them."""
    stream = batches(raw_arm(pictures.data).keep, 0, recipe.batch_size)
    for _ in range(recipe.steps):
        places, epochs = next(stream)
        augment(pictures.batch(places), places, epochs, 0, translate_px=2, flip=True)
    return 0.0


def measure(pictures: Pictures) -> dict[str, Figure]:
    """Return accuracies, seconds and ratios of both sides."""
    reference = Reference(pictures)
    ours, theirs = [], []
    for seed in range(RUNS + 1):  # the first one compiles
        theirs.append(time_reference(reference, seed))
        ours.append(timed(pictures, lambda s=seed: run_ours(pictures, s, OURS)))
    (ours_acc, ours_s), (theirs_acc, theirs_s) = (
        (np.array(part) for part in zip(*runs[1:], strict=True)) for runs in (ours, theirs)
    )
    ratios = ours_s / theirs_s
    wait = timed(pictures, lambda: feed_alone(pictures, OURS))[1] / float(np.median(ours_s))
    begun = time.perf_counter()
    for seed in range(SEEDS):
        for arm in range(ARMS):
            run_ours(pictures, seed, OURS, 1 - 0.05 * arm)
    arms_s = time.perf_counter() - begun
    peak = torch.cuda.max_memory_allocated() / 2**30
    return {
        "ours_accuracy": Figure(float(ours_acc.mean()), TARGET, "higher", RUNS),
        "airbench_accuracy": Figure(float(theirs_acc.mean()), None, "higher", RUNS),
        "ours_s": Figure(median(ours_s), None, "lower", RUNS, unit="s"),
        "airbench_s": Figure(median(theirs_s), None, "lower", RUNS, unit="s"),
        "time_ratio": Figure(
            median(ratios), 1.1, "lower", RUNS, (float(ratios.min()), float(ratios.max()))
        ),
        "data_wait": Figure(wait, None, "lower", 1),
        "memory": Figure(peak, None, "lower", 1, unit="GiB"),
        "arms": Figure(arms_s, 360, "lower", ARMS * SEEDS, unit="s"),
    }


def main() -> None:
    """Measure, or say why not."""
    folder = os.environ.get("GRISTMILL_CIFAR10", "")
    if not torch.cuda.is_available():
        print("no CUDA device: bench.airbench measures nothing here", file=sys.stderr)
        return
    if not Path(folder, "test_batch.bin").is_file():
        print("no CIFAR-10 here: set GRISTMILL_CIFAR10 to its binary batches", file=sys.stderr)
        return
    device = torch.device("cuda")
    with repeatable(device):
        pictures = Pictures(load_cifar10(Path(folder)), device)
        show(record("airbench", measure(pictures)))


if __name__ == "__main__":
    main()
