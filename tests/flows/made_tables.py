"""Made tables with planted defects, and a line that trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.app.config import Config, read_config

SIZES = {"train": 500, "val": 150, "test": 350}


def make_table(seed: int, *, flipped: float, copies: int, untrimmed: int) -> pl.DataFrame:
    """Two classes that two of three numbers tell, by split; only train rows are spoilt.

    flipped: share of the train rows of class `no` that say `yes`. copies: train rows that come
    twice. untrimmed: train rows with blanks around their note, which tells nothing.
    """
    rng = np.random.default_rng(seed)
    split = np.repeat(list(SIZES), list(SIZES.values()))
    truth = rng.integers(0, 2, split.size)
    numbers = rng.normal(0, 1, (split.size, 3)).round(4)
    numbers[:, :2] += 1.6 * truth[:, None]
    train = split == "train"
    wrong = (truth == 0) & train & (rng.random(split.size) < flipped)
    note = rng.choice(["by post", "by phone", "in person"], split.size).astype(object)
    note[np.flatnonzero(train)[:untrimmed]] += "  "
    frame = pl.DataFrame({
        **{f"x{at}": numbers[:, at] for at in range(3)},
        "note": note.tolist(), "answer": np.where(truth | wrong, "yes", "no"), "split": split,
    })  # fmt: skip
    picked = rng.permutation(np.flatnonzero(train))[:copies]
    return pl.concat([frame, frame[picked.tolist()]])


def table_config(folder: Path, frame: pl.DataFrame, **sections: Any) -> Config:
    """Write the table into `folder` and return the configuration of its line."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_csv(folder / "made.csv")
    raw = {"version": 1, "source": {"path": "made.csv", "label": "answer"}, **sections}
    return read_config(raw, name="made", base=folder)
