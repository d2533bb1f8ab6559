"""One split of an image manifest by row number: opened at once whatever its size, read as asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from training.errors import TrainingError
from training.resident import stored_shards, undecodable
from training.shards.manifest import Manifest
from training.shards.order import Blocks
from training.shards.pixels import decode_into
from training.shards.place import Store, open_store
from training.shards.reader import ShardReader, mapped_bytes, read_columns

_RESIDENT = 512 * 2**20  # bytes of mapped files; past that they are given back, to be read again
_UNMEASURED = 256  # rows between two looks at that: each may map a huge page
_OPEN = 1024  # shards open at a time
_OPEN_REMOTE = 64  # the same of a remote store, whose cache keeps what is open
_BLOCK_BYTES = 4 * 2**20  # of a remote store that are read in the same stretch of time
_WINDOW = 16  # such blocks
_FETCHERS = 8  # shards on the way at a time
_STRETCHES = 4  # for each thread, so that one with large images does not end last


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a split, decoded.

    rows: int64 (B,), positions in the split. ids: int64 (B,), of each sample's key, the same in any
    manifest (for `augment`). images: uint8 (B, C, H, W), channels last in memory. labels: int64
    (B,), -1 without one. weights: float32 (B,), 0 where a row only fills a batch. epoch: of the
    order that it was drawn from.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    images: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    epoch: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Batch:
        """Return the batch with its tensors on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, from where a GPU copies on its own."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, change: Any) -> Batch:
        return replace(
            self,
            images=change(self.images),
            labels=change(self.labels),
            weights=change(self.weights),
        )


