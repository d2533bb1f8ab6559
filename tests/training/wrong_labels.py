"""Small pools of rows whose first train labels are wrong."""

import numpy as np

from training.arms import TrainingData


def bars(n: int = 160, wrong: int = 10) -> TrainingData:
    """Small images of a bright row or column, the first `wrong` of train labelled wrongly."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 60, (n, 1, 16, 16), dtype=np.uint8)
    for at, (label, place) in enumerate(zip(labels, rng.integers(4, 11, n), strict=True)):
        cut = (slice(None), slice(place, place + 3)) if label else (..., slice(place, place + 3))
        images[at][cut] = 220
    split = np.repeat([0, 1, 2], [n - 40, 20, 20]).astype(np.int8)
    labels[:wrong] = 1 - labels[:wrong]
    keys = np.array([f"{at:04d}" for at in range(n)])
    return TrainingData("image", ("up", "flat"), keys, labels, split, images)


def clouds(n: int = 400, wrong: int = 20) -> TrainingData:
    """Two clouds of numbers, the first `wrong` of train labelled wrongly."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, n)
    numbers = rng.normal(0, 1, (n, 4)).astype(np.float32)
    numbers[:, 0] += 3 * labels
    labels[:wrong] = 1 - labels[:wrong]
    split = np.repeat([0, 1, 2], [n - 200, 100, 100]).astype(np.int8)
    keys = np.array([f"{at:04d}" for at in range(n)])
    return TrainingData(
        "table", ("no", "yes"), keys, labels, split, None, numbers,
        np.zeros((n, 1), np.int64), (1,),
    )  # fmt: skip
