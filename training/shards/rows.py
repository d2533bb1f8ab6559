"""The rows of a shard: what callers hand in, brought to one shape and one set of types."""

from __future__ import annotations

import hashlib
import re
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from PIL import Image

from training.errors import TrainingError
from training.shards.digest import KEYED, content_digests

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGE_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("image", IMAGE_TYPE),
        ("label", pa.string()),
        ("label_orig", pa.string()),
        ("split", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("channels", pa.int32()),
        ("format", pa.string()),
        ("sha256", pa.string()),
        ("xxh3_128", pa.string()),
        ("weight", pa.float32()),
    ]
)
_SPLIT = re.compile(r"\w[\w.-]{0,63}")
FACTS = ("width", "height", "channels", "format")


def shape_images(batch: Any) -> tuple[Any, Any]:
    """Return image rows as a table of `IMAGE_SCHEMA`, and each row's size in bytes, int64 (N,).

    batch: pyarrow RecordBatch with key, image (binary, or struct of bytes and path), label and
    split; optional label_orig (else label), weight (else 1) and the facts width, height, channels
    and format (else read from the image's header). Digests are always computed here.

    Raises:
        TrainingError: if a column is missing, or a row has no image bytes.
    """
    columns = _required(batch, ("key", "image", "label", "split"))
    payload, paths = _payload(columns["image"])
    views = [memoryview(value.as_buffer()) for value in payload if value.is_valid]
    if len(views) < len(payload):
        empty = columns["key"][payload.is_valid().index(False).as_py()].as_py()
        raise TrainingError("shards", "a row has no image bytes", got=empty)
    columns["image"] = pa.StructArray.from_arrays([payload, paths], fields=list(IMAGE_TYPE))
    if not set(FACTS) <= set(columns):
        columns |= _read_facts(views)
    columns |= _defaults(columns, len(views))
    columns["sha256"] = pa.array([hashlib.sha256(view).hexdigest() for view in views], pa.string())
    columns["xxh3_128"] = pa.array([xxhash.xxh3_128_hexdigest(v) for v in views], pa.string())
    arrays = [_flat(columns[field.name]).cast(field.type) for field in IMAGE_SCHEMA]
    sizes = np.fromiter((len(view) for view in views), np.int64, len(views))
    return pa.table(arrays, schema=IMAGE_SCHEMA), sizes


def shape_table(batch: Any) -> tuple[Any, Any]:
    """Return table rows in one order of columns, and each row's size in bytes, int64 (N,).

    batch: pyarrow RecordBatch with key, label, split and feature columns of plain types; optional
    label_orig and weight. Order: key, features as they came, label, label_orig, split, weight,
    xxh3_128 (digest of the features).

    Raises:
        TrainingError: if a column is missing or nested.
    """
    columns = _required(batch, ("key", "label", "split"))
    features = [name for name in columns if name not in KEYED]
    for name in features:
        if pa.types.is_nested(columns[name].type):
            told = str(columns[name].type)
            raise TrainingError("shards", f"column {name!r} is nested", got=told)
    columns |= _defaults(columns, batch.num_rows)
    frame = pl.DataFrame({name: pl.Series(columns[name]) for name in features})
    columns["xxh3_128"] = pa.array(content_digests(frame), pa.string())
    names = ["key", *features, "label", "label_orig", "split", "weight", "xxh3_128"]
    table = pa.table([columns[name] for name in names], names=names)
    return table, _text_sizes(table.select(features), batch.num_rows)


def holds_images(schema: Any) -> bool:
    """Return whether rows of this Arrow schema hold images; a feature may be named so too."""
    return "image" in schema.names and pa.types.is_struct(schema.field("image").type)


def plain_rows(table: Any) -> pl.DataFrame:
    """Return all that a row says but the image bytes, whose sha256 and path stand for them."""
    if not holds_images(table.schema):
        return pl.DataFrame(pl.from_arrow(table))
    paths = pc.struct_field(table.column("image"), "path")
    place = table.column_names.index("image")
    return pl.DataFrame(pl.from_arrow(table.set_column(place, "path", paths)))


def _required(batch: Any, names: tuple[str, ...]) -> dict[str, Any]:
    missing = [name for name in names if name not in batch.schema.names]
    if missing:
        told = f"Needed: {', '.join(names)}."
        raise TrainingError("shards", "the batch lacks columns", got=missing, allowed=told)
    columns = {name: _flat(batch.column(name)) for name in batch.schema.names}
    for name in ("key", "label", "label_orig", "split"):
        if name in columns:
            columns[name] = columns[name].cast(pa.string())
    if columns["key"].null_count or columns["split"].null_count:
        raise TrainingError("shards", "a row has no key or no split")
    for split in sorted(columns["split"].unique().to_pylist()):
        if not _SPLIT.fullmatch(split):
            raise TrainingError("shards", "this is no name for a split", got=split)
    return columns


def _flat(array: Any) -> Any:
    """One array of a type that every Parquet reader knows: no dictionary, view or large type."""
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _flat(array.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return array.cast(pa.binary())
    return array


def _payload(image: Any) -> tuple[Any, Any]:
    if not pa.types.is_struct(image.type):
        return _flat(image).cast(pa.binary()), pa.nulls(len(image), pa.string())
    named = dict(zip([field.name for field in image.type], image.flatten(), strict=True))
    if "bytes" not in named:
        raise TrainingError("shards", "column 'image' has no field 'bytes'", got=str(image.type))
    paths = named.get("path", pa.nulls(len(image), pa.string()))
    return _flat(named["bytes"]).cast(pa.binary()), _flat(paths).cast(pa.string())


def _defaults(columns: dict[str, Any], rows: int) -> dict[str, Any]:
    weight = columns.get("weight", pa.array(np.ones(rows, np.float32)))
    return {
        "label_orig": columns.get("label_orig", columns["label"]),
        "weight": pc.fill_null(weight.cast(pa.float32()), 1.0),
    }


def _read_facts(views: list[memoryview]) -> dict[str, Any]:
    rows = [_header(view) for view in views]
    types = (pa.int32(), pa.int32(), pa.int32(), pa.string())
    values = zip(*rows, strict=True) if rows else ((), (), (), ())
    return {n: pa.array(list(v), t) for n, v, t in zip(FACTS, values, types, strict=True)}


def _header(view: memoryview) -> tuple[int | None, int | None, int | None, str | None]:
    try:
        with Image.open(BytesIO(view)) as image:
            return image.width, image.height, len(image.getbands()), image.format
    except Exception:  # noqa: BLE001 - a hostile header has no facts; the loader will say more
        return None, None, None, None


def _text_sizes(table: Any, rows: int) -> Any:
    """Bytes a row holds: 8 a number, its length a text. Integers, so that batches do not matter."""
    sizes = np.full(rows, 64, np.int64)
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            lengths = pc.fill_null(pc.binary_length(column), 0)
            sizes += lengths.to_numpy(zero_copy_only=False).astype(np.int64)
        else:
            sizes += 8
    return sizes