class ShardDataset(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """One split of an image manifest by row number; also a map-style dataset for a DataLoader.

    An item is (uint8 image (C, H, W), label number). Rows are in shard order. Nothing is read
    before it is asked for; files are opened where they are first read, so that worker processes
    get their own.

    out: the store, a folder or a URL (see `open_store`). From a URL only what is asked for is
    fetched, once, and `blocks` makes a loader ask for near rows.
    image_size: pixels a side (see `decode_image`). threads: decoders, all cores if None. check:
    prove each row that is read.

    Raises:
        StoreError: if there is no such split, or a remote store cannot be reached.
        TrainingError: if the manifest holds a table (use `load_resident`).
    """

    def __init__(
        self,
        out: str | Store,
        manifest: Manifest,
        split: str,
        *,
        image_size: int = 32,
        channels: int = 3,
        threads: int | None = None,
        check: bool = True,
    ) -> None:
        if manifest.kind != "image":
            advice = "Load it with load_resident."
            raise TrainingError("loader", "this manifest holds a table", advice=advice)
        self.digest, self.classes = manifest.digest, manifest.classes
        self._out, self._check = open_store(out), check
        self._size, self._channels = image_size, channels
        self._threads = threads or os.cpu_count() or 1
        self._shards = stored_shards(manifest, split)
        self._ends = np.cumsum([shard.rows for shard in self._shards], dtype=np.int64)
        self._numbers = {label: number for number, label in enumerate(manifest.classes)}
        self.blocks: Blocks | None = None
        self._open = _OPEN
        if not isinstance(self._out, Path):
            held = sum(shard.bytes for shard in self._shards)
            fit = self._out.limit // 2 * len(self._shards) // held
            self._open = min(_OPEN_REMOTE, max(1, fit))
            self.blocks = Blocks(max(1, _BLOCK_BYTES * len(self) // held), _WINDOW)
        self._readers: dict[int, tuple[ShardReader, NDArray[np.int64]]] = {}
        self._unmeasured = 0
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_readers": {}, "_pool": None}

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        """Return the image and label number of one row."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[tuple[torch.Tensor, int]]:
        """Return several items, decoded in threads (torch's DataLoader asks this way)."""
        batch = self.fetch(np.asarray(rows, np.int64))
        return list(zip(batch.images.unbind(), batch.labels.tolist(), strict=True))

    def read_facts(self) -> pl.DataFrame:
        """Return key, label and weight of every row, in row order: all of them are read."""
        wanted = ["key", "label", "weight"]
        frames = [pl.from_arrow(read_columns(self._out, shard, wanted)) for shard in self._shards]
        return pl.concat(pl.DataFrame(frame) for frame in frames)

    def fetch(self, rows: NDArray[np.int64], *, filled: int = 0, epoch: int = 0) -> Batch:
        """Return the batch of these rows, decoded in threads into one tensor.

        filled: how many of the last rows only fill the batch; they get weight 0.

        Raises:
            DamageError: naming shard and row, if a row is not what was written.
            TrainingError: if an image cannot be decoded.
        """
        labels, weights, ids, images = self._read(rows)
        if filled:
            weights[-filled:] = 0
        pixels = torch.empty((len(rows), self._size, self._size, self._channels), dtype=torch.uint8)
        self._decode(rows, images, pixels.numpy())
        return Batch(
            rows,
            ids,
            pixels.permute(0, 3, 1, 2),
            torch.from_numpy(labels),
            torch.from_numpy(weights),
            epoch,
        )

    def _read(self, rows: NDArray[np.int64]) -> tuple[Any, Any, Any, list[memoryview]]:
        """Labels, weights, ids and encoded images of rows, shard after shard."""
        labels = np.empty(len(rows), np.int64)
        weights = np.empty(len(rows), np.float32)
        ids = np.empty(len(rows), np.int64)
        images: list[Any] = [None] * len(rows)
        shards = np.searchsorted(self._ends, rows, side="right")
        if not isinstance(self._out, Path):
            self._fetch_shards(shards, rows)
        for number in np.unique(shards).tolist():
            places = np.flatnonzero(shards == number)
            reader, classes = self._reader(number)
            found = reader.read(rows[places] - self._shards[number].row_start)
            labels[places], weights[places] = classes[found.labels], found.weights
            ids[places] = found.ids.view(np.int64)
            for place, image in zip(places.tolist(), found.images, strict=True):
                images[place] = image
            self._bound_memory(len(places))
        return labels, weights, ids, images

    def _bound_memory(self, rows: int) -> None:
        """Give mapped shards back once too much is resident. rows: read since last asked."""
        self._unmeasured += rows
        if self._unmeasured < _UNMEASURED:
            return
        self._unmeasured = 0
        if mapped_bytes() > _RESIDENT:
            for reader, _ in self._readers.values():
                reader.release()

    def _fetch_shards(self, shards: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Have what rows need of a remote store here, several shards on the way at a time."""

        def fetch(number: int) -> None:
            start = self._shards[number].row_start
            self._reader(number)[0].fetch(rows[shards == number] - start)

        with ThreadPoolExecutor(_FETCHERS) as pool:
            for _ in pool.map(fetch, np.unique(shards).tolist()):
                pass

    def _decode(
        self, rows: NDArray[np.int64], images: list[memoryview], pixels: NDArray[np.uint8]
    ) -> None:
        def fill(places: range) -> None:
            for place in places:
                try:
                    decode_into(images[place], pixels[place])
                except ValueError as failed:
                    raise self._undecodable(int(rows[place]), failed) from failed

        step = -(-len(rows) // (self._threads * _STRETCHES)) or 1
        stretches = [range(n, min(n + step, len(rows))) for n in range(0, len(rows), step)]
        if self._threads == 1 or len(stretches) == 1:
            for stretch in stretches:
                fill(stretch)
            return
        for _ in self._threads_here().map(fill, stretches):
            pass

    def _undecodable(self, row: int, failed: ValueError) -> TrainingError:
        shard = self._shards[int(np.searchsorted(self._ends, row, side="right"))]
        return undecodable(shard, row - shard.row_start, failed)

    def _threads_here(self) -> ThreadPoolExecutor:
        """The pool of this process: one inherited through a fork has no threads, and would hang."""
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(self._threads)
        return self._pool[1]

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
