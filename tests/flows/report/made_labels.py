"""Made-up facts of labels, in the keys that the checks and the policy write."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from checks.core.slice_rates import tell_slices
from flows.app.store import RunFolder


def make_noise(classes: list[str], judged: int = 96, flagged: int = 12) -> dict[str, Any]:
    """Return facts of unlikely_label: each class is now and then taken for the next one."""
    size = len(classes)
    values = np.full((size, size), 0.004)
    for at in range(size):
        values[at, (at + 1) % size] = 0.02 + 0.05 * (at % 4)
    np.fill_diagonal(values, 0.0)
    np.fill_diagonal(values, 1 - values.sum(axis=1))
    low, high = np.clip(values - 0.015, 0, 1), np.clip(values + 0.02, 0, 1)
    shares = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    budgets = [
        {"flagged_frac": part, "precision": round(0.97 - 0.9 * part, 4),
         "low": round(0.9 - part, 4), "recall": round(min(1.0, 5.2 * part / (0.1 + 5 * part)), 4)}
        for part in shares
    ]  # fmt: skip
    pairs = [{"true": classes[at], "given": classes[(at + 1) % size], "count": 9 - at}
             for at in range(min(size, 8))]  # fmt: skip
    return {
        "judged": judged, "flagged": flagged, "flagged_frac": round(flagged / judged, 5),
        "estimated_precision": 0.86, "estimated_precision_low": 0.78,
        "estimated_precision_high": 0.92, "planted_recall": [0.71, 0.93],
        "wrong_labels": {"count": 14, "low": 11, "high": 27},
        "noise_matrix": {"classes": classes, "values": values.round(4).tolist(),
                         "low": low.round(4).tolist(), "high": high.round(4).tolist()},
        "worst_pairs": pairs, "budgets": budgets,
        "precision_min": 0.8, "reviews": {"heard": 40, "wrong": 17, "expected": 12.3},
        "says": f"{flagged} flagged, of which about 86 % are wrong; of {judged} labels 14 look "
                "wrong, between 11 and 27 may be",
    }  # fmt: skip


def make_harm(samples: pl.DataFrame, skip: int = 0) -> dict[str, Any]:
    """Return facts of harmful_sample: ten train samples, from the `skip`th in order of place."""
    train = samples.filter(split="train").sort("uri", "row").slice(skip, 10)
    hurt = [
        {"sample_id": key, "label": label, "value": -0.0042 / (at + 1), "asked": 24 - at,
         "against": 23 - 2 * at}
        for at, (key, label) in enumerate(train.select("sample_id", "label").iter_rows())
    ]  # fmt: skip
    return {"asked_about": "validation", "samples_asked_about": 120, "below_zero_frac": 0.21,
            "neighbours_right_frac": 0.84, "hurt_most": hurt}  # fmt: skip


def make_slices(samples: pl.DataFrame, flagged: pl.Series) -> dict[str, Any]:
    """Return the slices of clean.json: by class and by who labelled, one of whom errs often."""
    train = samples.filter(split="train").sort("uri", "row").with_row_index("at")
    hit = pl.col("sample_id").is_in(flagged.implode())
    marked = train.select(
        pl.col("label").alias("class"), flagged=hit, dropped=hit & (pl.col("at") % 2 == 0),
        annotator=pl.when(hit).then(pl.lit("eve")).when(pl.col("at") % 3 == 0)
        .then(pl.lit("bob")).otherwise(pl.lit("ada")),
    )  # fmt: skip
    return tell_slices(marked, ["class", "annotator"])


def make_reviews(samples: pl.DataFrame) -> dict[str, Any]:
    """Return the reviews of clean.json: 40 labels, two of which people differ about."""
    ids = samples.sort("uri", "row")["sample_id"].to_list()
    rate = {"share": 0.833333, "low": 0.52, "high": 0.98, "reviewed": 12, "effective": 12.0}
    other = {"share": 0.04, "low": 0.0, "high": 0.2, "reviewed": 25, "effective": 24.5}
    disputes = [{"sample_id": key, "stands": stands, "said": ["ada: wrong (3)", "bob: right"]}
                for key, stands in zip(ids, ("wrong", "unsure"), strict=False)]  # fmt: skip
    return {
        "samples": 40, "right": 26, "wrong": 11, "unsure": 3, "stale": 2,
        "reviewers": ["ada", "bob"], "disputed": 2, "disputes": disputes,
        "rates": {"flagged": rate, "unflagged": other, "wrong_labels": 13.4},
    }  # fmt: skip


def make_dynamics(samples: pl.DataFrame, flagged: pl.Series) -> pl.DataFrame:
    """Return tables.Dynamics in which flagged labels are hardly ever predicted."""
    frame = samples.filter(split="train").sort("sample_id").with_row_index("at")
    part = pl.col("at").cast(pl.Float32) / frame.height
    hit = pl.col("sample_id").is_in(flagged.implode())
    easy = pl.when(hit).then(part / 5).otherwise(1 - part / 5).cast(pl.Float32)
    told = {
        "margin_mean": 6 * easy - 3, "margin_final": 8 * easy - 4, "prob_mean": easy,
        "prob_std": (1 - easy) / 4, "forgotten_count": (1 - easy) * 3,
        "correct_frac": pl.when(part < 0.5, hit).then(0.0).otherwise(easy),
    }  # fmt: skip
    return frame.select("sample_id", **{n: e.cast(pl.Float32) for n, e in told.items()})


def add_labels(run: RunFolder, flagged: pl.Series, skip: int = 0) -> None:
    """Put facts of labels, slices, reviews and training dynamics into a run folder."""
    samples = run.read_table("samples")
    classes = samples["label"].drop_nulls().unique().sort().to_list()
    checks, clean = run.read_json("checks.json"), run.read_json("clean.json")
    facts = dict(checks.get("facts") or {})
    train = samples.filter(split="train")
    counts = train.height, train.filter(pl.col("sample_id").is_in(flagged.implode())).height
    facts |= {
        "unlikely_label": make_noise(classes, *counts),
        "harmful_sample": make_harm(samples, skip),
    }
    run.write_json("checks.json", checks | {"facts": facts})
    run.write_json("clean.json", clean | {
        "slices": make_slices(samples, flagged), "reviews": make_reviews(samples),
        "ambiguous": {"second_choice": 7, "neighbours": 3, "spared": 2},
        "overrides_without_effect": 1, "decided_by_people": 37,
    })  # fmt: skip
    run.write_table("dynamics", make_dynamics(samples, flagged))
