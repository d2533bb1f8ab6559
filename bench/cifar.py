"""CIFAR-10 images with their true labels, as the trainer takes them."""

from __future__ import annotations

import numpy as np
import polars as pl

from bench.real_data import find_shared_data
from bench.twins import decode
from training.arms import TrainingData

SEED, VAL_ROWS = 0, 2000


def load_cifar(train_rows: int) -> TrainingData:
    """Return so many train rows drawn at random, 2,000 others for validation, 4,000 of the test."""
    folder = find_shared_data() / "cifar10n"
    drawn = pl.read_parquet(folder / "train.parquet", columns=["image", "label"])
    drawn = drawn.sample(train_rows + VAL_ROWS, seed=SEED, shuffle=True)
    frame = pl.concat([drawn, pl.read_parquet(folder / "test.parquet", columns=drawn.columns)])
    rest = frame.height - train_rows - VAL_ROWS
    split = np.repeat([0, 1, 2], [train_rows, VAL_ROWS, rest]).astype(np.int8)
    labels = frame["label"].to_numpy().astype(np.int64)
    keys = np.array([f"{at:032x}-0" for at in range(frame.height)])
    classes = tuple(f"c{at}" for at in range(10))
    return TrainingData("image", classes, keys, labels, split, np.ascontiguousarray(decode(frame)))
