"""What each group of checks is worth: exact Shapley values, and the response to the dose."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import statistics as st
from training.arms import CLEANED, RAW
from training.errors import TrainingError
from training.judged import Judged, compare
from training.statistics import Floats

SUBSET, DOSE = "set:", "dose:"


def shapley(values: Mapping[str, Floats]) -> NDArray[np.float64]:
    """Return each group's Shapley value in each seed, (k, S); they sum to full minus empty.

    values: for each of the 2^k sets of groups, written as k bits ("10" has the first group), the
    value (S,) of the run in which only these groups acted. phi_j is the mean over all orders of
    what adding group j changes; linear in the runs, so that each seed has its own and a paired t
    interval holds.
    Source: Shapley 1953; sum over S of |S|! (k - |S| - 1)! / k! [v(S + j) - v(S)].

    Raises:
        TrainingError: if a set is missing.

    >>> one = {"00": 0.0, "10": 1.0, "01": 2.0, "11": 5.0}
    >>> shapley({bits: np.array([v]) for bits, v in one.items()}).ravel().tolist()
    [2.0, 3.0]
    """
    k = len(next(iter(values), ""))
    wanted = ["".join(bits) for bits in product("01", repeat=k)]
    if missing := [bits for bits in wanted if bits not in values]:
        raise TrainingError(
            "experiment", "Shapley values need a run of every set of groups", got=missing[:4],
            advice="Run all of them, or ask for fewer groups.",
        )  # fmt: skip
    parts = []
    for j in range(k):
        without = [bits for bits in wanted if bits[j] == "0"]
        gains = [values[f"{bits[:j]}1{bits[j + 1 :]}"] - values[bits] for bits in without]
        sizes = [bits.count("1") for bits in without]
        weights = [factorial(size) * factorial(k - size - 1) / factorial(k) for size in sizes]
        parts.append(np.asarray(weights) @ np.stack(gains))
    return np.stack(parts)


def share_out(judged: Judged) -> list[dict[str, Any]]:
    """Return each group's part of what cleaning does to test accuracy, with paired intervals.

    Of all 2^k arms `set:<bits>`; no group is raw, all of them is cleaned where these two have no
    arm of their own. Empty if any other is missing. p_by is adjusted over the groups.
    """
    k = len(judged.groups)
    arms = {"".join(bits): f"{SUBSET}{''.join(bits)}" for bits in product("01", repeat=k)}
    for bits, stands_in in (("0" * k, RAW), ("1" * k, CLEANED)):
        arms[bits] = arms[bits] if arms[bits] in judged.runs else stands_in
    if k == 0 or not set(arms.values()) <= set(judged.runs):
        return []
    parts = shapley({bits: judged.values(arm, "final_acc") for bits, arm in arms.items()})
    rows = []
    for j, (group, part) in enumerate(zip(judged.groups, parts, strict=True)):
        steps = [
            judged.grain(arms[f"{bits[:j]}1{bits[j + 1 :]}"], arms[bits])
            for bits in arms if bits[j] == "0"
        ]  # fmt: skip
        got = compare(part, np.zeros_like(part), grain=max(steps))
        told = {key: got[key] for key in ("estimate", "low", "high", "p", "n", "mde")}
        rows.append({"group": group, **told})
    for row, p in zip(rows, st.benjamini_yekutieli([row["p"] for row in rows]), strict=True):
        row["p_by"] = p
    return rows


def respond_to_dose(judged: Judged) -> dict[str, Any] | None:
    """Return the response of test accuracy to the share of flagged samples that were cleaned.

    Of the arms `dose:<share>`, the surest samples first, with raw as 0 and cleaned as 1; None
    without such arms. The trend is the paired linear contrast over doses: the slope of a line
    through each seed's accuracies, in accuracy for the whole dose, with its t interval. rises:
    no mean lies below the one before. p of single doses, adjusted, stands among the effects.
    """
    named = {float(arm.removeprefix(DOSE)): arm for arm in judged.runs if arm.startswith(DOSE)}
    if not named:
        return None
    arms = {0.0: RAW, **named, 1.0: CLEANED}
    doses = np.array(sorted(arms))
    accuracies = np.stack([judged.values(arms[dose], "final_acc") for dose in doses])
    weights = doses - doses.mean()
    slopes = weights @ accuracies / (weights @ weights)
    grains = [judged.grain(arms[dose], RAW) for dose in doses]
    trend = compare(slopes, np.zeros_like(slopes), grain=max(grains))
    means = accuracies.mean(axis=1)
    steps = []
    for at, (dose, grain) in enumerate(zip(doses, grains, strict=True)):
        over = compare(accuracies[at], accuracies[0], grain=grain)
        told = {key: over[key] for key in ("estimate", "low", "high", "n", "mde")}
        mean = float(means[at])
        steps.append({"dose": float(dose), "arm": arms[dose], "final_acc": mean, **told})
    told = {key: trend[key] for key in ("estimate", "low", "high", "p", "n", "mde")}
    return {"doses": steps, "trend": told, "rises": bool((np.diff(means) >= 0).all())}
