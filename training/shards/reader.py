"""Reading shards: whole columns with page checksums, or one image by its row, both proven."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import xxhash

from training.errors import DamageError
from training.shards.damage import UNREADABLE, holds_footer, inspect_shard
from training.shards.index import read_index
from training.shards.manifest import Shard


def open_shard(out: Path, shard: Shard) -> Any:
    """Return the shard as a pyarrow ParquetFile that checks every page it reads.

    Raises:
        DamageError: if it is missing, or its footer is not what was written.
    """
    path = out / shard.path
    try:
        if holds_footer(path, shard):
            return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    except UNREADABLE as broken:
        raise name_damage(out, shard) from broken
    raise name_damage(out, shard)


def read_columns(out: Path, shard: Shard, names: Sequence[str] | None = None) -> Any:
    """Return columns of a shard as a pyarrow Table (all of them if `names` is None).

    Raises:
        DamageError: naming the shard, and the row as far as it can be told.
    """
    file = open_shard(out, shard)
    try:
        return file.read(columns=None if names is None else list(names))
    except UNREADABLE as broken:
        raise name_damage(out, shard) from broken


def name_damage(out: Path, shard: Shard) -> DamageError:
    """Return the error for a shard that could not be read: its first damaged place."""
    found = inspect_shard(out, shard)
    if not found:
        return DamageError(shard.path, None, "cannot be read although its bytes are intact")
    return found[0].error()


class ShardReader:
    """One image of one shard at a time, in any order, without reading the rest.

    Through the byte index the file is mapped and sliced; without one, or with one that was made
    for other bytes, row groups are read and the last few kept. check: prove each image's xxh3_128.
    """

    def __init__(self, out: Path, shard: Shard, *, check: bool = True) -> None:
        self._out, self._shard, self._check = out, shard, check
        ranges = read_index(out, shard.index, shard.sha256)
        if ranges is not None and len(ranges[0]) == shard.rows:
            self._offsets, self._lengths = ranges
            self._bytes = self._map()
        else:
            self._bytes = None
            self._file = open_shard(out, shard)
            metadata = self._file.metadata
            counts = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
            self._ends = np.cumsum(counts)
            self._group = lru_cache(maxsize=4)(self._read_group)
        self._digests = read_columns(out, shard, ["xxh3_128"]).column(0) if check else None

    @property
    def indexed(self) -> bool:
        """Whether images are slices of the mapped file."""
        return self._bytes is not None

    def image(self, row: int) -> memoryview:
        """Return the encoded bytes of the image at `row`.

        Raises:
            DamageError: if they are not what was written.
        """
        data = self._slice(row) if self._bytes is not None else self._look_up(row)
        if self._digests is not None:
            found = xxhash.xxh3_128_hexdigest(data)
            if found != self._digests[row].as_py():
                problem = "its content is not what was written"
                raise DamageError(self._shard.path, row, problem)
        return data

    def _map(self) -> memoryview | None:
        try:
            with (self._out / self._shard.path).open("rb") as file:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as broken:
            raise name_damage(self._out, self._shard) from broken

    def _slice(self, row: int) -> memoryview:
        assert self._bytes is not None
        start = int(self._offsets[row])
        return self._bytes[start : start + int(self._lengths[row])]

    def _look_up(self, row: int) -> memoryview:
        group = int(np.searchsorted(self._ends, row, side="right"))
        first = int(self._ends[group - 1]) if group else 0
        return memoryview(self._group(group)[row - first].as_buffer())

    def _read_group(self, group: int) -> Any:
        try:
            table = self._file.read_row_group(group, columns=["image"])
        except UNREADABLE as broken:
            raise name_damage(self._out, self._shard) from broken
        return table.column("image").combine_chunks().field("bytes")
