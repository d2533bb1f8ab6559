"""Cleaned against raw at equal compute, told in three ways: steps, epochs and CPU seconds.

A cleaned set is smaller, so equal steps give it more epochs, and equal epochs fewer steps. Equal
steps are what every other figure of the report is matched on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.judged import find_grain
from training.recipe import Recipe
from training.statistics import paired_t
from training.trainer import Run

MATCHED_ON = "optimiser steps"


def match_epochs(recipe: Recipe, kept: int, whole: int) -> Recipe:
    """Return the recipe whose steps are as many epochs of `kept` rows as it has of `whole` ones.

    >>> match_epochs(Recipe("probe", 100, 8, 0.1, 0.0), 80, 100).steps
    80
    """
    return replace(recipe, steps=max(1, round(recipe.steps * kept / whole)))


def match_compute(
    raw: Sequence[Run],
    cleaned: Sequence[Run],
    shorter: Sequence[Run],
    labels: NDArray[np.int64],
    curve_items: int,
) -> list[dict[str, Any]]:
    """Return cleaned minus raw at equal steps, epochs and CPU seconds, with 95 % intervals.

    Runs are paired by seed. shorter: cleaned runs of as many epochs as raw's; empty where no row
    was dropped, so that steps say it all. labels: (T,) of the test items. At equal seconds both
    curves are read, on validation, where the sooner of the two ended; curve_items: how many items
    a curve is read on. Accuracies are fractions.
    """
    epochs = shorter or cleaned
    right = [_final(runs, labels) for runs in (raw, cleaned, epochs)]
    ends = [min(a.cpu_s[-1], b.cpu_s[-1]) for a, b in zip(raw, cleaned, strict=True)]
    told = [_read(runs, ends) for runs in (raw, cleaned)]
    test, curve = (find_grain(raw, cleaned, count) for count in (labels.size, curve_items))
    alike = find_grain(raw, epochs, labels.size)
    rows = {
        "steps": ("final_acc", paired_t(right[1], right[0], grain=test), cleaned),
        "epochs": ("final_acc", paired_t(right[2], right[0], grain=alike), epochs),
        "seconds": ("val_acc", paired_t(told[1], told[0], grain=curve), cleaned),
    }
    return [
        {
            "matched": name, "primary": name == "steps", "endpoint": endpoint, "unit": "fraction",
            **asdict(found), "steps_raw": int(raw[0].steps[-1]),
            "steps_cleaned": int(runs[0].steps[-1]),
            "cpu_s": float(np.mean(ends)) if name == "seconds" else None,
        }
        for name, (endpoint, found, runs) in rows.items()
    ]  # fmt: skip


def _final(runs: Sequence[Run], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([float((run.test_pred == labels).mean()) for run in runs])


def _read(runs: Sequence[Run], ends: Sequence[float]) -> NDArray[np.float64]:
    return np.array(
        [np.interp(end, run.cpu_s, run.val_acc) for run, end in zip(runs, ends, strict=True)]
    )
