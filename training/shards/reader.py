"""Reading shards: whole columns with page checksums, or one image by its row, both proven."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from training.errors import DamageError
from training.shards.cache import SparseFile
from training.shards.damage import UNREADABLE, holds_footer, inspect_shard
from training.shards.digest import footer_digest
from training.shards.index import describe_rows, read_index, seeds
from training.shards.manifest import Shard
from training.shards.place import Store, locate, map_file
from training.shards.store import file_digest

_STATM = Path("/proc/self/statm")
_PAGE = mmap.PAGESIZE


def open_shard(out: Store, shard: Shard) -> Any:
    """Return the shard as a pyarrow ParquetFile that checks every page it reads.

    Raises:
        StoreError: if a remote store cannot be reached.
        DamageError: if it is missing, or its footer is not what was written.
    """
    return _attempt(out, shard, lambda: _open(out, shard))


def _open(out: Store, shard: Shard) -> Any:
    if isinstance(out, Path):
        source: Any = out / shard.path
        intact = holds_footer(source, shard)
    else:
        sparse = out.open(shard)
        source, intact = sparse.reader(), footer_digest(sparse.tail()) == shard.footer
    if not intact:
        raise ValueError("the footer is not what was written")
    return pq.ParquetFile(source, memory_map=True, page_checksum_verification=True)


def _attempt(out: Store, shard: Shard, read: Callable[[], Any]) -> Any:
    """What `read` returns; of a damaged remote shard once more, fetched anew."""
    try:
        return read()
    except UNREADABLE as broken:
        if isinstance(out, Path):
            raise name_damage(out, shard) from broken
    out.open(shard).forget(np.array([0]), np.array([shard.bytes]))
    try:
        return read()
    except UNREADABLE as broken:
        raise name_damage(out, shard) from broken


def read_columns(out: Store, shard: Shard, names: Sequence[str] | None = None) -> Any:
    """Return columns of a shard as a pyarrow Table (all of them if `names` is None).

    Raises:
        DamageError: naming the shard, and the row as far as it can be told.
    """
    wanted = None if names is None else list(names)
    return _attempt(out, shard, lambda: _open(out, shard).read(columns=wanted))


def damaged(shard: Shard, row: int) -> DamageError:
    """Return the error for a row whose content is not what was written."""
    return DamageError(shard.path, row, "its content is not what was written")


def name_damage(out: Store, shard: Shard) -> DamageError:
    """Return the error for a shard that could not be read: its first damaged place."""
    found = inspect_shard(out, shard)
    if not found:
        return DamageError(shard.path, None, "cannot be read although its bytes are intact")
    return found[0].error()


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one shard, still encoded.

    images: their bytes, views of the mapped file. labels: int32 (N,), positions in the sorted
    labels of the shard's label_counts, -1 without one. weights: float32 (N,). ids: uint64 (N,).
    """

    images: list[memoryview]
    labels: NDArray[np.int32]
    weights: NDArray[np.float32]
    ids: NDArray[np.uint64]


