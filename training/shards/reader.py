"""Reading one image shard by row number: each row a slice of the mapped file, and proven."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from training.shards.cache import SparseFile
from training.shards.columns import damaged, name_damage
from training.shards.index import read_index, seeds
from training.shards.manifest import Shard
from training.shards.pages import PageReader, Rows
from training.shards.place import Store, locate, map_file
from training.shards.store import file_digest

_STATM = Path("/proc/self/statm")
_PAGE = mmap.PAGESIZE


class ShardReader:
    """Rows of one image shard, in any order, without reading the rest.

    Through the index the file is mapped and sliced; without one, or with a damaged one, row groups
    are read (see `PageReader`). check: prove each row that is handed out.
    """

    def __init__(self, out: Store, shard: Shard, *, check: bool = True) -> None:
        self._out, self._shard, self._check = out, shard, check
        self._sparse: SparseFile | None = None
        self._pages: PageReader | None = None
        self._entries = read_index(out, shard)
        if self._entries is not None:
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
        self.fetch(rows)
        entries = self._entries[rows]
        places = zip(entries["offset"].tolist(), entries["length"].tolist(), strict=True)
        images = [self._bytes[offset : offset + length] for offset, length in places]
        if self._check and (broken := _unlike(images, entries)) is not None:
            if self._sparse is not None and not again:
                self._fetch_anew(entries)
                return self.read(rows, again=True)
            if self._index_intact():
                raise damaged(self._shard, int(rows[broken]))
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

    def _read_pages(self, rows: NDArray[np.int64]) -> Rows:
        """Read row groups from here on: there is no index, or not the one that was written."""
        self._entries = None
        if self._pages is None:
            self._pages = PageReader(self._out, self._shard, check=self._check)
        return self._pages.read(rows)

    def _map(self) -> memoryview:
        if not isinstance(self._out, Path):
            self._sparse = self._out.open(self._shard)
            return self._sparse.view
        try:
            return map_file(self._out / self._shard.path)
        except (OSError, ValueError) as broken:
            raise name_damage(self._out, self._shard) from broken


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
