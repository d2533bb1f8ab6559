"""From curves to a verdict: arms, effects with intervals, convergence, one sentence for people.

All differences are `arm - versus` over paired seeds. Accuracies are fractions (0..1), nll nats,
times optimiser steps; `points` in a sentence are hundredths of a fraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import statistics as st
from training.arms import CLEANED, ORACLE, RANDOM_DROP, RAW, RAW_AGAIN, RAW_FILLED
from training.classwise import compare_classes, count_churn
from training.convergence import restricted
from training.economics import forecast_equivalent, list_break_even
from training.judged import ALPHA, Judged, compare
from training.sensitivity import find_blindness
from training.shapley import respond_to_dose, share_out
from training.speedups import TESTED, freeze_targets, measure_speedup, trace_speedups
from training.wording import describe
from training.worth_wording import say_worth

LEAST_SEEDS = 5
PRIMARY = ((CLEANED, RAW), (CLEANED, RANDOM_DROP))
_UNITS = {
    "final_acc": "fraction", "verified_acc": "fraction", "worst_class_acc": "fraction",
    "aulc": "fraction", "nll": "nats", "brier": "score", "ece": "fraction", "rmst_steps": "steps",
}  # fmt: skip


def judge_tier(judged: Judged) -> dict[str, Any]:
    """Return the tier's part of experiment.json: arms, effects, speed-ups, worth, verdict.

    Targets are frozen from the pilots alone, see `freeze_targets`.
    """
    targets = freeze_targets(judged)
    effects = _effects(judged, targets)
    speedups = [
        measure_speedup(judged, arm, versus, target)
        for arm, versus in _contrasts(judged.arms())
        for target in targets
        if versus in (RAW, RAW_FILLED)
    ]
    report = {
        "arms": [_arm_row(judged, arm) for arm in judged.arms()],
        "effects": effects,
        "targets": targets,
        "speedups": speedups,
        "speedup_curve": trace_speedups(judged),
        "per_class": compare_classes(judged),
        "per_class_verified": (
            [] if judged.verified is None else compare_classes(judged, judged.verified)
        ),
        "churn": count_churn(judged),
        "break_even": list_break_even(judged, targets),
        "data_equivalent": forecast_equivalent(judged),
        "shapley": share_out(judged),
        "dose": respond_to_dose(judged),
        "recovered": _recovered(judged),
    }
    verdict = reach_verdict(judged, effects, speedups)
    return {**report, "verdict": verdict, "says": say_worth(report)}


def _contrasts(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Primary first, then A/A, control, oracle, reading, ablations; only among arms that ran."""
    wanted = [*PRIMARY, (RAW_AGAIN, RAW), (RANDOM_DROP, RAW), (ORACLE, RAW), (ORACLE, RANDOM_DROP)]
    wanted += [(RAW_FILLED, RAW), (CLEANED, RAW_FILLED)]
    wanted += [(arm, RAW) for arm in arms if arm.startswith("only:")]
    wanted += [(CLEANED, arm) for arm in arms if arm.startswith("without:")]
    wanted += [(arm, RAW) for arm in arms if arm.startswith("dose:")]
    return [pair for pair in wanted if set(pair) <= set(arms)]


