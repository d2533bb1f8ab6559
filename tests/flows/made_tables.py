"""Made tables with planted defects, and the configuration of a line that trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.app.config import Config, read_config

SIZES = {"train": 400, "val": 120, "test": 300}
WIDE_CAPS = {"max_drop_frac": 0.5, "max_class_drop_frac": 0.5, "max_class_share_loss": 0.5}


def make_table(
    seed: int, *, wrong: int = 12, times: int = 9, conflicting: int = 0, untrimmed: int = 0
) -> pl.DataFrame:
    """Two classes that two of three numbers tell, by split; only train rows are spoilt, once each.

    wrong: rows of class `no` that say `yes`, each standing there so many `times`: their copies
    make a network believe them. conflicting: rows that stand there once more under the other
    label. untrimmed: rows with blanks around their note, which tells nothing.
    """
    rng = np.random.default_rng(seed)
    split = np.repeat(list(SIZES), list(SIZES.values()))
    truth = rng.integers(0, 2, split.size)
    numbers = rng.normal(0, 1, (split.size, 3)).round(4)
    numbers[:, :2] += 1.8 * truth[:, None]
    said, note = truth.copy(), rng.choice(["by post", "by phone"], split.size).astype(object)
    lies = np.flatnonzero((truth == 0) & (split == "train"))[:wrong]
    said[lies] = 1
    sound = np.setdiff1d(np.flatnonzero(split == "train"), lies)
    note[sound[:untrimmed]] += "  "
    twice = sound[untrimmed : untrimmed + conflicting]
    frame = pl.DataFrame({
        **{f"x{at}": numbers[:, at] for at in range(3)},
        "note": note.tolist(), "answer": np.where(said, "yes", "no"), "split": split,
    })  # fmt: skip
    other = pl.when(pl.col("answer") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    copies = frame[np.repeat(lies, times - 1).tolist()]
    return pl.concat([frame, copies, frame[twice.tolist()].with_columns(answer=other)])


def table_config(folder: Path, frame: pl.DataFrame, **sections: Any) -> Config:
    """Write the table into `folder` and return the configuration of its line."""
    frame.write_csv(folder / "made.csv")
    raw = {"version": 1, "source": {"path": "made.csv", "label": "answer"}, **sections}
    return read_config({"policy": WIDE_CAPS, **raw}, name="made", base=folder)


BY_BOT = '''
"""A check that knows who lies."""
from checks.core.check import CellRule, cell_check

@cell_check(dimension="incorrect", severity="error", action="drop", examples=())
def by_bot(profile):
    """Flag what a bot answered. Why: it answers at random. Source: a test."""
    return [CellRule(one.name, one.text == "by bot", "a bot") for one in profile.features
            if one.name == "note"]
'''


def make_noise(seed: int, rows: int = 900, numbers: int = 20) -> pl.DataFrame:
    """Two classes that five of many numbers tell; a third of the rows a bot answered, at random.

    A network learns the bot's rows by heart: without them it is truer, on whatever rows.
    """
    rng = np.random.default_rng(seed)
    truth, bot = rng.integers(0, 2, rows), rng.random(rows) < 1 / 3
    values = rng.normal(0, 1, (rows, numbers)).round(4)
    values[:, :5] += 0.7 * truth[:, None]
    said = np.where(bot, rng.integers(0, 2, rows), truth)
    return pl.DataFrame({
        **{f"x{at}": values[:, at] for at in range(numbers)},
        "note": np.where(bot, "by bot", "by post").tolist(),
        "answer": np.where(said == 1, "yes", "no").tolist(),
    })  # fmt: skip
