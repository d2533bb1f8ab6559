"""The Parquet form of a shard, readable by polars, DuckDB and Hugging Face `datasets` as it is.

Images follow the Hugging Face Image convention: struct of bytes and path, features in the schema
metadata under `huggingface`. In layout `train` image bytes lie uncompressed and PLAIN, so that a
byte range is an image; `archive` packs them too (a third less for thumbnails). All other columns
are zstd. Every page has a checksum.

A shard does not know its classes, its data set's name or its number: only the manifest does. So a
cleaned set that gains a class, or a second data set with the same rows, shares the shards it can.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.shards.manifest import Schema
from training.shards.rows import holds_images

ROW_GROUP_BYTES = 16 * 1024 * 1024
TABLE_GROUP_ROWS = 65_536
_VALUE_TYPES = {
    "double": "float64", "float": "float32", "halffloat": "float16",
    "date32[day]": "date32", "date64[ms]": "date64",
}  # fmt: skip
_PLAIN = ("image.bytes", "image.path")


def describe_schema(schema: Any) -> tuple[Any, Schema]:
    """Return the Arrow schema with Hugging Face metadata, and its entry for the manifest."""
    features = {field.name: _feature(field) for field in schema}
    told = json.dumps({"info": {"features": features}}, sort_keys=True)
    dressed = schema.with_metadata({"huggingface": told})
    wire = dressed.serialize().to_pybytes()
    entry = Schema(base64.b64encode(wire).decode(), hashlib.sha256(wire).hexdigest(), features)
    return dressed, entry


def _feature(field: Any) -> dict[str, str]:
    if pa.types.is_struct(field.type):
        return {"_type": "Image"}
    told = str(field.type)
    return {"dtype": _VALUE_TYPES.get(told, told), "_type": "Value"}


def encode_shard(table: Any, schema: Any, layout: str, path: Path) -> int:
    """Write `table` to `path` as Parquet; return its row groups. Same rows give the same bytes.

    schema: from `describe_schema`. layout: 'train' or 'archive'.

    Raises:
        OSError: if the file system refuses.
    """
    leaves = _leaves(schema)
    plain = set(_PLAIN) if layout == "train" else set()
    rows = group_rows(table)
    pq.write_table(
        table.cast(schema),
        path,
        row_group_size=rows,
        compression={leaf: "none" if leaf in plain else "zstd" for leaf in leaves},
        use_dictionary=[leaf for leaf in leaves if leaf not in _PLAIN],
        write_statistics=[leaf for leaf in leaves if leaf not in _PLAIN],
        write_page_checksum=True,
        data_page_version="1.0",
    )
    return -(-int(table.num_rows) // rows)


def encode_frame(table: Any) -> bytes:
    """Return the Parquet bytes of a table beside the shards (ledger, index)."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def group_rows(table: Any) -> int:
    """Return rows for each row group: about 16 MiB of images, or 65,536 table rows."""
    if not holds_images(table.schema) or not table.num_rows:
        return TABLE_GROUP_ROWS
    payload = sum(chunk.field("bytes").nbytes for chunk in table.column("image").chunks)
    return max(1, ROW_GROUP_BYTES * int(table.num_rows) // max(int(payload), 1))


def _leaves(schema: Any) -> list[str]:
    return [
        f"{field.name}.{child.name}" if pa.types.is_struct(field.type) else field.name
        for field in schema
        for child in (field.type if pa.types.is_struct(field.type) else [field])
    ]
