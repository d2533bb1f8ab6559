"""Held-out rows that have gaps, once more and filled: how an arm trained on filled rows is read.

They lie behind all other rows of the pool. The rows themselves stay as they came: raw, its
control and the oracle are read from those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.arms import Arm, TrainingData
from training.fills import Fills, fill_rows, mark_filled


def append_twins(
    content: dict[str, Any], keys: NDArray[np.str_], fills: Fills | None
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Add each held-out row that has filled cells once more, filled; return the rows they repeat.

    content: split (N,) and features, a frame of the pool's rows. keys: (N,) of its samples.
    """
    if fills is None:
        return content, np.empty(0, np.int64)
    held = fills.cells.filter(pl.col("split") != "train")
    twins = np.flatnonzero(_among(keys, held) & (content["split"] > 0))
    features = content["features"]
    picked = fill_rows(features[twins.tolist()], pl.Series(keys[twins].tolist(), dtype=pl.String),
                       held)  # fmt: skip
    stacked = pl.concat([features, picked], how="vertical_relaxed")
    return {**content, "features": stacked}, twins


def read_twins(
    data: TrainingData, cleaned: Arm, twins: NDArray[np.int64], fills: Fills | None
) -> NDArray[np.int64] | None:
    """Return the pool row that each sample is predicted from, (N,); None: each from its own.

    Only an arm that trains on filled rows is read from filled ones: what has seen none has learnt
    no other way of reading than raw has.

    twins: (T,) rows that have a filled copy, in the order in which these end the pool.
    """
    if fills is None or not twins.size:
        return None
    used = data.train[cleaned.keep & (cleaned.rows >= data.labels.size)]
    if not _among(data.keys[used], fills.cells.filter(split="train")).any():
        return None
    assert data.numbers is not None
    held = np.arange(data.labels.size)
    held[twins] = np.arange(len(data.numbers))[-twins.size :]
    return held


def mark_cells(data: TrainingData, keys: Sequence[str], fills: Fills | None) -> TrainingData:
    """Add an input for each filled column: which cells had no value, alike in every arm.

    keys: of every row of the pool.
    """
    if fills is None or not fills.indicator or data.numbers is None:
        return data
    marks = mark_filled(np.array(keys, np.str_), fills.cells)
    return replace(data, numbers=np.concatenate([data.numbers, marks], axis=1))


def _among(keys: NDArray[np.str_], cells: pl.DataFrame) -> NDArray[np.bool_]:
    return np.isin(keys, cells["key"].to_numpy().astype(np.str_))
