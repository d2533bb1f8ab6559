"""Drift and property leaks: false alarms, planted shifts found, real sets, size and CPU seconds."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.core.check import load_checks
from checks.metrics.baseline import compare_baseline, make_baseline
from checks.metrics.drift import Limits
from checks.sources.source import open_source

ROUNDS = 100
SIDE = 400  # photos then, photos now
BLURRED = ("sharpness", "sharpness_p90", "sharpness_best")


def measure_photos() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return metrics and labels of the clothing photos."""
    return measure(find_shared_data() / "photos" / "photos.parquet")


def measure(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return metrics and label of the pictures in a Parquet file, in one order."""
    from checks.metrics.image import profile_images  # noqa: PLC0415 - numba is slow to import

    source: Any = open_source(str(path), kind="image_table", image="image", label="label_name")
    entries = source.entries()
    with tempfile.TemporaryDirectory() as cache:
        seen = profile_images(source, entries, workers=2, cache=Path(cache))
    told = entries.drop("byte_size").join(seen, on=["uri", "row"], how="inner")
    ids = told.with_row_index("at").select(pl.format("{}-0", pl.col("at").cast(pl.String)))
    named = told.with_columns(sample_id=ids.to_series(), split=pl.lit("train"))
    return named, named.select("sample_id", "split", "label", "byte_size")


def draw_words(metrics: pl.DataFrame, seed: int, change: pl.Expr | None) -> dict[str, str]:
    """Return how far each metric moved between two disjoint halves, the second one changed."""
    order = np.random.default_rng(seed).permutation(metrics.height)
    then, now = metrics[order[:SIDE]], metrics[order[SIDE : 2 * SIDE]]
    now = now if change is None else now.with_columns(change)
    samples = [part.select("split", "label") for part in (then, now)]
    baseline = make_baseline({"metric": then}, samples[0], {})
    rows = compare_baseline(baseline, {"metric": now}, samples[1], Limits())
    return {str(row["name"]): str(row["word"]) for row in rows}


def double_class(sizes: pl.DataFrame, at: int) -> pl.Expr:
    """Return labels in which as many of the others have joined the class at place `at`."""
    name, count = sizes.row(at)
    every = (int(sizes["len"].sum()) - count) / count
    turned = (pl.int_range(pl.len()) % every) < 1
    return pl.when(turned).then(pl.lit(name)).otherwise("label").alias("label")


def count_drift(metrics: pl.DataFrame) -> dict[str, Figure]:
    """Return false alarms between halves of one set, and shifts of its metrics that were found."""
    loud = {"moderate", "large"}
    false = sum(bool(loud & set(draw_words(metrics, s, None).values())) for s in range(ROUNDS))
    sharp = next(name for name in BLURRED if name in metrics.columns)
    sizes = metrics.group_by("label").len().sort("len", "label", descending=[True, False])
    largest, middle = (double_class(sizes, at) for at in (0, sizes.height // 2))
    plants = {
        "brightness +20 %": ("luma_mean", (pl.col("luma_mean") * 1.2).clip(0, 1)),
        "sharpness halved": (sharp, pl.col(sharp) / 2),
        "share of the largest of 10 classes doubled": ("label", largest),
        "share of the sixth of 10 classes doubled": ("label", middle),
    }
    figures = {"runs without drift called drifted": Figure(false / ROUNDS, 0.05, "lower", ROUNDS)}
    for told, (name, change) in plants.items():
        hits = sum(draw_words(metrics, s, change)[name] in loud for s in range(ROUNDS))
        figures[f"planted and found: {told}"] = Figure(hits / ROUNDS, 0.95, "higher", ROUNDS)
    return figures


def judge_leaks(name: str, metrics: pl.DataFrame, samples: pl.DataFrame) -> dict[str, Figure]:
    """Return what the leak check flags on a real set, and after its labels are permuted."""
    check = load_checks()["property_label_leak"]
    tables = {"samples": samples.lazy(), "metrics": metrics.drop("label", "split").lazy()}
    begun = time.process_time()
    judged = check(tables)
    seconds = time.process_time() - begun
    facts: dict[str, Any] = judged.facts["properties"]
    false = 0
    for seed in range(20):
        label = samples["label"].shuffle(seed=seed)
        mixed = tables | {"samples": samples.with_columns(label).lazy()}
        told = check.configured(gap_min=0.0, seed=seed)(mixed)
        false += told.findings.height > 0
    widest = max(fact["gap"] for fact in facts.values())
    count = samples.height
    return {
        f"{name}: classes flagged": Figure(judged.findings.height, None, "lower", count),
        f"{name}: widest gap of shares": Figure(widest, None, "lower", count),
        f"{name}: permuted labels with p < .05": Figure(false / 20, 0.05, "lower", 20),
        f"{name}: leak check": Figure(seconds, None, "lower", count, unit="CPU s"),
    }


def main() -> None:
    """Measure on clothing photos and on CIFAR-10 with its given labels."""
    photos, samples = measure_photos()
    figures = count_drift(photos)
    begun = time.process_time()
    baseline = make_baseline({"metric": photos}, samples.select("split", "label"), {})
    compare_baseline(baseline, {"metric": photos}, samples.select("split", "label"), Limits())
    spent = time.process_time() - begun
    figures["baseline and comparison, 900 photos"] = Figure(spent, None, "lower", 1, unit="CPU s")
    size = len(baseline.to_json().encode()) / 1000
    figures["baseline file"] = Figure(size, 200, "lower", 1, unit="kB")
    figures |= judge_leaks("photos", photos, samples)
    cifar = measure(find_shared_data() / "cifar10n" / "train.parquet")
    figures |= judge_leaks("cifar10n", *cifar)
    show(record("drift", figures))


if __name__ == "__main__":
    main()
