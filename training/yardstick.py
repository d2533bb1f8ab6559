"""What boosted trees make of each arm of a table: one number beside the headline, never in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arms import RAW, Arm, TrainingData

CODES_MAX = 255  # what scikit-learn takes in a category
Z95 = 1.959963984540054
SEED = 0
CHEAP = 100_000


def is_cheap(data: TrainingData) -> bool:
    """Say whether the trees cost well below a tenth of an experiment: rows times trees a round.

    Measured on Adult, 29,561 train rows and two classes: 2.9 CPU seconds of 69 (4.1 %, the
    benchmark `yardstick`).
    """
    classes = len(data.classes)
    return data.train.size * (classes if classes > 2 else 1) <= CHEAP  # noqa: PLR2004 - one tree


def measure_yardstick(data: TrainingData, arms: Sequence[Arm]) -> dict[str, dict[str, float]]:
    """Fit trees on each arm's rows and return what they get right on the untouched test rows.

    Args:
        data: of a table.
        arms: raw among them.

    Returns:
        By arm: accuracy 0..1 with low and high, and gain, gain_low, gain_high: the difference to
        raw on the same test rows. Intervals of 95 % over test rows, normal, for one fit each.

    Source: scikit-learn's HistGradientBoostingClassifier as it comes, without early stopping, on
    one thread, so that the same rows give the same trees.
    """
    right = {arm.name: _hits(data, arm) for arm in arms}
    return {
        name: {
            **_mean(hits, ("accuracy", "low", "high")),
            **_mean(hits - right[RAW], ("gain", "gain_low", "gain_high")),
        }
        for name, hits in right.items()
    }


def _mean(values: NDArray[np.float64], names: tuple[str, str, str]) -> dict[str, float]:
    half = Z95 * values.std(ddof=1) / values.size**0.5
    mean = values.mean()
    return dict(zip(names, (float(mean), float(mean - half), float(mean + half)), strict=True))


def _hits(data: TrainingData, arm: Arm) -> NDArray[np.float64]:
    """Whether trees fitted on the arm are right, for each test row."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - slow to import
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    matrix, categories = _columns(data)
    test = data.rows_of(2)
    asked = test if arm.held is None else arm.held[test]
    model: Any = HistGradientBoostingClassifier(
        categorical_features=categories, early_stopping=False, random_state=SEED
    )
    kept = arm.keep
    with threadpool_limits(1):
        model.fit(matrix[arm.rows[kept]], arm.labels[kept], sample_weight=arm.weights[kept])
        told = model.predict(matrix[asked])
    return np.asarray(told == data.labels[test], np.float64)


def _columns(data: TrainingData) -> tuple[NDArray[np.float32], list[bool]]:
    """Numbers and codes of the whole pool beside each other, and which are categories."""
    assert data.numbers is not None
    codes = np.zeros((len(data.numbers), 0)) if data.codes is None else data.codes
    few = np.minimum(codes, CODES_MAX - 1).astype(np.float32)
    marks = [False] * data.numbers.shape[1] + [True] * few.shape[1]
    return np.concatenate([data.numbers, few], axis=1), marks
