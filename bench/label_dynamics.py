"""What a training run says of labels: each signal alone, beside the features, and its price.

5,000 train rows of CIFAR-10N under human labels, the true ones only for scoring; chance is the
share of wrong labels. The network is the project's train tier at the passes that `[labels]
training` takes. Run it as `python -m bench.label_dynamics --json`.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import average_precision_score

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.core.check import load_checks
from checks.core.run import run_set_checks
from checks.labels.dynamics_rank import doubt_of_dynamics
from training.arms import TrainingData, raw_arm
from training.dynamics import COLUMNS, Watch
from training.experiment import ExperimentOptions
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
from training.trainer import Pictures, train

ROWS, SEED, FOLDS, RESAMPLES = 5000, 0, 3, 400
LABELS = ("random_label1", "worse_label")
OPTIONS = ExperimentOptions(device="cpu")
FALLING = {*COLUMNS} - {"prob_std", "forgotten_count"}  # the lower, the more suspicious
Floats = NDArray[np.float64]
Tables = dict[str, pl.LazyFrame]


def load_rows(label: str) -> tuple[TrainingData, NDArray[np.bool_]]:
    """Return the drawn rows under the labels `label`, and which of these are wrong."""
    path = find_shared_data() / "cifar10n" / "train.parquet"
    frame = pl.read_parquet(path, columns=["image", "label", label])
    frame = frame.sample(ROWS, seed=SEED, shuffle=True)
    images = [np.asarray(Image.open(io.BytesIO(held)).convert("RGB")) for held in frame["image"]]
    given = frame[label].to_numpy().astype(np.int64)
    keys = np.array([f"{at:032x}-0" for at in range(ROWS)])
    pixels = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    classes = tuple(f"c{at}" for at in range(10))
    data = TrainingData("image", classes, keys, given, np.zeros(ROWS, np.int8), pixels)
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
def timed_logging() -> Iterator[list[float]]:
    """Add up the CPU seconds that logging takes within the block; the list's one number."""
    spent, log = [0.0], Watch.record

    def record_timed(*batch: object) -> None:
        begun = time.process_time()
        log(*batch)  # type: ignore[arg-type]
        spent[0] += time.process_time() - begun

    with patch.object(Watch, "record", record_timed):
        yield spent


def price_of_logging(data: TrainingData) -> dict[str, Figure]:
    """Train the same run with and without logging; CPU seconds, on one thread."""
    recipe, raw = label_recipe(data, OPTIONS), raw_arm(data)
    with repeatable(torch.device("cpu")):
        pictures, seconds = Pictures(data, torch.device("cpu")), []
        with timed_logging() as spent:
            for arm in (raw, replace(raw, name="unwatched")):
                begun = time.process_time()
                train(pictures, arm, SEED, recipe)
                seconds.append(time.process_time() - begun)
    told = {"cpu_s": (seconds[0], "s"), "without_logging_cpu_s": (seconds[1], "s"),
            "batches_logged_cpu_s": (spent[0], "s")}  # fmt: skip
    figures = {
        name: Figure(value, None, "lower", 1, unit=unit) for name, (value, unit) in told.items()
    }
    figures["logging_share"] = Figure(seconds[0] / seconds[1] - 1, 0.05, "lower", 1)
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
    figures |= {f"run/{n}": f for n, f in price_of_logging(load_rows(LABELS[0])[0]).items()}
    show(record("label_dynamics", figures))


if __name__ == "__main__":
    main()
