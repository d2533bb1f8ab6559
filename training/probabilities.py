"""Out-of-sample class probabilities: each sample is scored by a model that never saw it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.arms import Arm, TrainingData, assign_folds, raw_arm
from training.errors import TrainingError
from training.heads import Rows, fit_heads
from training.recipe import Recipe


class OutOfFold(NamedTuple):
    """probs: float32 (N, classes), rows sum to 1. fold: int64 (N,), the fold that held it out.

    fold is -1 for samples outside the training split: all models score them, averaged.
    """

    keys: NDArray[np.str_]
    probs: NDArray[np.float32]
    fold: NDArray[np.int64]


def out_of_fold(
    data: TrainingData, *, folds: int = 5, seed: int = 0, steps: int = 200
) -> OutOfFold:
    """Return class probabilities for every sample that has a label, and for all of val and test.

    One small head for each fold on `data.numbers`, all trained as one batched model.

    Raises:
        TrainingError: if there are fewer training samples than folds.
    """
    rows = data.train
    if rows.size < folds:
        raise TrainingError(
            "probabilities", "fewer training samples than folds", got=rows.size,
            allowed=f"At least {folds}.",
        )  # fmt: skip
    held = assign_folds(rows.size, folds, seed)
    raw = raw_arm(data)
    arms = [Arm("raw", held != f, raw.weights, raw.labels, raw.rows) for f in range(folds)]
    recipe = Recipe("probe", steps, 256, 1e-3, 1.0, hidden=64)
    predict = fit_heads(
        Rows(data, torch.device("cpu"), coded=False), [(a, seed) for a in arms], recipe
    )
    everything = np.arange(data.labels.size)
    probs = functional.softmax(predict(everything).double(), dim=2).numpy()
    fold = np.full(everything.size, -1)
    fold[rows] = held
    own = probs[np.maximum(fold, 0), everything]
    mixed = np.where((fold >= 0)[:, None], own, probs.mean(axis=0))
    return OutOfFold(data.keys, mixed.astype(np.float32), fold)
