"""What an experiment takes, from rows in memory to its report, and what cleaning recovers.

Real images (CIFAR-10N, 10,000 train rows with labels by people, `random_label1`, 17 % wrong) judged
by the label checks and the default policy; a made table of 50,000 rows. Five arms: raw, raw again,
cleaned, random drop, oracle (exactly the wrong labels dropped); eight pilots. Each part is a
process of its own with its workers, imports and all: wall seconds on this machine's cores, and CPU
seconds. `recovered`: share of the oracle's gain over the random drop.

Run it as `python -m bench.experiment_speed --json`; `--only PART` measures one part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from bench.audit import load_pictures
from bench.cleaning_arms import policy_arm
from bench.demo_runs import RUNS
from bench.label_cleaning import judge_labels
from bench.process import run_module
from bench.record import Figure, record, show
from checks.core.policy import Policy
from training.arms import Arm, Arms, TrainingData, raw_arm
from training.experiment import ExperimentOptions, compare
from training.features import compute_features
from training.store_arms import Comparison

NOISY = "random_label1"
SHARE, TABLE_ROWS = 0.6, 50_000
FULL = {"doses": (0.25, 0.5, 0.75), "raw_shares": (0.25, 0.5), "equal_epochs": True}
PARTS: Mapping[str, tuple[float | None, dict[str, Any]]] = {
    "probe": (60.0, {"tiers": ("probe",), "seeds": 12}),
    "probe_default": (None, {"tiers": ("probe",), "seeds": 8, **FULL}),
    "train": (480.0, {"tiers": ("train",), "seeds": 8}),
    "table": (120.0, {"tiers": ("probe", "train"), "seeds": 8}),
}


KEPT = RUNS / "experiment_speed.npz"


def prepare_images() -> Path:
    """Judge the labels once and keep the cleaned arm: this is no part of the experiment."""
    if not KEPT.exists():
        data = load_pictures(NOISY)
        assert data.images is not None
        features = compute_features(data.images, data.train)[data.train]
        judged = judge_labels(features, pl.Series(data.labels[data.train]))
        arm = policy_arm("cleaned", data, judged, Policy())
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        np.savez(KEPT, keep=arm.keep, weights=arm.weights, labels=arm.labels)
    return KEPT


def load_images() -> Comparison:
    """Return the images with raw, cleaned and oracle."""
    data = load_pictures(NOISY)
    assert data.true_labels is not None
    raw = raw_arm(data)
    with np.load(prepare_images()) as kept:
        cleaned = Arm("cleaned", kept["keep"], kept["weights"], kept["labels"], raw.rows)
    right = raw.labels == data.true_labels[data.train]
    least = np.where(cleaned.keep, cleaned.weights, 0)  # the less it weighs, the surer
    order = np.argsort(np.argsort(least, kind="stable"))
    return Comparison(data, Arms(raw, cleaned, replace(raw, name="oracle", keep=right), {}, order))


def make_table(rows: int = TABLE_ROWS) -> Comparison:
    """Return a made table: 12 numbers, 4 categories, 15 % of the train labels wrong."""
    rng = np.random.default_rng(5)
    n = rows + 10_000
    true = rng.integers(0, 2, n)
    numbers = (rng.normal(0, 1, (n, 12)) + 0.35 * true[:, None]).astype(np.float32)
    codes = rng.integers(0, 8, (n, 4)) * (rng.random((n, 4)) < 0.8) + true[:, None]  # noqa: PLR2004
    split = np.repeat([0, 1, 2], [rows, 5_000, 5_000]).astype(np.int8)
    wrong = (split == 0) & (rng.random(n) < 0.15)  # noqa: PLR2004
    data = TrainingData(
        "table", ("no", "yes"), np.arange(n).astype(str), np.where(wrong, 1 - true, true), split,
        None, numbers, codes.astype(np.int64), (9, 9, 9, 9), true,
    )  # fmt: skip
    raw, own = raw_arm(data), wrong[data.train]
    found = np.where(own, rng.random(rows) < 0.7, rng.random(rows) < 0.02)  # noqa: PLR2004
    cleaned = replace(raw, name="cleaned", keep=~found)
    return Comparison(data, Arms(raw, cleaned, replace(raw, name="oracle", keep=~own)))


def work(part: str) -> None:
    """Run one part and print what it found; the parent takes its time."""
    comparison = make_table() if part == "table" else load_images()
    with TemporaryDirectory() as kept:
        report = compare(comparison, ExperimentOptions(**PARTS[part][1]), Path(kept)).report
    tiers = report["tiers"].items()
    print(json.dumps({
        "recovered": {name: tier["recovered"] for name, tier in tiers},
        "prepared_s": {name: tier["prepared_s"] for name, tier in tiers},
        "estimate": {name: tier["verdict"]["estimate"] for name, tier in tiers},
    }))  # fmt: skip


def _measure(part: str) -> tuple[dict[str, Figure], dict[str, Any]]:
    target, options = PARTS[part]
    seeds = options["seeds"]
    begun = time.perf_counter()
    cost = run_module("bench.experiment_speed", "--work", part)
    wall = time.perf_counter() - begun
    cores = os.cpu_count()
    figures = {
        f"{part}: wall, {cores} cores": Figure(wall, target, "lower", seeds, unit="s"),
        f"{part}: CPU": Figure(cost.cpu_s, None, "lower", seeds, unit="s"),
        f"{part}: peak memory of one process": Figure(cost.peak_mb, None, "lower", 1, unit="MB"),
    }
    for tier, seconds in cost.told["prepared_s"].items():
        figures[f"{part}: rows and features for {tier}, CPU"] = Figure(
            seconds, None, "lower", 1, unit="s"
        )
    for tier, share in cost.told["recovered"].items():
        if share is not None and part in {"probe", "train"}:
            ends = (share["low"], share["high"])
            name = f"recovered share of the oracle's gain, {tier}"
            figures[name] = Figure(share["fraction"], SHARE, "higher", seeds, ends)
    return figures, cost.told


def main() -> None:
    """Measure every part and whether both tiers of the images agree in sign."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--work", choices=PARTS)
    asked.add_argument("--only", choices=PARTS)
    options = asked.parse_args()
    if options.work:
        work(options.work)
        return
    KEPT.unlink(missing_ok=True)  # of an older check or policy
    prepare_images()
    figures: dict[str, Figure] = {}
    signs = []
    for part in [options.only] if options.only else PARTS:
        more, told = _measure(part)
        figures |= more
        signs += [np.sign(told["estimate"][part])] if part in {"probe", "train"} else []
    if len(signs) > 1:
        agree = float(len(set(signs)) == 1)
        figures["probe and train agree in sign"] = Figure(agree, 1.0, "higher", len(signs))
    show(record("experiment_speed", figures))


if __name__ == "__main__":
    main()
