"""What a training run says of labels: each signal alone, beside the features, and its price.

5,000 train rows of CIFAR-10N under human labels, the true ones only for scoring; chance is the
share of wrong labels. The network is the project's train tier at the passes that `[labels]
training` takes. Run it as `python -m bench.label_dynamics --json`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.twins import decode
from checks.core.check import load_checks
from checks.core.run import run_set_checks
from checks.labels.dynamics_rank import doubt_of_dynamics
from training import trainer
from training.arms import TrainingData, raw_arm
from training.dynamics import COLUMNS, Watch
from training.experiment import ExperimentOptions, choose_recipe
from training.features import compute_features
from training.jobs import repeatable
from training.label_runs import (
    label_recipe,
    plan_dynamics,
    plan_folds,
    probability_frame,
    read_dynamics,
    read_folds,
)
from training.learner import Learner
from training.recipe import Recipe
from training.trainer import Pictures

ROWS, SEED, FOLDS, RESAMPLES = 5000, 0, 3, 400
LABELS = ("random_label1", "worse_label")
OPTIONS = ExperimentOptions(device="cpu")
FALLING = {*COLUMNS} - {"forgotten_count"}  # the lower, the more suspicious
Floats = NDArray[np.float64]
Tables = dict[str, pl.LazyFrame]


def load_rows(label: str, held: int = 0) -> tuple[TrainingData, NDArray[np.bool_]]:
    """Return the drawn rows under the labels `label`, and which of these are wrong.

    held: further rows, half of them for validation, half for the test.
    """
    path = find_shared_data() / "cifar10n" / "train.parquet"
    frame = pl.read_parquet(path, columns=["image", "label", label])
    frame = frame.sample(ROWS + held, seed=SEED, shuffle=True)
    given = frame[label].to_numpy().astype(np.int64)
    keys = np.array([f"{at:032x}-0" for at in range(ROWS + held)])
    pixels = np.ascontiguousarray(decode(frame))
    classes = tuple(f"c{at}" for at in range(10))
    split = np.repeat([0, 1, 2], [ROWS, held // 2, held // 2]).astype(np.int8)
    data = TrainingData("image", classes, keys, given, split, pixels)
    return data, given != frame["label"].to_numpy()


def set_tables(data: TrainingData) -> Tables:
    """Return the tables that set checks get of these rows without any training."""
    assert data.images is not None
    with repeatable(torch.device("cpu")):
        matrix = compute_features(data.images, data.train)
    labels = [data.classes[at] for at in data.labels]
    samples = pl.DataFrame({"sample_id": data.keys.tolist(), "label": labels})
    width = pl.Array(pl.Float32, matrix.shape[1])
    features = samples.select("sample_id", features=pl.Series(matrix, dtype=width))
    return {"samples": samples.lazy().with_columns(split=pl.lit("train")),
            "features": features.lazy()}  # fmt: skip


def suspicion(tables: Tables) -> Floats:
    """Return `label_suspicion` by the check as it stands."""
    outcome = run_set_checks(tables, [load_checks()["unlikely_label"]])
    return outcome.scores.sort("sample_id")["label_suspicion"].to_numpy()


@contextmanager
def timed_logging(train_rows: int) -> Iterator[list[float]]:
    """Add up the CPU seconds of logging within the block: of the batches, of the last pass."""
    spent, log, read = [0.0, 0.0], Watch.record, Learner.evaluate

    def record_timed(*batch: Any) -> None:
        begun = time.process_time()
        log(*batch)
        spent[0] += time.process_time() - begun

    def evaluate_timed(*asked: Any) -> Any:
        begun = time.process_time()
        logits = read(*asked)
        spent[1] += (time.process_time() - begun) * (logits.shape[0] == train_rows)
        return logits

    timed = patch.object(Learner, "evaluate", evaluate_timed)
    with patch.object(Watch, "record", record_timed), timed:
        yield spent


def price_of_logging(data: TrainingData, recipe: Recipe) -> dict[str, Figure]:
    """Train the same run with and without logging; CPU seconds, on one thread."""
    raw, seconds = raw_arm(data), []
    with repeatable(torch.device("cpu")):
        pictures = Pictures(data, torch.device("cpu"))
        with timed_logging(data.train.size) as spent:
            for arm in (raw, replace(raw, name="unwatched")):
                begun = time.process_time()
                trainer.train(pictures, arm, SEED, recipe)
                seconds.append(time.process_time() - begun)
    told = {"cpu_s": seconds[0], "without_logging_cpu_s": seconds[1],
            "batches_logged_cpu_s": spent[0], "last_pass_cpu_s": spent[1]}  # fmt: skip
    figures = {name: Figure(value, None, "lower", 1, unit="s") for name, value in told.items()}
    share = sum(spent) / (seconds[0] - sum(spent))
    figures["logging_share"] = Figure(share, 0.05, "lower", 1)
    return figures


def average_precisions(scores: Mapping[str, Floats], wrong: NDArray[np.bool_]) -> dict[str, Figure]:
    """Return each score's average precision with a bootstrap interval over the samples (95 %)."""
    rng, drawn = np.random.default_rng(SEED), {name: [] for name in scores}
    for _ in range(RESAMPLES):
        at = rng.integers(0, ROWS, ROWS)
        for name, score in scores.items():
            drawn[name].append(average_precision_score(wrong[at], score[at]))
    figures = {}
    for name, score in scores.items():
        low, high = np.quantile(drawn[name], (0.025, 0.975))
        value = float(average_precision_score(wrong, score))
        figures[f"{name}_ap"] = Figure(value, None, "higher", ROWS, (float(low), float(high)))
    gains = np.subtract(drawn["suspicion_and_dynamics"], drawn["suspicion"])
    low, high = np.quantile(gains, (0.025, 0.975))
    gain = figures["suspicion_and_dynamics_ap"].value - figures["suspicion_ap"].value
    figures["gain_of_averaging"] = Figure(gain, None, "higher", ROWS, (float(low), float(high)))
    return figures


