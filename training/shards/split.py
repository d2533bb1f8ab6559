"""One split of an image manifest by row number, still encoded: from any shard, in any order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.errors import TrainingError
from training.shards.columns import read_columns
from training.shards.manifest import Manifest, Shard
from training.shards.order import Blocks
from training.shards.pages import GROUPS, Rows
from training.shards.place import Store, open_store
from training.shards.reader import ShardReader, mapped_bytes

_RESIDENT = 512 * 2**20  # bytes of mapped files; past that they are given back, to be read again
_UNMEASURED = 256  # rows between two looks at that: each may map a huge page
_OPEN = 1024  # shards open at a time
_OPEN_REMOTE = 64  # the same of a remote store, whose cache keeps what is open
_BLOCK_BYTES = 4 * 2**20  # of a remote store that are read in the same stretch of time
_WINDOW = 16  # such blocks
_FETCHERS = 8  # shards on the way at a time


def stored_shards(manifest: Manifest, split: str) -> tuple[Shard, ...]:
    """Return the shards of a split.

    Raises:
        StoreError: if there is no such split.
        TrainingError: if no sample of it was kept.
    """
    shards = manifest.split(split).shards
    if not shards:
        raise TrainingError("loader", f"split {split!r} of {manifest.name!r} holds no samples")
    return shards


class SplitReader:
    """The rows of a split, in shard order, without reading the rest; files open when first read.

    out: the store, a folder or a URL (see `open_store`); from a URL only what is asked for is
    fetched, once. check: prove each row that is handed out. `blocks`: the order that suits the
    store, near rows together where it is remote or its images are packed; None: any.

    Raises:
        StoreError: if there is no such split, or a remote store cannot be reached.
        TrainingError: if no sample of it was kept.
    """

    def __init__(
        self, out: str | Store, manifest: Manifest, split: str, *, check: bool = True
    ) -> None:
        self._out, self._check = open_store(out), check
        self._shards = stored_shards(manifest, split)
        self._ends = np.cumsum([shard.rows for shard in self._shards], dtype=np.int64)
        self._numbers = {label: number for number, label in enumerate(manifest.classes)}
        self._open = _OPEN
        held, rows = sum(shard.bytes for shard in self._shards), len(self)
        self.blocks: Blocks | None = None
        if not isinstance(self._out, Path):
            fit = self._out.limit // 2 * len(self._shards) // held
            self._open = min(_OPEN_REMOTE, max(1, fit))
            self.blocks = Blocks(max(1, _BLOCK_BYTES * rows // held), _WINDOW)
        elif any(shard.index is None for shard in self._shards):
            groups = sum(shard.row_groups for shard in self._shards)
            self.blocks = Blocks(
                -(-rows // groups), GROUPS // 2 - 1
            )  # a block may touch two groups
        self._readers: dict[int, tuple[ShardReader, NDArray[np.int64]]] = {}
        self._unmeasured = 0

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_readers": {}}

    @property
    def indexed(self) -> bool:
        """Whether all that was opened so far is mapped and sliced."""
        return all(reader.indexed for reader, _ in self._readers.values())

    def locate(self, row: int) -> tuple[Shard, int]:
        """Return the shard of a row and its place there."""
        shard = self._shards[int(np.searchsorted(self._ends, row, side="right"))]
        return shard, row - shard.row_start

    def read_facts(self) -> pl.DataFrame:
        """Return key, label and weight of every row, in row order: all of them are read."""
        wanted = ["key", "label", "weight"]
        frames = [pl.from_arrow(read_columns(self._out, shard, wanted)) for shard in self._shards]
        return pl.concat(pl.DataFrame(frame) for frame in frames)

    def read(self, rows: NDArray[np.int64]) -> Rows:
        """Return `rows`, int64 (N,), in their order; labels are numbers of the manifest's classes.

        Raises:
            DamageError: naming shard and row, if one is not what was written.
            StoreError: if it cannot be fetched from a remote store.
        """
        labels = np.empty(len(rows), np.int64)
        weights = np.empty(len(rows), np.float32)
        ids = np.empty(len(rows), np.uint64)
        images: list[Any] = [None] * len(rows)
        shards = np.searchsorted(self._ends, rows, side="right")
        if not isinstance(self._out, Path):
            self._fetch(shards, rows)
        for number in np.unique(shards).tolist():
            places = np.flatnonzero(shards == number)
            reader, classes = self._reader(number)
            found = reader.read(rows[places] - self._shards[number].row_start)
            labels[places], weights[places] = classes[found.labels], found.weights
            ids[places] = found.ids
            for place, image in zip(places.tolist(), found.images, strict=True):
                images[place] = image
            self._bound_memory(len(places))
        return Rows(images, labels, weights, ids)

    def _bound_memory(self, rows: int) -> None:
        """Give mapped shards back once too much is resident. rows: read since last asked."""
        self._unmeasured += rows
        if self._unmeasured < _UNMEASURED:
            return
        self._unmeasured = 0
        if mapped_bytes() > _RESIDENT:
            for reader, _ in self._readers.values():
                reader.release()

    def _fetch(self, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Have what rows need of a remote store here, several shards on the way at a time."""

        def fetch(number: int) -> None:
            start = self._shards[number].row_start
            self._reader(number)[0].fetch(rows[shards == number] - start)

        with ThreadPoolExecutor(min(_FETCHERS, self._open)) as pool:
            for _ in pool.map(fetch, np.unique(shards).tolist()):
                pass

    def _reader(self, number: int) -> tuple[ShardReader, NDArray[np.int64]]:
        """The reader of a shard, and the class number of each of its label codes (-1: none)."""
        if number not in self._readers:
            if len(self._readers) >= self._open:
                self._readers.pop(list(self._readers)[0], None)  # noqa: RUF015 - threads add some
            shard = self._shards[number]
            labels = [self._numbers[label] for label in sorted(shard.label_counts)]
            reader = ShardReader(self._out, shard, check=self._check)
            self._readers[number] = reader, np.array([*labels, -1], np.int64)
        return self._readers[number]
