"""Digests of rows that depend on values alone: not on the writer, the batches or the threads."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

KEYED = ("key", "label", "label_orig", "split", "weight", "xxh3_128")  # columns of every shard
_TAIL = struct.Struct("<I4s")  # a Parquet file ends with its footer's length and its magic
_NAN = np.float64("nan").view(np.uint64)


def canonical_rows(frame: pl.DataFrame) -> pl.Series:
    """Return one text for each row: its values in column order, unambiguous, null told from empty.

    Integers are decimal, floats their 64 bits (one NaN), text is preceded by its length in bytes.
    Two rows have the same text exactly if all their values are the same.

    >>> canonical_rows(pl.DataFrame({"a": [1, None], "b": ["x", ""]})).to_list()
    ['i1|s1:x', 'n|s0:']
    """
    columns = [_canonical(column) for column in frame.iter_columns()]
    if not columns:
        return pl.Series("row", [""] * frame.height, dtype=pl.String)
    return pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator="|")).to_series()


def _canonical(column: pl.Series) -> pl.Series:
    value, dtype = pl.col(column.name), column.dtype
    if dtype.is_float():
        text = pl.format("f{}", _bits(column))
    elif dtype == pl.Boolean or dtype.is_integer():
        text = pl.format("i{}", value.cast(pl.Int128))
    elif dtype.is_temporal():
        text = pl.format("t{}", value.to_physical())
    elif dtype == pl.Binary:
        text = pl.format("b{}", value.bin.encode("hex"))
    else:
        plain = value.cast(pl.String)
        text = pl.format("s{}:{}", plain.str.len_bytes(), plain)
    filled = pl.when(value.is_null()).then(pl.lit("n")).otherwise(text)
    return column.to_frame().select(filled.alias(column.name)).to_series()


def _bits(column: pl.Series) -> pl.Series:
    values = column.cast(pl.Float64).fill_null(0.0).to_numpy()
    bits = np.where(np.isnan(values), _NAN, np.ascontiguousarray(values).view(np.uint64))
    return pl.Series(column.name, bits)


def content_digests(frame: pl.DataFrame) -> list[str]:
    """Return the xxh3-128 of each table row's features, in hex: every column but the keyed ones."""
    rows = canonical_rows(frame.select(pl.exclude(*KEYED)))
    return [xxhash.xxh3_128_hexdigest(text.encode()) for text in rows]


def logical_digest(frame: pl.DataFrame) -> str:
    """Return the sha256 over the sha256 of each row, in order. `frame`: no image bytes."""
    whole = hashlib.sha256()
    for text in canonical_rows(frame):
        whole.update(hashlib.sha256(text.encode()).digest())
    return whole.hexdigest()


def footer_digest(data: bytes | memoryview) -> str:
    """Return the xxh3-128 of a Parquet file's footer in hex; empty if the file holds none."""
    if len(data) < _TAIL.size:
        return ""
    length, magic = _TAIL.unpack_from(data, len(data) - _TAIL.size)
    if magic != b"PAR1" or length + _TAIL.size > len(data):
        return ""
    return xxhash.xxh3_128_hexdigest(data[len(data) - length - _TAIL.size :])


def placements(keys: list[str]) -> NDArray[np.uint64]:
    """Return each key's xxh3-64: its first bits say which shard a row belongs to, for good."""
    return np.fromiter(
        (xxhash.xxh3_64_intdigest(key.encode()) for key in keys), np.uint64, len(keys)
    )
