"""How many labels are wrong and how many are flagged, on human and on made label noise.

10,000 CIFAR-10N train rows at a time, default settings, the truth read only to score; cleanlab on
the same left-out chances. `reviewed` is the check after a person gave true verdicts on 100 labels,
chosen as `gristmill review export` chooses them. The small subsets and the planted count are of
true labels: nothing may be found there. Run it as `python -m bench.label_amount --json`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from cleanlab.count import estimate_latent, num_label_issues
from cleanlab.filter import find_label_issues

from bench.label_ranking import LOOK_ALIKES
from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.twins import decode
from checks.core.check import load_checks
from checks.core.run import SetOutcome, run_set_checks
from checks.labels.suspicion import gather, judge
from flows.app.review_choice import choose_samples
from training.features import compute_features

Ints = npt.NDArray[np.int64]
SUBSETS, ROWS, CLASSES = 3, 10_000, 10
SMALL, REVIEWED = (300, 1000, 3000), 100
CHECK = "unlikely_label"
HUMAN = {"aggre": "aggre_label", "random1": "random_label1", "worse": "worse_label"}
PRECISION_TARGETS = {"aggre": 0.8, "random1": 0.8, "worse": 0.8}
CLEAN_TARGET, GAP_TARGET = 0.01, 0.1


def load_train() -> tuple[npt.NDArray[np.uint8], dict[str, Ints]]:
    """Return images (N, 3, 32, 32) and labels by column, (N,) each; `label` is the truth."""
    table = pl.read_parquet(find_shared_data() / "cifar10n" / "train.parquet")
    images = np.ascontiguousarray(decode(table))
    columns = ["label", *HUMAN.values()]
    return images, {name: table[name].to_numpy().astype(np.int64) for name in columns}


def label_sets(labels: dict[str, Ints], seed: int) -> Iterator[tuple[str, Ints]]:
    """Yield clean, human and made labels by name."""
    truth, rng = labels["label"], np.random.default_rng([7, seed])
    yield "clean", truth
    yield from ((name, labels[column]) for name, column in HUMAN.items())
    hit = rng.random(truth.size) < 0.2  # noqa: PLR2004 - as the name says
    moved = (truth + rng.integers(1, CLASSES, truth.size)) % CLASSES
    yield "sym20", np.where(hit, moved, truth)
    pairs = np.array([LOOK_ALIKES.get(place, place) for place in range(CLASSES)])
    hit = rng.random(truth.size) < 0.4  # noqa: PLR2004 - as the issue says
    yield "asym", np.where(hit, pairs[truth], truth)


def name_rows(features: npt.NDArray[np.float32], given: Ints) -> dict[str, pl.DataFrame]:
    """Return what the check reads: samples, all of them train, and features."""
    ids = [f"{row:032x}-0" for row in range(given.size)]
    samples = {"sample_id": ids, "split": ["train"] * given.size, "label": given.astype(str)}
    matrix = pl.Series(features, dtype=pl.Array(pl.Float32, features.shape[1]))
    return {
        "samples": pl.DataFrame(samples),
        "features": pl.DataFrame({"sample_id": ids, "features": matrix}),
    }


def run_check(tables: Mapping[str, pl.DataFrame]) -> tuple[npt.NDArray[np.bool_], SetOutcome]:
    """Return which samples the check flags by default, (N,), and all that it says."""
    lazy = {name: table.lazy() for name, table in tables.items()}
    outcome = run_set_checks(lazy, [load_checks()[CHECK]])
    ids = tables["samples"]["sample_id"].to_numpy()
    return np.isin(ids, outcome.findings["sample_id"].to_list()), outcome


def review(samples: pl.DataFrame, outcome: SetOutcome, wrong: npt.NDArray[np.bool_]
           ) -> pl.DataFrame:  # fmt: skip
    """Return true verdicts on the labels that people would be asked about."""
    asked = choose_samples(samples, outcome.findings, outcome.scores, count=REVIEWED)
    words = pl.Series(np.where(wrong, "wrong", "right").tolist())
    said = samples.select("sample_id", verdict=words)
    return asked.select("sample_id", "drawn_prob").join(said, on="sample_id")


def true_matrix(truth: Ints, given: Ints) -> npt.NDArray[np.float64]:
    """Return P(given | true), (K, K)."""
    counts = np.bincount(truth * CLASSES + given, minlength=CLASSES**2)
    table = counts.reshape(CLASSES, CLASSES)
    return table / np.maximum(table.sum(axis=1, keepdims=True), 1)


def score_ours(flagged: npt.NDArray[np.bool_], facts: Any, truth: Ints, given: Ints
               ) -> dict[str, float]:  # fmt: skip
    """Return what the check said beside what is true; nan where it flagged nothing."""
    wrong, exact = given != truth, true_matrix(truth, given)
    count, matrix = facts["wrong_labels"], facts["noise_matrix"]
    low, high = np.array(matrix["low"]), np.array(matrix["high"])
    precision = float(wrong[flagged].mean()) if flagged.any() else np.nan
    told = facts["estimated_precision"]
    return {
        "flagged_frac": float(flagged.mean()), "precision": precision,
        "recall": float(wrong[flagged].sum() / wrong.sum()) if wrong.any() else np.nan,
        "precision_gap": abs(told - precision) if flagged.any() else np.nan,
        "count_error": (count["count"] - wrong.sum()) / wrong.size,
        "count_covered": float(count["low"] <= wrong.sum() <= count["high"]),
        "count_width": (count["high"] - count["low"]) / wrong.size,
        "matrix_error": float(np.abs(np.array(matrix["values"]) - exact).mean()),
        "matrix_covered": float(((low - 1e-4 <= exact) & (exact <= high + 1e-4)).mean()),
    }  # fmt: skip


def score_cleanlab(features: npt.NDArray[np.float32], truth: Ints, given: Ints
                   ) -> dict[str, float]:  # fmt: skip
    """Return the same of cleanlab's default filter, count and noise matrix."""
    chances = judge(gather(features, given, CLASSES), given).chances.astype(np.float64)
    chances /= chances.sum(axis=1, keepdims=True)
    wrong = given != truth
    flagged = find_label_issues(given, chances)
    from cleanlab.count import compute_confident_joint  # noqa: PLC0415 - only here

    joint = compute_confident_joint(given, chances)
    matrix = estimate_latent(joint, given)[1].T  # cleanlab's is P(given row | true column)
    return {
        "flagged_frac": float(flagged.mean()),
        "precision": float(wrong[flagged].mean()) if flagged.any() else np.nan,
        "recall": float(wrong[flagged].sum() / wrong.sum()) if wrong.any() else np.nan,
        "count_error": (num_label_issues(given, chances) - wrong.sum()) / wrong.size,
        "matrix_error": float(np.abs(matrix - true_matrix(truth, given)).mean()),
    }  # fmt: skip


