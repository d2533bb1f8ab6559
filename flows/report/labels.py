"""All that the report tells of labels: noise, how a network took them, what else is odd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from flows.report.figures import number
from flows.report.folder import RunData
from flows.report.harmful import describe_harm
from flows.report.label_noise import describe_noise
from flows.report.slices import describe_reviews, describe_slices

CHECK = "unlikely_label"
SENTENCES_MAX = 5
# facts of checks of whole sets that are sentences: told here if the check found something
SAID = {"underperforming_group": "worst", "missing_class": "missing",
        "property_label_leak": "clearest"}  # fmt: skip
FOUND = ("class_imbalance", "non_random_order")  # their findings' evidence is the sentence


def describe_all(read: RunData) -> dict[str, Any]:
    """Return the sections on labels of a run: labels, harm, slices, reviews; each may be None.

    labels: noise (see `describe_noise`), ambiguous (reasons with counts, and `spared`), training
    (rows of `describe_dynamics`), others ([{check_id, says}]); None where all are empty.
    """
    facts = (read.checks or {}).get("facts") or {}
    noise = describe_noise(facts.get(CHECK))
    estimate = noise["precision"] if noise else None
    told = {
        "noise": noise,
        "ambiguous": {str(key): int(count) for key, count in
                      ((read.clean or {}).get("ambiguous") or {}).items() if count},
        "training": describe_dynamics(read.dynamics, read.findings, read.samples),
        "others": list_sentences(facts, read.findings),
    }  # fmt: skip
    return {
        "labels": told if any(told.values()) else None,
        "harm": describe_harm(read),
        "slices": describe_slices(read.clean),
        "reviews": describe_reviews(read.clean, read.samples, estimate),
    }  # fmt: skip


def describe_dynamics(
    dynamics: pl.DataFrame | None, findings: pl.DataFrame | None, samples: pl.DataFrame | None
) -> list[dict[str, Any]]:
    """Return how a network came to terms with flagged and with other labels; [] without a training.

    Returns:
        [{name ("flagged" and "not flagged", or "all" where no label is), samples,
        correct_frac (0..1, mean), never_frac (0..1, share that was never predicted as labelled),
        margin (median of the mean logit margin), prob (0..1, mean), forgotten (mean count)}]:
        train samples that were seen.
    """
    if dynamics is None or samples is None:
        return []
    seen = dynamics.drop_nulls("correct_frac").join(
        samples.filter(split="train"), on="sample_id", how="semi"
    )
    doubted = pl.Series([], dtype=pl.String)
    if findings is not None:
        doubted = findings.filter(check_id=CHECK)["sample_id"].unique()
    inside = pl.col("sample_id").is_in(doubted.implode())
    if not seen.filter(inside).height:
        return [{"name": "all", **_sum_up(seen)}] if seen.height else []
    parts = {"flagged": seen.filter(inside), "not flagged": seen.filter(~inside)}
    return [{"name": name, **_sum_up(part)} for name, part in parts.items() if part.height]


def _sum_up(part: pl.DataFrame) -> dict[str, Any]:
    whole = part.sort("sample_id").cast({pl.Float32: pl.Float64}).select(
        correct_frac=pl.col("correct_frac").mean(),
        never_frac=(pl.col("correct_frac") == 0).mean(),
        margin=pl.col("margin_mean").median(), prob=pl.col("prob_mean").mean(),
        forgotten=pl.col("forgotten_count").mean(),
    )  # fmt: skip
    return {"samples": part.height} | {k: number(v) for k, v in whole.row(0, named=True).items()}


def list_sentences(
    facts: Mapping[str, Any], findings: pl.DataFrame | None
) -> list[dict[str, str]]:  # fmt: skip
    """Return what other checks of labels say, a few sentences each, if they found something.

    >>> told = pl.DataFrame({"check_id": ["missing_class"], "evidence": ["'x' is not in train"]})
    >>> list_sentences({"missing_class": {"missing": ["'x' is not in train"]}}, told)
    [{'check_id': 'missing_class', 'says': "'x' is not in train"}]
    """
    if findings is None:
        return []
    said: list[dict[str, str]] = []
    for check_id in (*SAID, *FOUND):
        own = findings.filter(check_id=check_id)["evidence"].unique().sort().to_list()
        told = (facts.get(check_id) or {}).get(SAID.get(check_id, "")) or own
        lines = told if isinstance(told, list) else [told]
        if own:
            said += [{"check_id": check_id, "says": str(one)} for one in lines[:SENTENCES_MAX]]
    return said
