"""Rows of a shard by its row groups: the way without an index, and of packed images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from training.shards.columns import damaged, name_damage, open_shard, read_columns
from training.shards.damage import UNREADABLE
from training.shards.index import describe_rows
from training.shards.manifest import Shard
from training.shards.place import Store

GROUPS = 12  # row groups that wait in memory, of all shards; some 16 MiB each


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one shard, still encoded.

    images: their bytes, views of a mapped file or of a row group. labels: (N,) integers, positions
    in the sorted labels of the shard's label_counts, -1 without one. weights: float32 (N,). ids:
    uint64 (N,).
    """

    images: list[memoryview]
    labels: NDArray[np.int32] | NDArray[np.int64]
    weights: NDArray[np.float32]
    ids: NDArray[np.uint64]


class PageReader:
    """Rows of one shard, in any order; a row group is read whole. check: prove each image.

    The rest of a row is proven by page checksums.
    """

    def __init__(self, out: Store, shard: Shard, *, check: bool = True) -> None:
        self._out, self._shard, self._check = out, shard, check
        self._file = open_shard(out, shard)
        metadata = self._file.metadata
        counts = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
        self._ends = np.cumsum(counts)
        wanted = ["key", "label", "weight", "xxh3_128"]
        facts = pl.DataFrame(pl.from_arrow(read_columns(out, shard, wanted)))
        self._facts, self._digests = describe_rows(facts), facts["xxh3_128"]

    def read(self, rows: NDArray[np.int64]) -> Rows:
        """Return what the shard holds of `rows`, int64 (N,), in their order.

        Raises:
            DamageError: if one of them is not what was written; it names the row.
        """
        groups = np.searchsorted(self._ends, rows, side="right")
        images: list[memoryview] = []
        for row, group in zip(rows.tolist(), groups.tolist(), strict=True):
            value = _load(self, group)[row - (int(self._ends[group - 1]) if group else 0)]
            data = memoryview(value.as_buffer())
            if self._check and xxhash.xxh3_128_hexdigest(data) != self._digests[row]:
                raise damaged(self._shard, row)
            images.append(data)
        facts = self._facts[rows]
        return Rows(images, facts["label"], facts["weight"], facts["id"])

    def load(self, group: int) -> Any:
        """Return the images of one row group, a pyarrow binary array.

        Raises:
            DamageError: if they cannot be read.
        """
        try:
            table = self._file.read_row_group(group, columns=["image"])
        except UNREADABLE as broken:
            raise name_damage(self._out, self._shard) from broken
        return table.column("image").combine_chunks().field("bytes")


_load = lru_cache(maxsize=GROUPS)(PageReader.load)
