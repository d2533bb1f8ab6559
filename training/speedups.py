"""How many times sooner an arm reaches a target, target by target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training import statistics as st
from training.arms import CLEANED, PILOT, RAW
from training.convergence import restricted, rmst_ratio
from training.judged import Judged

QUANTILES = (0.5, 0.75, 0.9, 0.95, 1.0)
TESTED = 0.95  # target of the time that is tested: at 1 half of raw never arrives, times are ties
CURVE = tuple(round(0.3 + 0.025 * at, 3) for at in range(30))  # 0.3 to 1.025 of raw's gain


def freeze_targets(
    judged: Judged, quantiles: Sequence[float] = QUANTILES
) -> list[dict[str, float]]:
    """Return the targets {q, accuracy} from the pilot runs; none if raw does not beat chance.

    Targets are chance + q (median final raw accuracy of the pilots - chance).
    """
    gain = float(np.median([run.val_acc[-1] for run in judged.runs[PILOT]])) - judged.chance
    if gain <= 0:
        return []
    return [{"q": q, "accuracy": judged.chance + q * gain} for q in quantiles]


def measure_speedup(
    judged: Judged, arm: str, versus: str, target: Mapping[str, float]
) -> dict[str, Any]:
    """How many times sooner `arm` reaches one target, as the ratio of restricted mean times."""
    mine, theirs = (judged.values(one, "steps", target["accuracy"]) for one in (arm, versus))
    ratio = rmst_ratio(theirs, mine, judged.budget)
    saved = st.paired_t(restricted(theirs, judged.budget), restricted(mine, judged.budget))
    return {
        "arm": arm, "versus": versus, **target,
        "ratio": ratio.estimate, "low": ratio.low, "high": ratio.high, "at_least": ratio.at_least,
        "at_most": ratio.at_most,
        "reached": int(np.isfinite(mine).sum()), "reached_versus": int(np.isfinite(theirs).sum()),
        "n": mine.size, "saved_steps": saved.estimate, "saved_low": saved.low,
        "saved_high": saved.high, "saved_cpu_s": saved.estimate * cpu_per_step(judged, versus),
    }  # fmt: skip


def cpu_per_step(judged: Judged, arm: str) -> float:
    """Return the CPU seconds of one optimiser step of an arm, the median over its runs."""
    return float(np.median([run.cpu_s[-1] / run.steps[-1] for run in judged.runs[arm]]))


def trace_speedups(judged: Judged) -> list[dict[str, Any]]:
    """Return the speed-up of cleaned over raw as a curve: one point for each target accuracy.

    Points are as of `measure_speedup`, the intervals 95 % each. Left out is what neither arm
    reached in any seed: both times are the budget then, and say nothing.
    """
    rows = [measure_speedup(judged, CLEANED, RAW, one) for one in freeze_targets(judged, CURVE)]
    return [row for row in rows if row["reached"] or row["reached_versus"]]
