"""What the report is told about the labels' noise: small, plain and rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from checks.labels.calibration import BUDGETS, Calibration
from checks.labels.noise_matrix import Noise
from checks.labels.noise_model import Array

MATRIX_CLASSES_MAX = 100
PAIRS_TOLD = 10
NORMAL = 1.96  # standard deviations to each side of an interval


def tell_facts(
    noise: Noise, calibration: Calibration, recall: Array, classes: list[str], *,
    flagged: int, precision_min: float,
) -> dict[str, object]:  # fmt: skip
    """Return the facts of the label check as JSON-able values.

    Args:
        noise: of N train samples and K classes.
        calibration: of those that can be flagged.
        recall: shape (2, S), of planted flips at each of BUDGETS: confusable ones, any.
        classes: K names.
        flagged: number of train samples flagged.
        precision_min: what the bound of their precision reaches, 0..1.
    """
    total = noise.reading.wrong.size
    best, _, high = (round(value) for value in noise.count())
    low = round(flagged * float(calibration.low[flagged - 1])) if flagged else 0  # as flags promise
    best, high = max(best, low), max(high, low)
    facts: dict[str, object] = {
        "judged": total, "flagged": flagged, "flagged_frac": round(flagged / total, 5),
        "estimated_precision": None, "precision_min": precision_min,
        "wrong_labels": {"count": best, "low": low, "high": high},
        "noise_matrix": _tell_matrix(noise, classes), "worst_pairs": _tell_pairs(noise, classes),
        "budgets": _tell_budgets(calibration, recall, total),
    }  # fmt: skip
    if flagged:
        mean, spread = calibration.precision[flagged - 1], NORMAL * calibration.spread[flagged - 1]
        facts |= {
            "estimated_precision": round(float(mean), 4),
            "estimated_precision_low": round(float(max(0.0, mean - spread)), 4),
            "estimated_precision_high": round(float(min(1.0, mean + spread)), 4),
            "planted_recall": [round(float(np.interp(flagged / total, BUDGETS, part)), 4)
                               for part in recall],
        }  # fmt: skip
    return facts | {"says": _say(facts, flagged, total, (best, low, high))}


def _say(
    facts: dict[str, object], flagged: int, total: int, count: tuple[int, int, int]
) -> str:  # fmt: skip
    """One sentence for a reader."""
    best, low, high = count
    might = f"of {total} labels {best} look wrong, between {low} and {high} may be"
    if not flagged:
        most = f"up to {high} of {total} may be wrong where samples are hard to tell apart"
        return f"none found; {most}"
    share = round(100 * float(str(facts["estimated_precision"])))
    return f"{flagged} flagged, of which about {share} % are wrong; {might}"


def _tell_matrix(noise: Noise, classes: list[str]) -> dict[str, Any] | None:
    if len(classes) > MATRIX_CLASSES_MAX:
        return None
    low, high = noise.matrix_bounds()
    parts = {"values": noise.reading.matrix, "low": low, "high": high}
    return {"classes": classes} | {name: part.round(4).tolist() for name, part in parts.items()}


def _tell_pairs(noise: Noise, classes: list[str]) -> list[dict[str, Any]]:
    """The pairs of true class and given label with the most wrong labels, at least one each."""
    joint = noise.reading.joint.round(3)
    np.fill_diagonal(joint, 0.0)
    worst = np.argsort(-joint, axis=None, kind="stable")[:PAIRS_TOLD]
    pairs = [(int(cell) // len(classes), int(cell) % len(classes)) for cell in worst]
    return [
        {"true": classes[true], "given": classes[given], "count": round(joint[true, given])}
        for true, given in pairs if joint[true, given] >= 1
    ]  # fmt: skip


def _tell_budgets(calibration: Calibration, recall: Array, total: int) -> list[dict[str, float]]:
    told = []
    for share, found in zip(BUDGETS, recall.mean(axis=0), strict=True):
        size = int(share * total)
        if 1 <= size <= calibration.order.size:
            told.append({
                "flagged_frac": float(share),
                "precision": round(float(calibration.precision[size - 1]), 4),
                "low": round(float(calibration.low[size - 1]), 4),
                "recall": round(float(found), 4),
            })  # fmt: skip
    return told
