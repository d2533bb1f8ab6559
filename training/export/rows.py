"""Rows on their way out of a store: proven, one row group at a time, in types that others have."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from training.shards.columns import damaged, name_damage, open_shard
from training.shards.damage import UNREADABLE, damaged_rows
from training.shards.manifest import Manifest, Shard


def read_split(out: Path, manifest: Manifest, split: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a split in shard order, a frame for each row group.

    Columns: those of the shards with `image` (bytes) and `path` instead of the struct, and last
    `label_number`, Int64: position in the manifest's classes, null without a label. Dates, times
    and decimals are text (ISO 8601, plain digits).

    Raises:
        DamageError: naming shard and row, if one of them is not what was written.
    """
    for shard in manifest.split(split).shards:
        for frame in _read_groups(out, shard):
            yield _shape(frame, manifest)


def row_schema(manifest: Manifest) -> pl.Schema:
    """Return the columns that `read_split` yields, in their order, with their types."""
    empty = stored_schema(manifest).empty_table()
    return _shape(pl.DataFrame(pl.from_arrow(empty)), manifest).schema


def stored_schema(manifest: Manifest) -> Any:
    """Return the Arrow schema of a manifest's shards."""
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(manifest.schema.arrow)))


def _read_groups(out: Path, shard: Shard) -> Iterator[pl.DataFrame]:
    file, start = open_shard(out, shard), 0
    for group in range(file.num_row_groups):
        try:
            table = file.read_row_group(group, use_threads=False)
        except UNREADABLE as broken:
            raise name_damage(out, shard) from broken
        if broken_rows := damaged_rows(table):
            raise damaged(shard, start + broken_rows[0])
        start += table.num_rows
        yield pl.DataFrame(pl.from_arrow(table))


def _shape(frame: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    if manifest.kind == "image":
        frame = frame.with_columns(pl.col("image").struct.unnest()).drop("image")
        frame = frame.rename({"bytes": "image"})
    numbers = {label: number for number, label in enumerate(manifest.classes)}
    number = pl.col("label").replace_strict(numbers, default=None, return_dtype=pl.Int64)
    plain = frame.with_columns(_plain(name, dtype) for name, dtype in frame.schema.items())
    return plain.with_columns(number.alias(_free_name(frame.columns)))


def _free_name(taken: list[str]) -> str:
    """`label_number`, or what is free where a feature has that name.

    >>> _free_name(["label", "label_number"])
    'label_number_'
    """
    name = "label_number"
    while name in taken:
        name += "_"
    return name


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.Duration:
        return pl.col(name).dt.to_string("iso")
    text = dtype.is_temporal() or dtype.is_decimal()
    return pl.col(name).cast(pl.String) if text else pl.col(name)
