"""What is done to a set of labels before a network sees them: the arms of bench.label_cleaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.policy import Policy, decide
from training.arms import Arm, TrainingData, random_control, raw_arm

SURE = "unlikely_label"
ASKS = {SURE: "drop", "doubtful_label": "down_weight"}
LEAST_WEIGHT = 0.05
FREE = Policy(force=True, max_class_share_loss=1.0, min_class_count=0)
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What the label checks say of one set: samples, findings, scores; facts of `SURE`."""

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
    """Return the arms that need no truth: the default policy and what else was proposed.

    forced: no caps on the set and its classes. constant_weight: what the caps keep weighs .25.
    all_flagged: no cap at all. half_rest_weighed: the surest half of the flags goes, the rest
    weighs .25. flags_soft and flags_light: nothing goes, flags weigh p(given), or .05.
    soft_weights: everyone weighs p(given). relabelled: flags take the proposed label where it is
    sure (see `_agreed`), the others go.
    """
    raw = raw_arm(data)
    flagged, rank = _flagged(judged), _suspicion(judged)
    surest = flagged & (rank >= np.median(rank[flagged])) if flagged.any() else flagged
    belief, (agreed, proposed) = _belief(judged), _agreed(data, judged, flagged)

    def weigh(name: str, keep: Bools, weights: npt.NDArray[np.float32]) -> Arm:
        return replace(raw, name=name, keep=keep, weights=weights.astype(np.float32))

    return {
        "raw": raw,
        "default": policy_arm("default", data, judged, Policy()),
        "forced": policy_arm("forced", data, judged, Policy(force=True)),
        "constant_weight": policy_arm("constant_weight", data, judged, Policy(weights="constant")),
        "all_flagged": policy_arm("all_flagged", data, judged, FREE),
        "half_rest_weighed": weigh("half", ~surest, np.where(flagged & ~surest, 0.25, 1)),
        "flags_soft": weigh("flags_soft", raw.keep, np.where(flagged, belief, 1)),
        "flags_light": weigh("flags_light", raw.keep, np.where(flagged, LEAST_WEIGHT, 1)),
        "soft_weights": weigh("soft_weights", raw.keep, belief),
        "relabelled": replace(
            raw, name="relabelled", keep=~flagged | agreed,
            labels=np.where(agreed, proposed, raw.labels),
        ),
    }  # fmt: skip


def truth_arms(
    data: TrainingData, judged: Judgement, wrong: Bools, cleaned: Mapping[str, Arm], seed: int
) -> dict[str, Arm]:
    """Return the controls of one seed.

    oracle: without the samples whose label is `wrong`, (n,). oracle_capped: without as many of
    them, drawn at random, as the default policy may take. random_drop: what the default policy
    does, done to others of the same classes; random_flagged: likewise for all flags. ideal_*: the
    policy with as many flags in the check's order as have the policy's precision in truth, which is
    what the best choice of the amount could do with this order.
    """
    raw, rng = cleaned["raw"], np.random.default_rng([4, seed])
    most = min(int(Policy().max_drop_frac * wrong.size), int(wrong.sum()))
    some = np.ones(wrong.size, bool)
    some[rng.permutation(np.flatnonzero(wrong))[:most]] = False
    ideal = flag_ideally(judged, wrong, Policy().sure_precision)
    return {
        "random_drop": random_control(raw, cleaned["default"], seed),
        "random_flagged": random_control(raw, cleaned["all_flagged"], seed),
        "oracle": replace(raw, name="oracle", keep=~wrong),
        "oracle_capped": replace(raw, name="oracle_capped", keep=some),
        "ideal_default": policy_arm("ideal_default", data, ideal, Policy()),
        "ideal_forced": policy_arm("ideal_forced", data, ideal, Policy(force=True)),
        "ideal_light": policy_arm(
            "ideal_light", data, ideal, Policy(weights="constant", down_weight=LEAST_WEIGHT)
        ),
    }


def flag_ideally(judged: Judgement, wrong: Bools, precision: float) -> Judgement:
    """Return findings on the longest head of the check's order that is as precise as asked."""
    ranked = judged.scores.sort("sample_id").with_columns(wrong=pl.Series(wrong))
    if "suggestion" in ranked.columns:
        labels = judged.samples.select("sample_id", "label")
        ranked = ranked.join(labels, on="sample_id").filter(pl.col("suggestion") != pl.col("label"))
    ranked = ranked.sort("label_suspicion", "sample_id", descending=[True, False])
    precise = ranked["wrong"].cast(pl.Int64).cum_sum().to_numpy() / np.arange(1, ranked.height + 1)
    enough = np.flatnonzero(precise >= precision)
    count = int(enough.max()) + 1 if enough.size else 0
    told = {name: pl.lit(None, kind) for name, kind in judged.findings.schema.items()}
    told |= {"sample_id": pl.col("sample_id"), "check_id": pl.lit(SURE)}
    told |= {"dimension": pl.lit("incorrect"), "severity": pl.lit("error"), "evidence": pl.lit("")}
    doubted = judged.findings.filter(pl.col("check_id") != SURE)
    return replace(judged, findings=pl.concat([ranked.head(count).select(**told), doubted]))


def sure_findings(judged: Judgement) -> pl.DataFrame:
    """Return the findings that would be taken out."""
    return judged.findings.filter(pl.col("check_id") == SURE)


def _flagged(judged: Judgement) -> Bools:
    ids = judged.samples["sample_id"].sort()
    return ids.is_in(sure_findings(judged)["sample_id"].implode()).to_numpy()


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
    told = sure_findings(judged).select("sample_id", found="suggestion")
    named = judged.scores.join(told, on="sample_id", how="left").sort("sample_id")
    code = named["found"].replace_strict(codes, default=-1, return_dtype=pl.Int64).to_numpy()
    sure = flagged & (code >= 0)
    if "suggestion_prob" in named.columns:
        sure &= named["suggestion_prob"].fill_null(0).to_numpy() >= Policy().relabel_prob_min
    return sure, code