def _effects(judged: Judged, targets: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for arm, versus in _contrasts(judged.arms()):
        for endpoint, unit in _UNITS.items():
            if endpoint == "verified_acc" and judged.verified is None:
                continue
            if endpoint == "rmst_steps" and not targets:
                continue
            row = {"arm": arm, "versus": versus, "endpoint": endpoint}
            rows.append({**row, **_effect(judged, arm, versus, endpoint, targets), "unit": unit})
    adjust_primary(rows, one=judged.control_is_raw)
    _adjust_rest(rows)
    return rows


def _effect(
    judged: Judged, arm: str, versus: str, endpoint: str, targets: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """One paired difference with what its endpoint has beside the interval."""
    target = next((one["accuracy"] for one in targets if one["q"] == TESTED), 1.0)
    a, b = (judged.values(one, endpoint, target) for one in (arm, versus))
    if endpoint == "rmst_steps":
        a, b = (restricted(times, judged.budget) for times in (a, b))
    if endpoint == "worst_class_acc":
        counts = judged.counts()
        return compare(a, b, grain=judged.grain(arm, versus, int(counts[counts > 0].min())))
    if endpoint == "verified_acc":
        told = compare(a, b, grain=judged.grain(arm, versus))
        return told | _new_data(judged, arm, versus, judged.verified)
    if endpoint != "final_acc":
        return compare(a, b)
    grain = judged.grain(arm, versus)
    alpha = first_alpha(one=judged.control_is_raw) if (arm, versus) in PRIMARY else ALPHA
    wins = st.superiority(a, b)
    return {
        **compare(a, b, grain=grain, alpha=alpha),
        **_new_data(judged, arm, versus),
        "p_equivalent": st.equivalence(a, b, judged.margin, grain=grain),
        "p_better": wins.estimate, "p_better_low": wins.low, "p_better_high": wins.high,
    }  # fmt: skip


def _new_data(
    judged: Judged, arm: str, versus: str, labels: NDArray[np.int64] | None = None
) -> dict[str, float]:
    z = judged.hits(arm, labels).astype(np.float32) - judged.hits(versus, labels)
    new = st.crossed_t(z, grain=judged.grain(arm, versus))
    return {"low_new": new.low, "high_new": new.high, "p_new": new.p}


def first_alpha(*, one: bool) -> float:
    """Return what a primary contrast has to undercut alone. one: both are the same, see below."""
    return ALPHA if one else ALPHA / len(PRIMARY)


def is_primary(row: Mapping[str, Any]) -> bool:
    """Say whether an effect is of a contrast that the verdict reads, on final accuracy."""
    return row["endpoint"] == "final_acc" and (row["arm"], row["versus"]) in PRIMARY


def adjust_primary(rows: Sequence[dict[str, Any]], *, one: bool, told: str = "p") -> None:
    """Add p_holm to the two primary contrasts on final accuracy: Holm's p of `told`.

    one: the control is raw itself, so that both are one hypothesis, and p is left as it is.
    """
    primary = [row for row in rows if is_primary(row)]
    found = [row[told] for row in primary]
    for row, p in zip(primary, found if one else st.holm(found), strict=True):
        row["p_holm"] = p


def _adjust_rest(rows: Sequence[dict[str, Any]]) -> None:
    """Benjamini and Yekutieli over the checks alone, those left out and the doses, by endpoint."""
    for endpoint in _UNITS:
        family = [
            row for row in rows
            if row["endpoint"] == endpoint
            and (row["arm"].startswith(("only:", "dose:")) or row["versus"].startswith("without:"))
        ]  # fmt: skip
        adjusted = st.benjamini_yekutieli([row["p"] for row in family])
        for row, p in zip(family, adjusted, strict=True):
            row["p_by"] = p


def _arm_row(judged: Judged, arm: str) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm, "n_train": int(judged.runs[arm][0].n_train)}
    told = ["final_acc", "aulc", "nll", "brier", "ece"]
    told += ["worst_class_acc"] + ["verified_acc"] * (judged.verified is not None)
    for endpoint in told:
        grain = 1 / judged.labels.size if endpoint in ("final_acc", "verified_acc") else 0.0
        got = st.mean_t(judged.values(arm, endpoint), grain=grain)
        row |= {f"{endpoint}_mean": got.estimate, f"{endpoint}_low": got.low}
        row[f"{endpoint}_high"] = got.high
    return {**row, "n": len(judged.runs[arm])}


def _recovered(judged: Judged) -> dict[str, float] | None:
    """Share of the oracle's gain over the random drop that cleaning reached; Fieller interval.

    None where the oracle is not shown to gain. It may exceed 1: the oracle sets labels right and
    drops copies, it repairs no cells and is read from held-out rows as they came.
    """
    if ORACLE not in judged.runs:
        return None
    floor = judged.values(RANDOM_DROP, "final_acc")
    top = judged.values(CLEANED, "final_acc") - floor
    bottom = judged.values(ORACLE, "final_acc") - floor
    grains = judged.grain(CLEANED, RANDOM_DROP), judged.grain(ORACLE, RANDOM_DROP)
    got = st.fieller(top, bottom, grains=grains)
    return None if got is None else {"fraction": got.estimate, "low": got.low, "high": got.high}


def pick(
    effects: Sequence[Mapping[str, Any]], arm: str, versus: str, endpoint: str = "final_acc"
) -> Mapping[str, Any]:
    """Return the one effect with that contrast and endpoint."""
    wanted = (arm, versus, endpoint)
    return next(e for e in effects if (e["arm"], e["versus"], e["endpoint"]) == wanted)


def reach_verdict(
    judged: Judged, effects: Sequence[Mapping[str, Any]], speedups: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return {word, sentence, margin, mde, ...}.

    equivalent if TOST holds the difference within the margin, at the level where the 95 % interval
    that is told lies inside; else helps or hurts if the primary contrast is significant after
    Holm; else undecided. Under 5 seeds always undecided. An arm that is raw itself is equivalent.

    Two things leave other arms undecided. blind: these runs could not have told them apart, see
    `training.sensitivity`. reading: where cleaned is read from filled held-out rows, a word stands
    only if it holds against raw and against raw that is read so as well. Both must hold, so neither
    is tested more strictly for the other (an intersection-union test); the speed-up is then told
    over raw read filled.
    """
    main = pick(effects, CLEANED, RAW)
    control = pick(effects, CLEANED, RANDOM_DROP)
    reading = _part_of_reading(judged, effects)
    blind = None if judged.unchanged else _tell_blindness(judged, effects)
    enough = main["n"] >= LEAST_SEEDS
    word = _word(main)
    if judged.unchanged and enough:
        word = "equivalent"
    elif blind or (reading and reading["word_over"] != word):
        word = "undecided"
    versus = RAW_FILLED if reading else RAW
    sooner = [s for s in speedups if (s["arm"], s["versus"], s["q"]) == (CLEANED, versus, 1.0)]
    told = {
        "word": word, "margin": judged.margin, "mde": main["mde"], "n": main["n"],
        "estimate": main["estimate"], "low": main["low"], "high": main["high"], "p": main["p_holm"],
        "low_new": main["low_new"], "high_new": main["high_new"],
        "over_random_drop": {k: control[k] for k in ("estimate", "low", "high", "p_holm")},
        "speedup": sooner[0] if sooner else None, "enough_seeds": enough,
        "unchanged": judged.unchanged, "blind": blind, "reading": reading,
        "control_is_raw": judged.control_is_raw,
    }  # fmt: skip
    return {**told, "sentence": describe(told)}


def _word(effect: Mapping[str, Any]) -> str:
    """What one contrast of cleaned says by itself."""
    if effect["n"] < LEAST_SEEDS:
        return "undecided"
    if effect["p_equivalent"] < ALPHA / 2:
        return "equivalent"
    if effect.get("p_holm", effect["p"]) < ALPHA:
        return "helps" if effect["estimate"] > 0 else "hurts"
    return "undecided"


def _part_of_reading(judged: Judged, effects: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What reading filled rows does by itself, and training on cleaned ones over it, if any."""
    if RAW_FILLED not in judged.runs:
        return None
    alone, over = pick(effects, RAW_FILLED, RAW), pick(effects, CLEANED, RAW_FILLED)
    ends = ("estimate", "low", "high")
    return {
        **{key: alone[key] for key in ends}, "over": {key: over[key] for key in ends},
        "word": _word(pick(effects, CLEANED, RAW)), "word_over": _word(over),
    }  # fmt: skip


def _tell_blindness(judged: Judged, effects: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Why accuracy cannot tell, and what the loss and the worst class then say."""
    blind = find_blindness(judged)
    if blind is None:
        return None
    rows = {name: pick(effects, CLEANED, RAW, name) for name in ("nll", "worst_class_acc")}
    ends = ("estimate", "low", "high")
    return blind | {name: {key: row[key] for key in ends} for name, row in rows.items()}
