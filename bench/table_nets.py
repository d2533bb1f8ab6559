"""Networks for tables at equal CPU time: a perceptron, TabM's ensemble, and boosted trees.

Adult as given: 29,561 rows to train on, 3,000 to validate, 16,281 to test; one thread, all seeds as
one batched model. `mlp` is the experiment's recipe, `tabm` the same with 8 members, `mlp_long` the
perceptron for as many more steps as give it the CPU seconds of `tabm`, `tabm_short` the ensemble
for so few that it takes those of `mlp`. Trees are scikit-learn's as they come. Test accuracies are
means over seeds, intervals of 95 % over seeds, gains paired by seed. Run it as
`python -m bench.table_nets --json`.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from training.arms import TrainingData, raw_arm
from training.encoder import fit_encoder
from training.experiment import ExperimentOptions, choose_recipe
from training.heads import Rows, train_heads
from training.jobs import repeatable
from training.recipe import Recipe
from training.statistics import mean_t, paired_t
from training.yardstick import measure_yardstick

CPU = torch.device("cpu")
SEEDS, MEMBERS, VAL_ROWS, PILOT_STEPS = 6, 8, 3000, 30
Floats = NDArray[np.float64]


def load_adult() -> TrainingData:
    """Return Adult's train and test rows, encoded on train."""
    folder = find_shared_data() / "tables" / "adult"
    frames = [pl.read_csv(folder / f"{name}.csv", null_values="?") for name in ("train", "test")]
    whole = pl.concat(frames)
    label = whole.columns[-1]
    rich = whole[label].str.strip_chars(" .").eq(">50K")
    drawn = np.random.default_rng(0).permutation(frames[0].height)[:VAL_ROWS]
    split = np.repeat([0, 2], [frame.height for frame in frames]).astype(np.int8)
    split[drawn] = 1
    features = whole.drop(label)
    encoder = fit_encoder(features[np.flatnonzero(split == 0).tolist()])
    numbers, codes = encoder.encode(features)
    keys = np.arange(whole.height).astype(str)
    labels = rich.cast(pl.Int64).to_numpy()
    return TrainingData(
        "table", ("poor", "rich"), keys, labels, split, None, numbers, codes, encoder.levels
    )


def train_all(rows: Rows, recipe: Recipe) -> tuple[Floats, float]:
    """Return each seed's test accuracy, and the CPU seconds of all."""
    arm = replace(raw_arm(rows.data), name="cleaned")  # no log of margins
    begun = time.process_time()
    runs = train_heads(rows, [(arm, seed) for seed in range(SEEDS)], recipe)
    spent = time.process_time() - begun
    truth = rows.data.labels[rows.data.rows_of(2)]
    return np.array([(run.test_pred == truth).mean() for run in runs]), spent


def step_ratio(rows: Rows, plain: Recipe, wide: Recipe) -> float:
    """Return how many times the CPU seconds of a plain step a step of the ensemble takes."""
    each = []
    for recipe in (plain, wide):
        short, long = (
            train_all(rows, replace(recipe, steps=steps))[1]
            for steps in (PILOT_STEPS, 3 * PILOT_STEPS)
        )
        each.append(long - short)
    return each[1] / each[0]


def measure() -> dict[str, Figure]:
    """Return accuracies and CPU seconds, and what the ensemble gains at equal CPU seconds."""
    data = load_adult()
    plain = replace(choose_recipe(data, "train", ExperimentOptions(device="cpu")), evals=1)
    wide = replace(plain, members=MEMBERS)
    with repeatable(CPU):
        rows = Rows(data, CPU)
        ratio = step_ratio(rows, plain, wide)
        recipes = {
            "mlp": plain,
            "tabm_short": replace(wide, steps=round(plain.steps / ratio)),
            "mlp_long": replace(plain, steps=round(plain.steps * ratio)),
            "tabm": wide,
        }
        got = {name: train_all(rows, recipe) for name, recipe in recipes.items()}
    figures = {}
    for name, (accuracies, spent) in got.items():
        told = mean_t(accuracies)
        figures[f"{name}_accuracy"] = Figure(
            told.estimate, None, "higher", SEEDS, (told.low, told.high)
        )
        figures[f"{name}_cpu_s"] = Figure(spent, None, "lower", SEEDS, unit="s")
    for name, one, other in (
        ("gain_at_mlp_cpu", "tabm_short", "mlp"), ("gain_at_tabm_cpu", "tabm", "mlp_long")
    ):  # fmt: skip
        told = paired_t(got[one][0], got[other][0])
        figures[name] = Figure(told.estimate, None, "higher", SEEDS, (told.low, told.high))
    trees = measure_yardstick(data, [raw_arm(data)])["raw"]
    figures["trees_accuracy"] = Figure(
        trees["accuracy"], None, "higher", 1, (trees["low"], trees["high"])
    )
    return figures


if __name__ == "__main__":
    show(record("table_nets", measure()))
