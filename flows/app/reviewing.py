"""Writes what a person should look at: `gristmill review export`."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from checks.core.reviewed import settle_opinions
from flows.app.config import Config
from flows.app.review_choice import choose_samples
from flows.app.review_file import COLUMNS, write_review
from flows.app.review_store import STORE, hear, read_store
from flows.app.store import RunFolder

EMPTY = ("verdict", "new_label", "comment", "reviewer")


def export_review(
    run_path: Path, file: Path, *, count: int = 200, seed: int = 0, again: bool = False
) -> str:
    """Write at most `count` labels to `file` for a person's verdict; return what was written.

    Args:
        run_path: the folder of a run that has been checked.
        file: CSV or Parquet.
        count: rows at most.
        seed: of the random draws.
        again: also those that have a verdict, for a second opinion.

    Raises:
        StoreError: it is no run folder, nothing is checked yet, or the disk refuses.
        SourceError: `file` has another ending, or the store holds something else.
    """
    run = RunFolder(run_path)
    config = run.read_config()
    samples, scores = run.read_table("samples"), run.read_table("scores")
    done = None if again else _reviewed(config, samples)
    chosen = choose_samples(
        samples, run.read_table("findings"), scores, count=count, seed=seed, done=done
    )
    places = samples.select("sample_id", "uri", "row", "split", "label")
    page = chosen.join(places, on="sample_id", how="left", maintain_order="left")
    page = page.with_columns(pl.lit(None, pl.String).alias(name) for name in EMPTY)
    write_review(file, page.select(pl.col(n).cast(t) for n, t in COLUMNS.items()))
    reasons = page["reason"].value_counts(sort=False).sort("reason").rows()
    told = ", ".join(f"{number} {reason}" for reason, number in reasons) or "nothing to review"
    return (
        f"{file}: {page.height} labels to review ({told}). Fill in verdict (right, wrong, unsure), "
        f"new_label where you know it, comment and reviewer, then: "
        f"gristmill review import {run_path} {file}"
    )


def _reviewed(config: Config, samples: pl.DataFrame) -> pl.DataFrame:
    """The samples of which people said, for certain, what is true of them as they are now."""
    opinions, _ = hear(read_store(config.locate(config.policy.overrides or STORE)), samples)
    return settle_opinions(opinions).filter(pl.col("verdict") != "unsure").select("sample_id")