def measure(label: str, cache: Path) -> dict[str, Figure]:
    """Return all figures under one set of human labels."""
    data, wrong = load_rows(label)
    tables, runs = set_tables(data), plan_dynamics(data, OPTIONS)
    dynamics = read_dynamics(runs, runs.train(cache, 1, None))
    scores = {
        name: dynamics[name].to_numpy().astype(np.float64) * (-1 if name in FALLING else 1)
        for name in COLUMNS
    }
    scores["dynamics"] = doubt_of_dynamics(dynamics, pl.Series(data.keys.tolist()))
    scores["suspicion"] = suspicion(tables)
    rank = np.argsort(np.argsort(scores["suspicion"])) / ROWS
    scores["suspicion_and_dynamics"] = rank + scores["dynamics"]
    begun, folds = time.process_time(), plan_folds(data, FOLDS, OPTIONS)
    scored = read_folds(folds, folds.train(cache, 1, None))
    seconds = time.process_time() - begun
    own = scored.probs[np.arange(ROWS), data.labels].astype(np.float64)
    scores["folds_self_confidence"] = -own
    told = {**tables, "probabilities": probability_frame(scored, data.classes).lazy()}
    scores["suspicion_with_folds"] = suspicion(told)
    figures = average_precisions(scores, wrong)
    figures["folds_cpu_s"] = Figure(seconds, None, "lower", FOLDS, unit="s")
    figures["chance"] = Figure(float(wrong.mean()), None, "lower", ROWS)
    return figures


def main() -> None:
    """Measure both label sets and the price of logging."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            f"{label}/{name}": figure
            for label in LABELS
            for name, figure in measure(label, Path(folder)).items()
        }
    data, _ = load_rows(LABELS[0], held=4000)
    recipes = {
        "label_run": label_recipe(data, OPTIONS),
        "experiment": choose_recipe(data, "train", OPTIONS),
    }
    for name, recipe in recipes.items():
        figures |= {f"{name}/{n}": f for n, f in price_of_logging(data, recipe).items()}
    show(record("label_dynamics", figures))


if __name__ == "__main__":
    main()