class ShardReader:
    """Rows of one image shard, in any order, without reading the rest.

    Through the index the file is mapped and sliced; without one, or with a damaged one, row groups
    are read and the last few kept. check: prove each row that is handed out.
    """

    def __init__(self, out: Store, shard: Shard, *, check: bool = True) -> None:
        self._out, self._shard, self._check = out, shard, check
        self._sparse: SparseFile | None = None
        self._entries = read_index(out, shard)
        if self._entries is None:
            self._open_pages()
        else:
            self._bytes = self._map()

    @property
    def indexed(self) -> bool:
        """Whether images are slices of the mapped file."""
        return self._entries is not None

    def release(self) -> None:
        """Give back the memory of the mapped files; images stay valid, read again if need be."""
        if self._entries is not None:
            views: tuple[Any, Any] = self._bytes, self._entries.base
            for view in views:
                view.obj.madvise(mmap.MADV_DONTNEED)

    def read(self, rows: NDArray[np.int64], *, again: bool = False) -> Rows:
        """Return what the shard holds of `rows`, int64 (N,), in their order.

        again: do not fetch damaged rows of a remote store anew.

        Raises:
            DamageError: if one of them is not what was written; it names the row.
        """
        if self._entries is None:
            return self._read_pages(rows)
        entries = self._entries[rows]
        self.fetch(rows)
        places = zip(entries["offset"].tolist(), entries["length"].tolist(), strict=True)
        images = [self._bytes[offset : offset + length] for offset, length in places]
        if self._check and (broken := _unlike(images, entries)) is not None:
            if self._sparse is not None and not again:
                self._fetch_anew(entries)
                return self.read(rows, again=True)
            if self._index_intact():
                raise damaged(self._shard, int(rows[broken]))
            self._open_pages()
            return self._read_pages(rows)
        return Rows(images, entries["label"], entries["weight"], entries["id"])

    def fetch(self, rows: NDArray[np.int64]) -> None:
        """Have the bytes of rows here, if the store is remote and the index tells where they lie.

        Raises:
            StoreError: if they cannot be fetched.
        """
        if self._sparse is not None and self._entries is not None:
            entries = self._entries[rows]
            self._sparse.ensure(entries["offset"], entries["offset"] + entries["length"])

    def _index_intact(self) -> bool:
        index = self._shard.index
        return index is not None and file_digest(locate(self._out, index)) == index.sha256

    def _fetch_anew(self, entries: NDArray[Any]) -> None:
        """Have fetched rows, and the index unless it is intact, come from the store again."""
        assert self._sparse is not None
        self._sparse.forget(entries["offset"], entries["offset"] + entries["length"])
        self._entries = read_index(self._out, self._shard)
        if self._entries is None:
            self._open_pages()

    def _map(self) -> memoryview:
        if not isinstance(self._out, Path):
            self._sparse = self._out.open(self._shard)
            return self._sparse.view
        try:
            return map_file(self._out / self._shard.path)
        except (OSError, ValueError) as broken:
            raise name_damage(self._out, self._shard) from broken

    def _open_pages(self) -> None:
        """Read row groups from here on: there is no index, or not the one that was written."""
        self._entries = None
        self._file = open_shard(self._out, self._shard)
        metadata = self._file.metadata
        counts = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
        self._ends = np.cumsum(counts)
        self._group = lru_cache(maxsize=4)(self._read_group)
        wanted = ["key", "label", "weight", "xxh3_128"]
        facts = pl.DataFrame(pl.from_arrow(read_columns(self._out, self._shard, wanted)))
        self._facts, self._digests = describe_rows(facts), facts["xxh3_128"]

    def _read_pages(self, rows: NDArray[np.int64]) -> Rows:
        groups = np.searchsorted(self._ends, rows, side="right")
        images: list[memoryview] = []
        for row, group in zip(rows.tolist(), groups.tolist(), strict=True):
            value = self._group(group)[row - (int(self._ends[group - 1]) if group else 0)]
            data = memoryview(value.as_buffer())
            if self._check and xxhash.xxh3_128_hexdigest(data) != self._digests[row]:
                raise damaged(self._shard, row)
            images.append(data)
        facts = self._facts[rows]
        return Rows(images, facts["label"], facts["weight"], facts["id"])

    def _read_group(self, group: int) -> Any:
        try:
            table = self._file.read_row_group(group, columns=["image"])
        except UNREADABLE as broken:
            raise name_damage(self._out, self._shard) from broken
        return table.column("image").combine_chunks().field("bytes")


def _unlike(images: list[memoryview], entries: NDArray[Any]) -> int | None:
    """The first position whose image, label, weight or id is not what the index was made of."""
    found = list(map(xxhash.xxh3_64_intdigest, images, seeds(entries).tolist()))
    good = entries["check"].tolist()
    if found == good:
        return None
    return next(n for n, pair in enumerate(zip(found, good, strict=True)) if pair[0] != pair[1])


def mapped_bytes() -> int:
    """Return the bytes of mapped files that this process has in memory; 0 where no one tells.

    What was read is no measure of it: for one image Linux maps 64 KiB, or a huge page of 2 MiB.
    """
    try:
        return int(_STATM.read_bytes().split()[2]) * _PAGE
    except (OSError, IndexError):
        return 0
