"""Accuracy for CPU time: the small network on 10,000 CIFAR-10 images, six epochs.

True labels, 4,000 test images, one thread. `reference` is the handbook's prototype as far as it is
told there: the same network of 16, 32 and 64 channels behind a frozen 2 x 2 whitening of stride 2,
batches of 250, learning rate .375, channels last, and airbench's habits where it says nothing:
SGD with Nesterov momentum .85, label smoothing .2, a rate that rises over a fifth of the steps and
falls to 0, moved and mirrored images. It was 62.5 % in 16.8 CPU seconds on another day. `ours` is
the trainer with Muon and a decay, `default` the recipe that the experiment takes, whose rate stays
constant since its curves are read. Seeds interleaved, medians. Run it as
`python -m bench.small_net --json`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from torch.nn import functional

from bench.cifar import load_cifar
from bench.record import Figure, record, show
from training.arms import batches, raw_arm
from training.augment import augment
from training.experiment import ExperimentOptions, choose_recipe
from training.jobs import repeatable
from training.models import build
from training.recipe import Recipe
from training.trainer import Pictures, train

CPU = torch.device("cpu")
ROWS, EPOCHS, BATCH, SEEDS = 10_000, 6, 250, 3
PROTOTYPE_ACCURACY = 0.625
STEPS = EPOCHS * ROWS // BATCH
OURS = Recipe(
    "train", STEPS, BATCH, 0.2, 5e-4, evals=1, ema_share=0.02, label_smoothing=0.2,
    optimiser="muon", flip=True, schedule="wsd", decay_share=0.8,
)  # fmt: skip
Measured = tuple[float, float]


def train_ours(pictures: Pictures, seed: int, recipe: Recipe) -> Measured:
    """Return test accuracy and CPU seconds of our trainer."""
    data, begun = pictures.data, time.process_time()
    arm = replace(raw_arm(data), name="cleaned")  # the same run without a log of its margins
    run = train(pictures, arm, seed, recipe)
    spent = time.process_time() - begun
    return float((run.test_pred == data.labels[data.rows_of(2)]).mean()), spent


def train_reference(pictures: Pictures, seed: int) -> Measured:
    """Return test accuracy and CPU seconds of the prototype."""
    data, begun = pictures.data, time.process_time()
    net = build(pictures.standard.filters, 10, seed, CPU).train()
    trained = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trained, 0.375, 0.85, weight_decay=5e-4, nesterov=True)
    up = STEPS // 5
    factors = [min((step + 1) / up, (STEPS - step) / (STEPS - up)) for step in range(STEPS)]
    stream, train_rows = batches(raw_arm(data).keep, seed, BATCH), data.train
    for factor in factors:
        places, epochs = next(stream)
        optimiser.param_groups[0]["lr"] = 0.375 * factor
        images = augment(
            pictures.batch(train_rows[places]), places, epochs, seed, translate_px=2, flip=True
        )
        labels = torch.from_numpy(data.labels[train_rows[places]])
        optimiser.zero_grad()
        functional.cross_entropy(net(images), labels, label_smoothing=0.2).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    net.eval()
    test = data.rows_of(2)
    with torch.no_grad():
        told = torch.cat([net(images).argmax(1) for images in pictures.parts(test)]).numpy()
    return float((told == data.labels[test]).mean()), time.process_time() - begun


def measure() -> dict[str, Figure]:
    """Return accuracy and CPU seconds of all three, and ours for each of the reference's."""
    data = load_cifar(ROWS)
    default = replace(choose_recipe(data, "train", ExperimentOptions(device="cpu")), evals=1)
    got: dict[str, list[Measured]] = {"ours": [], "default": [], "reference": []}
    with repeatable(CPU):
        pictures = Pictures(data, CPU)
        ways: dict[str, Callable[[int], Measured]] = {
            "ours": lambda seed: train_ours(pictures, seed, OURS),
            "default": lambda seed: train_ours(pictures, seed, default),
            "reference": lambda seed: train_reference(pictures, seed),
        }
        for seed in range(SEEDS):
            for name, way in ways.items():
                got[name].append(way(seed))
    figures = {}
    for name, runs in got.items():
        accuracies, seconds = zip(*runs, strict=True)
        target = PROTOTYPE_ACCURACY if name == "ours" else None
        span = (min(accuracies), max(accuracies))
        figures[f"{name}_accuracy"] = Figure(median(accuracies), target, "higher", SEEDS, span)
        figures[f"{name}_cpu_s"] = Figure(median(seconds), None, "lower", SEEDS, unit="s")
    rates = {name: [acc / cpu for acc, cpu in runs] for name, runs in got.items()}
    ratios = [one / other for one, other in zip(rates["ours"], rates["reference"], strict=True)]
    figures["accuracy_per_cpu_s_ratio"] = Figure(
        median(ratios), 1.0, "higher", SEEDS, (min(ratios), max(ratios))
    )
    return figures


if __name__ == "__main__":
    show(record("small_net", measure()))
