"""Many probe heads as one batched model, beside a loop that trains one after the other.

32 numbers, 50,000 rows, two classes; 20 heads of 128 and 128 units, batches of 128. The loop runs
plain two-layer perceptrons with torch.optim.AdamW; `same_code` is our own batched code with one
member at a time. CPU seconds on one thread, rounds interleaved, medians of the rounds' ratios; the
interval is the lowest to the highest round. Run it as `python -m bench.batched_heads --json`.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.record import Figure, record, show
from training.arms import Arm, TrainingData, batches, raw_arm
from training.heads import Rows, fit_heads
from training.jobs import repeatable
from training.recipe import Recipe

ROUNDS, HEADS, STEPS, BATCH, WIDTH, ROWS = 5, 20, 300, 128, 32, 50_000
CPU = torch.device("cpu")
RECIPE = Recipe("probe", STEPS, BATCH, 1e-3, 0.1, evals=1)
Runs = list[tuple[Arm, int]]


def make_rows() -> TrainingData:
    """Return rows whose first number tells the class."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    labels = (numbers[:, 0] > 0).astype(np.int64)
    split = np.zeros(ROWS, np.int8)
    keys = np.arange(ROWS).astype(str)
    return TrainingData("table", ("no", "yes"), keys, labels, split, numbers=numbers)


def train_plainly(data: TrainingData, runs: Runs) -> None:
    """Train a perceptron for each run, one after the other."""
    assert data.numbers is not None
    numbers, labels = torch.from_numpy(data.numbers), torch.from_numpy(data.labels)
    for arm, seed in runs:
        torch.manual_seed(seed)
        hidden = RECIPE.hidden
        net = nn.Sequential(
            nn.Linear(WIDTH, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 2),
        )  # fmt: skip
        optimiser = torch.optim.AdamW(net.parameters(), RECIPE.lr, weight_decay=0.1)
        stream = batches(arm.keep, seed, BATCH)
        for _ in range(STEPS):
            rows = torch.from_numpy(next(stream)[0])
            optimiser.zero_grad()
            functional.cross_entropy(net(numbers[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()


def measure() -> dict[str, Figure]:
    """Return how many times the CPU seconds of the batched heads a loop takes."""
    data = make_rows()
    rows, raw = Rows(data, CPU), raw_arm(data)
    runs: Runs = [(raw, seed) for seed in range(HEADS)]
    ways = {
        "plain_loop": lambda: train_plainly(data, runs),
        "same_code": lambda: [fit_heads(rows, [run], RECIPE) for run in runs],
        "batched": lambda: fit_heads(rows, runs, RECIPE),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    with repeatable(CPU):
        for again in range(ROUNDS + 1):
            for name, way in ways.items():
                begun = time.process_time()
                way()
                if again:  # the first round warms up
                    spent[name].append(time.process_time() - begun)
    figures = {}
    for name, target in (("plain_loop", 3.0), ("same_code", None)):
        ratios = [slow / fast for slow, fast in zip(spent[name], spent["batched"], strict=True)]
        figures[f"{name}_ratio"] = Figure(
            median(ratios), target, "higher", ROUNDS, (min(ratios), max(ratios))
        )
    figures["batched_ms_a_step"] = Figure(
        median(spent["batched"]) / STEPS * 1000, None, "lower", ROUNDS, unit="ms"
    )
    return figures


if __name__ == "__main__":
    show(record("batched_heads", measure()))
