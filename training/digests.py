"""What names a run's rows: digests of a pool, of its held-out splits and of arms over it."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import xxhash
from numpy.typing import NDArray

from training.arms import Arm, TrainingData

_known: WeakKeyDictionary[TrainingData, str] = WeakKeyDictionary()  # a pool's arrays never change


def pool_digest(data: TrainingData) -> str:
    """Return the digest of every sample as it came, repaired rows left out; read once a pool."""
    if (known := _known.get(data)) is not None:
        return known
    seen, n = xxhash.xxh3_128(), data.labels.size
    for array in (data.labels, data.split, *(part[:n] for part in _features(data))):
        seen.update(f"{array.dtype} {array.shape}".encode())
        seen.update(_bytes(array))
    _known[data] = str(seen.hexdigest())
    return _known[data]


def rows_digest(data: TrainingData, split: int) -> str:
    """Return the digest of one split's features and labels; no arm may change it."""
    seen, rows = xxhash.xxh3_128(), data.rows_of(split)
    for array in (data.labels, *_features(data)):
        seen.update(_bytes(array[rows]))
    return str(seen.hexdigest())


def arm_digest(data: TrainingData, arm: Arm) -> str:
    """Return the digest of what an arm changes in the pool, the rows that it repaired included."""
    repaired = arm.rows[arm.rows >= data.labels.size]
    seen = xxhash.xxh3_128(arm.name.encode())
    places = np.where(arm.rows < data.labels.size, arm.rows, -1)
    parts = [arm.keep, arm.weights, arm.labels, places, *(f[repaired] for f in _features(data))]
    if arm.held is not None:
        moved = np.flatnonzero(arm.held >= data.labels.size)
        parts += [moved, *(f[arm.held[moved]] for f in _features(data))]
    for array in parts:
        seen.update(_bytes(array))
    return str(seen.hexdigest())


def _features(data: TrainingData) -> list[Any]:
    return [a for a in (data.images, data.numbers, data.codes) if a is not None]


def _bytes(array: NDArray[Any]) -> memoryview:
    """The array's bytes where they lie: a copy of all images would double the memory."""
    return np.ascontiguousarray(array).data
