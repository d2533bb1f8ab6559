"""Cells that were filled: which, and with what, so that every row that is read is read alike.

Shards hold train filled, validation and test as they came. A network that is trained on filled
rows reads held-out ones filled by the same fit: that is how it encodes a missing value, not a
cleaning of the test. `columns` of a fill file: key, split, column, value (text).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.errors import DamageError
from training.shards.format import encode_frame
from training.shards.manifest import Manifest
from training.shards.store import StoredFile, file_digest, put

COLUMNS = ("key", "split", "column", "value")


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """What a cleaned set is filled with.

    cells: `COLUMNS`, one row for each filled cell; of train they stand in the shards too.
    indicator: whether a network is told which cells were filled. fitted: how, as plain JSON.
    """

    cells: pl.DataFrame
    indicator: bool = True
    fitted: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return what the manifest's encoding says of them."""
        return {"indicator": self.indicator, "fitted": dict(self.fitted)}


def store_fills(out: Path, fills: Fills) -> StoredFile:
    """Write the cells, sorted, and return their entry."""
    cells = fills.cells.select(COLUMNS).sort("key", "column")
    return put(out, "fills", encode_frame(cells.to_arrow()), cells.height)


def read_fills(out: Path, manifest: Manifest) -> Fills | None:
    """Return what a manifest's rows are filled with, None where nothing was.

    Raises:
        DamageError: if the file is missing or not what was written.
    """
    file, told = manifest.fills, manifest.encoding
    if file is None or told is None:
        return None
    if file_digest(out / file.path) != file.sha256:
        raise DamageError(file.path, None, "the filled cells are not what was written")
    return Fills(pl.read_parquet(out / file.path), **told["fills"])


def fill_rows(frame: pl.DataFrame, keys: pl.Series, cells: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with the cells of its rows filled, types kept.

    Args:
        frame: columns of a shard.
        keys: of its rows.
        cells: key, column, value.

    >>> cells = pl.DataFrame({"key": ["b"], "column": ["n"], "value": ["7"]})
    >>> fill_rows(pl.DataFrame({"n": [1, None]}), pl.Series(["a", "b"]), cells)["n"].to_list()
    [1, 7]
    """
    own = cells.filter(pl.col("column").is_in(frame.columns))
    for (name,), part in own.group_by("column", maintain_order=True):
        column = str(name)
        told = keys.to_frame("key").join(part, on="key", how="left", maintain_order="left")
        value = told.select(as_type(pl.col("value"), frame.schema[column])).to_series()
        filled = value.zip_with(told["value"].is_not_null(), frame[column])
        frame = frame.with_columns(filled.alias(column))
    return frame


def as_type(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the texts of cells as values of `dtype`, null where one cannot be.

    >>> pl.select(as_type(pl.lit("2024-01-02 03:04:05"), pl.Datetime("us"))).item().hour
    3
    """
    if dtype == pl.Boolean:
        word = text.str.to_lowercase()
        return pl.when(word.is_in(["true", "false"])).then(word == "true")
    if dtype == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    if dtype == pl.Time:
        return text.str.to_time("%H:%M:%S%.f", strict=False)
    if isinstance(dtype, pl.Datetime):
        form = "%Y-%m-%d %H:%M:%S%.f" + ("%z" if dtype.time_zone else "")
        read = text.str.to_datetime(form, time_unit=dtype.time_unit, strict=False)
        return read.dt.convert_time_zone(dtype.time_zone) if dtype.time_zone else read
    return text.cast(dtype, strict=False)


def mark_filled(keys: NDArray[np.str_], cells: pl.DataFrame) -> NDArray[np.float32]:
    """Return 1 where a row's cell was filled: (N, C) for the C columns of `cells`, by name.

    >>> cells = pl.DataFrame({"key": ["b"], "column": ["n"]})
    >>> mark_filled(np.array(["a", "b"]), cells).tolist()
    [[0.0], [1.0]]
    """
    names = cells["column"].unique().sort().to_list()
    marks = np.zeros((len(keys), len(names)), np.float32)
    for at, name in enumerate(names):
        marks[:, at] = np.isin(keys, cells.filter(column=name)["key"].to_numpy().astype(np.str_))
    return marks
