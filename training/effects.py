"""From curves to a verdict: arms, effects with intervals, convergence, one sentence for people.

All differences are `arm - versus` over paired seeds. Accuracies are fractions (0..1), nll nats,
times optimiser steps; `points` in a sentence are hundredths of a fraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import statistics as st
from training.arms import CLEANED, ORACLE, PILOT, RANDOM_DROP, RAW, RAW_AGAIN
from training.trainer import Run
from training.wording import describe

QUANTILES = (0.5, 0.75, 0.9, 0.95, 1.0)
LEAST_SEEDS = 5
ALPHA = 0.05
PRIMARY = ((CLEANED, RAW), (CLEANED, RANDOM_DROP))
Floats = NDArray[np.float64]
_UNITS = {"final_acc": "fraction", "aulc": "fraction", "nll": "nats", "rmst_steps": "steps"}


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The runs of one tier and what they are judged by.

    labels: (T,) int64 of the test items as given; verified: the same where a person or the truth
    corrected them, else None. chance: accuracy of the commonest class on validation.
    """

    runs: Mapping[str, Sequence[Run]]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    chance: float
    margin: float = 0.003
    verified: NDArray[np.int64] | None = None

    def arms(self) -> list[str]:
        """The arms that were compared; pilots only set targets."""
        return [arm for arm in self.runs if arm != PILOT]

    def hits(self, arm: str, labels: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Return (S, T): was the item right in seed s."""
        truth = self.labels if labels is None else labels
        right: NDArray[np.bool_] = np.stack([run.test_pred for run in self.runs[arm]]) == truth
        return right

    def values(self, arm: str, endpoint: str, target: float = 1.0) -> Floats:
        """Return one value for each seed, (S,); times are infinite where never reached."""
        runs = self.runs[arm]
        if endpoint == "final_acc":
            return np.asarray(self.hits(arm).mean(axis=1), np.float64)
        if endpoint == "aulc":
            return np.array([st.aulc(run.steps, run.val_acc) for run in runs])
        if endpoint == "nll":
            return np.array([run.test_nll for run in runs])
        return np.array([st.first_passage(run.steps, run.val_acc, target) for run in runs])

    def same(self, arm: str, versus: str) -> bool:
        """Say whether both arms gave the same runs, curves and predictions alike."""
        pairs = zip(self.runs[arm], self.runs[versus], strict=True)
        return all(
            np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
            for one, other in pairs
            for name in ("test_pred", "val_acc", "val_nll")
        )

    def grain(self, arm: str, versus: str, count: int | None = None) -> float:
        """Return the step of an accuracy over `count` test items (all); 0 between equal runs."""
        return 0.0 if self.same(arm, versus) else 1 / (count or self.labels.size)

    @property
    def budget(self) -> float:
        """The common number of steps: where times are censored."""
        return float(self.runs[RAW][0].steps[-1])


def judge_tier(judged: Judged) -> dict[str, Any]:
    """Return the tier's part of experiment.json: arms, effects, targets, speed-ups, verdict.

    Targets are frozen from the pilots alone: chance + q (median final raw accuracy - chance).
    """
    targets = freeze_targets(judged)
    effects = _effects(judged, targets)
    speedups = [
        _speedup(judged, arm, versus, target)
        for arm, versus in _contrasts(judged.arms())
        for target in targets
        if versus == RAW
    ]
    report = {
        "arms": [_arm_row(judged, arm) for arm in judged.arms()],
        "effects": effects,
        "targets": targets,
        "speedups": speedups,
        "per_class": _per_class(judged),
        "recovered": _recovered(judged),
    }
    return {**report, "verdict": reach_verdict(judged, effects, speedups)}


def freeze_targets(judged: Judged) -> list[dict[str, float]]:
    """Return the targets {q, accuracy} from the pilot runs; none if raw does not beat chance."""
    gain = float(np.median([run.val_acc[-1] for run in judged.runs[PILOT]])) - judged.chance
    if gain <= 0:
        return []
    return [{"q": q, "accuracy": judged.chance + q * gain} for q in QUANTILES]


def _contrasts(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Primary first, then A/A, control, oracle, ablations; only among arms that ran."""
    wanted = [*PRIMARY, (RAW_AGAIN, RAW), (RANDOM_DROP, RAW), (ORACLE, RAW), (ORACLE, RANDOM_DROP)]
    wanted += [(arm, RAW) for arm in arms if arm.startswith("only:")]
    wanted += [(CLEANED, arm) for arm in arms if arm.startswith("without:")]
    return [pair for pair in wanted if set(pair) <= set(arms)]


def _effects(judged: Judged, targets: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for arm, versus in _contrasts(judged.arms()):
        for endpoint, unit in _UNITS.items():
            if endpoint == "rmst_steps" and not targets:
                continue
            last = targets[-1]["accuracy"] if targets else 1.0
            a, b = (judged.values(one, endpoint, last) for one in (arm, versus))
            if endpoint == "rmst_steps":
                a, b = (st.restricted(times, judged.budget) for times in (a, b))
            row: dict[str, Any] = {"arm": arm, "versus": versus, "endpoint": endpoint}
            if endpoint == "final_acc":
                grain = judged.grain(arm, versus)
                alpha = ALPHA / len(PRIMARY) if (arm, versus) in PRIMARY else ALPHA
                row |= _effect(a, b, grain=grain, alpha=alpha) | _new_data(judged, arm, versus)
                row["p_equivalent"] = st.equivalence(a, b, judged.margin, grain=grain)
            else:
                row |= _effect(a, b)
            rows.append({**row, "unit": unit})
    _adjust(rows)
    return rows


def _effect(a: Floats, b: Floats, *, grain: float = 0.0, alpha: float = ALPHA) -> dict[str, Any]:
    """Interval, p and power; no detectable effect is told where nothing varied.

    alpha: of the detectable effect; a primary contrast must pass Holm's first step.
    """
    sd, n = st.spread(a, b, grain), a.size
    return {
        **asdict(st.paired_t(a, b, grain=grain)),
        "mde": st.detectable(sd, n, alpha) if sd > 0 else None,
        "rho": st.correlation(a, b),
        "p_sign_flip": st.sign_flip(a, b) if n <= 16 else None,  # noqa: PLR2004 - 65,536 flips
    }


def _new_data(judged: Judged, arm: str, versus: str) -> dict[str, float]:
    z = judged.hits(arm).astype(np.float32) - judged.hits(versus)
    new = st.crossed_t(z, grain=judged.grain(arm, versus))
    return {"low_new": new.low, "high_new": new.high, "p_new": new.p}


def _adjust(rows: list[dict[str, Any]]) -> None:
    """Holm over the two primary contrasts on final accuracy."""
    primary = [
        row for row in rows
        if row["endpoint"] == "final_acc" and (row["arm"], row["versus"]) in PRIMARY
    ]  # fmt: skip
    for row, p in zip(primary, st.holm([row["p"] for row in primary]), strict=True):
        row["p_holm"] = p


def _speedup(judged: Judged, arm: str, versus: str, target: Mapping[str, float]) -> dict[str, Any]:
    """How many times sooner `arm` reaches one target, as the ratio of restricted mean times."""
    mine, theirs = (judged.values(one, "steps", target["accuracy"]) for one in (arm, versus))
    ratio = st.rmst_ratio(theirs, mine, judged.budget)
    saved = st.paired_t(st.restricted(theirs, judged.budget), st.restricted(mine, judged.budget))
    cpu = [run.cpu_s[-1] / run.steps[-1] for run in judged.runs[versus]]
    return {
        "arm": arm, "versus": versus, **target,
        "ratio": ratio.estimate, "low": ratio.low, "high": ratio.high, "at_least": ratio.at_least,
        "at_most": ratio.at_most,
        "reached": int(np.isfinite(mine).sum()), "reached_versus": int(np.isfinite(theirs).sum()),
        "n": mine.size, "saved_steps": saved.estimate, "saved_low": saved.low,
        "saved_high": saved.high, "saved_cpu_s": saved.estimate * float(np.median(cpu)),
    }  # fmt: skip


def _arm_row(judged: Judged, arm: str) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm, "n_train": int(judged.runs[arm][0].n_train)}
    for endpoint in ("final_acc", "aulc", "nll"):
        grain = 1 / judged.labels.size if endpoint == "final_acc" else 0.0
        got = st.mean_t(judged.values(arm, endpoint), grain=grain)
        row |= {f"{endpoint}_mean": got.estimate, f"{endpoint}_low": got.low}
        row[f"{endpoint}_high"] = got.high
    by_class = _class_accuracy(judged, arm).mean(axis=0)
    row["worst_class_acc"] = float(np.nanmin(by_class))
    if judged.verified is not None:
        row["verified_acc_mean"] = float(judged.hits(arm, judged.verified).mean())
    return row


def _class_accuracy(judged: Judged, arm: str) -> Floats:
    """(S, classes); NaN for a class without test items."""
    hits = judged.hits(arm)
    columns = [hits[:, judged.labels == c] for c in range(len(judged.classes))]
    empty = np.full(hits.shape[0], np.nan)
    return np.stack([c.mean(axis=1) if c.size else empty for c in columns], axis=1)


def _per_class(judged: Judged) -> list[dict[str, Any]]:
    """Accuracy of each class in raw and cleaned, the difference with interval and BY-adjusted p."""
    raw, cleaned = (_class_accuracy(judged, arm) for arm in (RAW, CLEANED))
    rows = []
    for number, name in enumerate(judged.classes):
        count = int((judged.labels == number).sum())
        if count:
            a, b = cleaned[:, number], raw[:, number]
            means = {"raw": float(b.mean()), "cleaned": float(a.mean())}
            got = st.paired_t(a, b, grain=judged.grain(CLEANED, RAW, count))
            rows.append({"class": name, "n_test": count, **means, **asdict(got)})
    for row, p in zip(rows, st.benjamini_yekutieli([row["p"] for row in rows]), strict=True):
        row["p_by"] = p
    return rows


def _recovered(judged: Judged) -> dict[str, float] | None:
    """Share of the oracle's gain over the random drop that cleaning reached; Fieller interval.

    None where the oracle is not shown to gain. It may exceed 1: the oracle sets labels right and
    drops copies, it repairs no cells.
    """
    if ORACLE not in judged.runs:
        return None
    floor = judged.values(RANDOM_DROP, "final_acc")
    top = judged.values(CLEANED, "final_acc") - floor
    got = st.fieller(top, judged.values(ORACLE, "final_acc") - floor)
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
    Holm; else undecided. Under 5 seeds always undecided.
    """
    main = pick(effects, CLEANED, RAW)
    control = pick(effects, CLEANED, RANDOM_DROP)
    if main["n"] < LEAST_SEEDS:
        word = "undecided"
    elif main["p_equivalent"] < ALPHA / 2:
        word = "equivalent"
    elif main["p_holm"] < ALPHA:
        word = "helps" if main["estimate"] > 0 else "hurts"
    else:
        word = "undecided"
    sooner = [s for s in speedups if s["arm"] == CLEANED and s["q"] == 1.0]
    told = {
        "word": word, "margin": judged.margin, "mde": main["mde"], "n": main["n"],
        "estimate": main["estimate"], "low": main["low"], "high": main["high"], "p": main["p_holm"],
        "low_new": main["low_new"], "high_new": main["high_new"],
        "over_random_drop": {k: control[k] for k in ("estimate", "low", "high", "p_holm")},
        "speedup": sooner[0] if sooner else None, "enough_seeds": main["n"] >= LEAST_SEEDS,
        "same_runs": judged.same(CLEANED, RAW),
        "control_is_raw": judged.same(RANDOM_DROP, RAW),
    }  # fmt: skip
    return {**told, "sentence": describe(told)}
