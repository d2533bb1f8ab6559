"""Test accuracy class by class, and how many predictions change between paired runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import statistics as st
from training.arms import CLEANED, RANDOM_DROP, RAW, RAW_AGAIN
from training.judged import Judged, compare


def compare_classes(
    judged: Judged, labels: NDArray[np.int64] | None = None
) -> list[dict[str, Any]]:
    """Return each class's accuracy in raw and cleaned, with the paired difference.

    labels: (T,) of the test items; None for those as given. p_by is adjusted over the classes for
    the false discovery rate.
    """
    raw, cleaned = (judged.class_accuracy(arm, labels) for arm in (RAW, CLEANED))
    counts, rows = judged.counts(labels), []
    for number, name in enumerate(judged.classes):
        if count := int(counts[number]):
            a, b = cleaned[:, number], raw[:, number]
            means = {"raw": float(b.mean()), "cleaned": float(a.mean())}
            got = compare(a, b, grain=judged.grain(CLEANED, RAW, count))
            told = {key: got[key] for key in ("estimate", "low", "high", "p", "n", "mde")}
            rows.append({"class": name, "n_test": count, **means, **told})
    for row, p in zip(rows, st.benjamini_yekutieli([row["p"] for row in rows]), strict=True):
        row["p_by"] = p
    return rows


def count_churn(judged: Judged) -> list[dict[str, Any]]:
    """Return the share of test items whose predicted class differs between paired runs.

    A/A (raw against raw with other seeds) comes first: what changing nothing but the seed
    changes. Of the other pairs, excess is the paired difference from it.
    Source: churn, Milani Fard et al. 2016 (NeurIPS 29).
    """
    pairs = [(RAW_AGAIN, RAW), (CLEANED, RAW), (CLEANED, RANDOM_DROP)]
    chance = _disagreement(judged, RAW_AGAIN, RAW)
    luck = judged.grain(RAW_AGAIN, RAW)
    rows = []
    for arm, versus in pairs:
        churn, grain = _disagreement(judged, arm, versus), judged.grain(arm, versus)
        told = compare(churn, np.zeros_like(churn), grain=grain)
        row: dict[str, Any] = {"arm": arm, "versus": versus}
        row |= {key: told[key] for key in ("estimate", "low", "high", "n", "mde")}
        if arm != RAW_AGAIN:
            over = compare(churn, chance, grain=max(grain, luck))
            row["excess"] = {key: over[key] for key in ("estimate", "low", "high", "p", "n", "mde")}
        rows.append(row)
    return rows


def _disagreement(judged: Judged, arm: str, versus: str) -> NDArray[np.float64]:
    differ = judged.predictions(arm) != judged.predictions(versus)
    return np.asarray(differ.mean(axis=1), np.float64)
