"""A table's encoding as its manifest holds it: fitted on the raw training rows, shard by shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from training.encoder import Encoder, fit_encoder
from training.errors import TrainingError
from training.shards.columns import read_columns
from training.shards.digest import KEYED
from training.shards.manifest import Manifest, Shard

FIT_ROWS = 200_000  # memory grows with them alone


def fit_encoding(
    out: Path, shards: Sequence[Shard], fit_rows: int = FIT_ROWS
) -> dict[str, Any] | None:
    """Return how the rows of the training shards are encoded, as plain JSON.

    At most `fit_rows` rows are read: those with the smallest keys, which for our own sources are
    digests of content and so a random sample. None where no column varies.

    Returns:
        rows: how many were fitted on. columns: see `training.encoder.ColumnPlan`.
    """
    drawn = pl.DataFrame()
    for shard in shards:
        rows = pl.DataFrame(pl.from_arrow(read_columns(out, shard)))
        both = pl.concat([drawn, rows]) if drawn.height else rows
        drawn = both.bottom_k(fit_rows, by="key") if both.height > fit_rows else both
    try:
        encoder = fit_encoder(drawn.select(pl.exclude(*KEYED)))
    except TrainingError:
        return None
    return {"rows": drawn.height, "columns": encoder.to_plain()}


def encoder_of(manifest: Manifest) -> Encoder | None:
    """Return the encoder that a manifest holds; None for images, and where no column varies."""
    told: Mapping[str, Any] | None = manifest.encoding
    return None if told is None else Encoder.from_plain(told["columns"])
