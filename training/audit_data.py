"""What the audit of the harness trains on: made data, or a small part of an experiment's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.arms import CLEANED, Arm, Arms, TrainingData, raw_arm

ROWS = (400, 800, 1200)  # of train, validation and test, at most
COLUMNS = 32


def make_clouds(samples: int = 1500, classes: int = 4, width: int = 12) -> TrainingData:
    """Return made data: overlapping normal clouds, a fifth train, two fifths each val and test.

    numbers float32 (samples, width); heads reach some three quarters right.
    """
    rng = np.random.default_rng([9, samples, classes, width])
    labels = rng.integers(0, classes, samples)
    numbers = rng.normal(0, 0.75, (classes, width))[labels] + rng.normal(0, 1, (samples, width))
    split = np.repeat([0, 1, 2], [samples // 5, 2 * samples // 5, samples - 3 * (samples // 5)])
    return TrainingData(
        "table", tuple(map(str, range(classes))), np.arange(samples).astype(str), labels,
        split.astype(np.int8), None, numbers.astype(np.float32),
    )  # fmt: skip


def drop_some(data: TrainingData, share: float = 0.2) -> Arms:
    """Return arms whose cleaning drops `share` of every class; the audit draws its controls."""
    raw = raw_arm(data)
    keep = np.random.default_rng(9).random(raw.keep.size) >= share
    return Arms(raw, replace(raw, name=CLEANED, keep=keep))


def sample_data(
    data: TrainingData, cleaned: Arm, rows: tuple[int, int, int] = ROWS, columns: int = COLUMNS
) -> tuple[TrainingData, Arms]:
    """Return a random part of an experiment's rows, and arms whose control drops as cleaning does.

    data: as the probe tier reads it; the leading `columns` are kept. Where cleaning drops and
    lowers none of the sampled rows, a fifth of every class stands in.
    """
    assert data.numbers is not None
    rng, picked = np.random.default_rng(11), []
    for split, most in enumerate(rows):
        own = data.rows_of(split)
        picked.append(np.sort(rng.permutation(own)[:most]))
    at = np.concatenate(picked)
    part = replace(
        data, keys=data.keys[at], labels=data.labels[at], split=data.split[at], true_labels=None,
        numbers=np.ascontiguousarray(data.numbers[at][:, :columns]),
    )  # fmt: skip
    own = np.searchsorted(data.train, picked[0])
    keep, weights = cleaned.keep[own], cleaned.weights[own]
    if keep.all() and (weights == 1).all():
        return part, drop_some(part)
    raw = raw_arm(part)
    return part, Arms(raw, replace(raw, name=CLEANED, keep=keep, weights=weights))
