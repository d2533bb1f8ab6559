"""What is done to a set of labels before a network sees them: the arms of bench.label_cleaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.policy import Policy, decide
from training.arms import Arm, TrainingData, random_control, raw_arm

ASKS = {"unlikely_label": "drop"}
LEAST_WEIGHT = 0.05
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What `unlikely_label` says of one set of labels: samples, its findings and scores."""

    samples: pl.DataFrame
    findings: pl.DataFrame
    scores: pl.DataFrame
    facts: Mapping[str, object]


def policy_arm(name: str, data: TrainingData, judged: Judgement, policy: Policy) -> Arm:
    """Return the arm that the policy makes of the findings."""
    verdict = decide(judged.samples, judged.findings, judged.scores, policy, ASKS)
    decided = verdict.decisions.sort("sample_id")
    codes = {label: code for code, label in enumerate(data.classes)}
    new = decided["new_label"].replace_strict(codes, return_dtype=pl.Int64).to_numpy()
    raw = raw_arm(data)
    labels = np.where(np.isnan(new), raw.labels, new).astype(np.int64)
    weights = decided["weight"].to_numpy()
    keep = (decided["outcome"] != "dropped").to_numpy() & (weights > 0)
    return Arm(name, keep, np.where(keep, weights, 1).astype(np.float32), labels, raw.rows)


def clean_arms(data: TrainingData, judged: Judgement) -> dict[str, Arm]:
    """Return the arms that need no truth: the default policy and what else was proposed."""
    raw = raw_arm(data)
    flagged, rank = _flagged(judged), _suspicion(judged)
    surest = flagged & (rank >= np.median(rank[flagged])) if flagged.any() else flagged
    quarter = np.where(flagged & ~surest, 0.25, 1).astype(np.float32)
    belief = _belief(judged)
    agreed, proposed = _agreed(data, judged, flagged)
    free = Policy(force=True, max_class_share_loss=1.0, min_class_count=0)
    return {
        "raw": raw,
        "default": policy_arm("default", data, judged, Policy()),
        "forced": policy_arm("forced", data, judged, Policy(force=True)),
        "all_flagged": policy_arm("all_flagged", data, judged, free),
        "half_rest_weighed": replace(raw, name="half_rest_weighed", keep=~surest, weights=quarter),
        "soft_weights": replace(raw, name="soft_weights", weights=belief),
        "relabelled": replace(
            raw, name="relabelled", keep=~flagged | agreed,
            labels=np.where(agreed, proposed, raw.labels),
        ),
    }  # fmt: skip


def truth_arms(
    data: TrainingData, wrong: Bools, cleaned: Mapping[str, Arm], seed: int
) -> dict[str, Arm]:
    """Return the controls of one seed.

    oracle: without the samples whose label is `wrong`, (n,). oracle_capped: without as many of
    them, drawn at random, as the default policy may take. random_drop: what the default policy
    does, done to others of the same classes; random_forced: likewise for the forced one.
    """
    raw, rng = cleaned["raw"], np.random.default_rng([4, seed])
    most = min(int(Policy().max_drop_frac * wrong.size), int(wrong.sum()))
    some = np.ones(wrong.size, bool)
    some[rng.permutation(np.flatnonzero(wrong))[:most]] = False
    return {
        "random_drop": random_control(raw, cleaned["default"], seed),
        "random_forced": random_control(raw, cleaned["all_flagged"], seed),
        "oracle": replace(raw, name="oracle", keep=~wrong),
        "oracle_capped": replace(raw, name="oracle_capped", keep=some),
    }


def _flagged(judged: Judgement) -> Bools:
    ids = judged.samples["sample_id"].sort()
    return ids.is_in(judged.findings["sample_id"].implode()).to_numpy()


def _suspicion(judged: Judgement) -> npt.NDArray[np.float64]:
    return judged.scores.sort("sample_id")["label_suspicion"].to_numpy()


def _belief(judged: Judgement) -> npt.NDArray[np.float32]:
    """p(given), clipped; where the check does not tell it, the share of more suspicious ones."""
    scores = judged.scores.sort("sample_id")
    told = "label_prob" in scores.columns
    belief = scores["label_prob"] if told else 1 - scores["label_suspicion"]
    return belief.to_numpy().clip(LEAST_WEIGHT, 1).astype(np.float32)


def _agreed(
    data: TrainingData, judged: Judgement, flagged: Bools
) -> tuple[Bools, npt.NDArray[np.int64]]:
    """Flagged samples whose proposed label is sure, and the code of that label for each sample."""
    codes = {label: code for code, label in enumerate(data.classes)}
    told = judged.findings.select("sample_id", found="suggestion")
    named = judged.scores.join(told, on="sample_id", how="left").sort("sample_id")
    code = named["found"].replace_strict(codes, default=-1, return_dtype=pl.Int64).to_numpy()
    sure = flagged & (code >= 0)
    if "suggestion_prob" in named.columns:
        sure &= named["suggestion_prob"].fill_null(0).to_numpy() >= Policy().relabel_prob_min
    return sure, code