def _target(name: str, what: str) -> float | None:
    if what == "precision":
        return PRECISION_TARGETS.get(name)
    if what == "flagged_frac" and name.startswith("clean"):
        return CLEAN_TARGET
    return GAP_TARGET if what == "precision_gap" else None


def _summarise(name: str, rows: list[dict[str, float]], prefix: str = "") -> dict[str, Figure]:
    """Mean over subsets with the least and the greatest as interval."""
    figures = {}
    for what in rows[0]:
        values = [row[what] for row in rows if np.isfinite(row[what])]
        if values:
            higher = what in {"precision", "recall", "count_covered", "matrix_covered"}
            figures[f"{name}_{prefix}{what}"] = Figure(
                float(np.mean(values)), None if prefix else _target(name, what),
                "higher" if higher else "lower", len(values),
                (float(min(values)), float(max(values))),
            )  # fmt: skip
    return figures


def measure() -> dict[str, Figure]:
    """Every label set on every subset; small subsets of true labels; CPU seconds of a check."""
    images, labels = load_train()
    ours: dict[str, list[dict[str, float]]] = {}
    theirs: dict[str, list[dict[str, float]]] = {}
    heard: dict[str, list[dict[str, float]]] = {}
    seconds = []
    for subset in range(SUBSETS):
        rows = np.sort(np.random.default_rng([11, subset]).permutation(len(images))[:ROWS])
        features = compute_features(images[rows], np.arange(ROWS))
        drawn = {name: column[rows] for name, column in labels.items()}
        truth = drawn["label"]
        for name, given in label_sets(drawn, subset):
            start = time.process_time()
            tables = name_rows(features, given)
            flagged, told = run_check(tables)
            seconds.append(time.process_time() - start)
            ours.setdefault(name, []).append(score_ours(flagged, told.facts[CHECK], truth, given))
            tables["reviews"] = review(tables["samples"], told, given != truth)
            flagged, told = run_check(tables)
            heard.setdefault(name, []).append(score_ours(flagged, told.facts[CHECK], truth, given))
            theirs.setdefault(name, []).append(score_cleanlab(features, truth, given))
        for size in SMALL:
            few = compute_features(images[rows[:size]], np.arange(size))
            part, _ = run_check(name_rows(few, truth[:size]))
            ours.setdefault(f"clean_{size}", []).append({"flagged_frac": float(part.mean())})
    figures: dict[str, Figure] = {}
    for name, found in ours.items():
        figures |= _summarise(name, found)
    for name, found in heard.items():
        figures |= _summarise(name, found, "reviewed_")
    for name, found in theirs.items():
        figures |= _summarise(name, found, "cleanlab_")
    spread = (min(seconds), max(seconds))
    return figures | {
        "check_cpu_s": Figure(float(np.mean(seconds)), None, "lower", len(seconds), spread, "s")
    }


if __name__ == "__main__":
    show(record("label_amount", measure()))
