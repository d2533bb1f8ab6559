"""KNN-Shapley values against human label errors: ranking, the ten that hurt most, cost.

10,000 CIFAR-10 train pictures with the labels of one annotator (`random_label1` of CIFAR-10N) are
valued on 2,000 others, whose labels are as noisy, three draws. The true label only scores. Beside
it stands the share of the 50 nearest train samples that disagree, which needs no others.
Run it as `python -m bench.label_values --json`.
"""

from __future__ import annotations

import resource
import time

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from sklearn.metrics import average_precision_score

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.twins import decode
from checks.core.check import load_checks
from checks.labels.knn_shapley import value_neighbours
from checks.metrics.similarity import nearest
from checks.metrics.vectors import find_directions
from training.features import compute_features

ROWS, TESTS, DRAWS = 10_000, 2000, 3
VOTERS = 50
LARGE = (20_000, 2000, 128)  # train samples, test samples, axes


def load_draw(seed: int) -> tuple[pl.DataFrame, npt.NDArray[np.float32]]:
    """Return split, given and true label of train and val, and features fitted on train."""
    path = find_shared_data() / "cifar10n" / "train.parquet"
    rows = pl.read_parquet(path, columns=["image", "label", "random_label1"])
    chosen = rows.sample(ROWS + TESTS, seed=seed, shuffle=True)
    matrix = compute_features(np.ascontiguousarray(decode(chosen)), np.arange(ROWS))
    told = chosen.select(true="label", given="random_label1").with_columns(
        split=pl.Series(["train"] * ROWS + ["val"] * TESTS),
        sample_id=pl.format("{}-0", pl.int_range(ROWS + TESTS).cast(pl.String).str.zfill(32)),
    )
    return told, matrix


def measure_draw(seed: int) -> dict[str, float]:
    """Figures of one draw."""
    told, matrix = load_draw(seed)
    width = pl.Array(pl.Float32, matrix.shape[1])
    features = pl.DataFrame({"sample_id": told["sample_id"],
                             "features": pl.Series(matrix, dtype=width)})  # fmt: skip
    samples = told.select("sample_id", "split", pl.col("given").cast(pl.String).alias("label"))
    begun = time.process_time()
    judged = load_checks()["harmful_sample"](
        {"samples": samples.lazy(), "features": features.lazy()}
    )
    seconds = time.process_time() - begun
    train = told.head(ROWS)
    wrong = (train["true"] != train["given"]).to_numpy()
    value = judged.scores["shapley_value"].head(ROWS).to_numpy()
    points = find_directions(matrix, np.arange(ROWS), 0)[:ROWS]
    given = train["given"].to_numpy()
    votes = given[nearest(points, points, np.arange(ROWS), VOTERS)[0]]
    worst = np.argsort(value, kind="stable")
    flagged = train.filter(train["sample_id"].is_in(judged.findings["sample_id"].implode()))
    return {
        "average precision of -value": average_precision_score(wrong, -value),
        "average precision of 50 neighbours' disagreement": average_precision_score(
            wrong, (votes != given[:, None]).mean(axis=1)
        ),
        "wrong labels (chance)": float(wrong.mean()),
        "wrong among the ten lowest": float(wrong[worst[:10]].mean()),
        "wrong among the lowest 1 %": float(wrong[worst[: ROWS // 100]].mean()),
        "flagged": float(flagged.height),
        "wrong among the flagged": float((flagged["true"] != flagged["given"]).mean() or 0),
        "CPU s of the check": seconds,
    }


def time_large() -> float:
    """CPU seconds of valuing 20,000 samples on 2,000, in 128 axes."""
    draw = np.random.default_rng(0)
    rows, tests, axes = LARGE
    train, test = (draw.standard_normal((n, axes)).astype(np.float32) for n in (rows, tests))
    begun = time.process_time()
    value_neighbours(train, draw.integers(0, 10, rows), test, draw.integers(0, 10, tests), 10)
    return time.process_time() - begun


def measure() -> dict[str, Figure]:
    """All figures of this file; the interval is the least and the greatest of the draws."""
    seconds = time_large()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures = {
        "20k on 2k: values": Figure(seconds, 60.0, "lower", LARGE[0], unit="CPU s"),
        "20k on 2k: peak memory of the process": Figure(
            memory, 1.0, "lower", LARGE[0], unit="GiB"
        ),
    }  # fmt: skip
    torch.set_num_threads(2)
    draws = [measure_draw(seed) for seed in range(DRAWS)]
    for name in draws[0]:
        values = [draw[name] for draw in draws]
        better = "lower" if name.startswith(("CPU", "wrong labels")) else "higher"
        figures[f"cifar10n random_label1: {name}"] = Figure(
            float(np.mean(values)), None, better, DRAWS, (min(values), max(values))
        )
    return figures


if __name__ == "__main__":
    show(record("label_values", measure()))
