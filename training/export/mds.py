"""MDS, the format of MosaicML Streaming: a folder for each split, index.json and shard.00000.mds.

A shard is the number of samples, where each begins (uint32, one more than samples), its columns
as JSON, then the samples: sizes of the columns of no fixed size (uint32), then all columns' bytes.
Columns are sorted by name. `label_number` (int64, -1 without a label) stands beside the label.

MDS knows no null. A column that may hold one is JSON, where null is null; so are Booleans, and
base64 text for bytes. Images are `bytes`, as they were stored.

Source of the form: streaming 0.13, format/mds/writer.py and encodings.py.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from training.errors import TrainingError
from training.export.folder import Tell, opened
from training.export.rows import read_split, row_schema
from training.shards.columns import open_shard
from training.shards.manifest import Manifest
from training.shards.store import StoredFile

SHARD_BYTES = 64 * 1024 * 1024
_MOST = 2**32 - 1  # places in a shard are uint32
_HASH = "sha1"  # the one of streaming's own examples; its reader checks it when asked to
_NUMBERS: dict[Any, str] = {
    pl.Int8: "int8", pl.Int16: "int16", pl.Int32: "int32", pl.Int64: "int64",
    pl.UInt8: "uint8", pl.UInt16: "uint16", pl.UInt32: "uint32", pl.UInt64: "uint64",
    pl.Float16: "float16", pl.Float32: "float32", pl.Float64: "float64",
}  # fmt: skip
_ENCODINGS: dict[Any, str] = {**_NUMBERS, pl.String: "str", pl.Binary: "bytes"}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    encoding: str

    @property
    def size(self) -> int | None:
        """Bytes of each value; None if they differ."""
        return np.dtype(self.encoding).itemsize if self.encoding in _NUMBERS.values() else None

    def encode(self, values: pl.Series) -> list[bytes]:
        """Return the bytes of each value."""
        if self.size is not None:
            whole = values.to_numpy().astype(f"<{np.dtype(self.encoding).str[1:]}").tobytes()
            return [whole[at : at + self.size] for at in range(0, len(whole), self.size)]
        if self.encoding == "str":
            return [text.encode() for text in values]
        if self.encoding == "bytes":
            return list(values)
        return [json.dumps(one, ensure_ascii=False, default=_text).encode() for one in values]


def write_mds(
    out: Path, manifest: Manifest, split: str, folder: Path, *, shard_bytes: int, tell: Tell
) -> list[StoredFile]:
    """Write a split as `<split>/shard.00000.mds` and so on with their index; return their entries.

    shard_bytes: a shard is closed before the sample that would take it past this. Memory: one.

    Raises:
        DamageError: if a row is not what was written.
        TrainingError: if a shard, or one sample, would be 4 GiB or larger.
    """
    shards = _Shards(folder, split, shard_bytes, _columns(out, manifest))
    for frame in read_split(out, manifest, split):
        shards.add(frame.with_columns(pl.last().fill_null(-1)))
        tell(frame.height)
    return shards.finish()


def _columns(out: Path, manifest: Manifest) -> list[_Column]:
    """The columns, the same for every split: one may hold nulls if any shard's may."""
    nullable = {name for shard in manifest.shards for name in _nullable(open_shard(out, shard))}
    schema = row_schema(manifest)
    return [_Column(name, _encoding(dtype, null=name in nullable))
            for name, dtype in sorted(schema.items())]  # fmt: skip


def _nullable(file: Any) -> set[str]:
    """Columns that hold nulls, or of which the file does not say that they hold none."""
    names = [file.schema.column(n).path for n in range(file.metadata.num_columns)]
    found = set()
    for group in range(file.num_row_groups):
        for number, name in enumerate(names):
            told = file.metadata.row_group(group).column(number).statistics
            if told is None or not told.has_null_count or told.null_count:
                found.add(name)
    return {name.removeprefix("image.") for name in found if name != "image.bytes"}


def _encoding(dtype: pl.DataType, *, null: bool) -> str:
    return "json" if null else _ENCODINGS.get(dtype.base_type(), "json")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


class _Shards:
    """The shards of one split, one after another, and their index."""

    def __init__(self, folder: Path, split: str, limit: int, columns: list[_Column]) -> None:
        if limit > _MOST:
            told = f"At most {_MOST:,} bytes."
            raise TrainingError("export to mds", "shards are too large", got=limit, allowed=told)
        self._folder, self._split, self._limit, self._columns = folder, split, limit, columns
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._config = {
            "version": 2, "format": "mds", "compression": None, "hashes": [_HASH],
            "size_limit": limit, "column_names": [column.name for column in columns],
            "column_encodings": [column.encoding for column in columns],
            "column_sizes": [column.size for column in columns],
        }  # fmt: skip
        self._head = json.dumps(self._config, sort_keys=True).encode()
        self._index: list[dict[str, Any]] = []
        self._entries: list[StoredFile] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows, and write the shards that they fill."""
        values = [column.encode(frame[column.name]) for column in self._columns]
        open_sizes = [at for at, column in enumerate(self._columns) if column.size is None]
        pack = struct.Struct(f"<{len(open_sizes)}I").pack
        for row in zip(*values, strict=True):
            sample = pack(*(len(row[at]) for at in open_sizes)) + b"".join(row)
            if self._waiting and self._size(len(sample)) > self._limit:
                self._write()
            if self._size(len(sample)) > _MOST:
                raise TrainingError("export to mds", "a sample is too large", got=len(sample))
            self._waiting.append(sample)
            self._bytes += len(sample)

    def _size(self, more: int) -> int:
        """Bytes of the open shard with one more sample."""
        return 4 * (len(self._waiting) + 3) + len(self._head) + self._bytes + more

    def finish(self) -> list[StoredFile]:
        """Write what waits and the index; return the entries of all files."""
        if self._waiting:
            self._write()
        path = f"{self._split}/index.json"
        document = {"version": 2, "shards": self._index}
        with opened(self._folder / path) as file:
            file.write(json.dumps(document, sort_keys=True).encode())
        return [*self._entries, file.entry(path, 0)]

    def _write(self) -> None:
        name = f"shard.{len(self._index):05d}.mds"
        path = f"{self._split}/{name}"
        with opened(self._folder / path, also=[_HASH]) as file:
            for part in (*_frame(self._head, self._waiting), *self._waiting):
                file.write(part)
        data = {"basename": name, "bytes": file.bytes, "hashes": {_HASH: file.digests()[_HASH]}}
        told = {"samples": len(self._waiting), "raw_data": data, "zip_data": None}
        self._index.append({**self._config, **told})
        self._entries.append(file.entry(path, len(self._waiting)))
        self._waiting, self._bytes = [], 0


def _frame(head: bytes, samples: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
    """What stands before the samples: their number, where each begins and ends, the columns."""
    places = np.cumsum([4 * (len(samples) + 2) + len(head), *map(len, samples)])
    return np.uint32(len(samples)).tobytes(), places.astype("<u4").tobytes(), head
