"""One split of an image manifest by row number: opened at once whatever its size, read as asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from training.errors import TrainingError
from training.resident import undecodable
from training.shards.manifest import Manifest
from training.shards.order import Blocks
from training.shards.pixels import decode_into
from training.shards.place import Store
from training.shards.split import SplitReader

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
        self._split = SplitReader(out, manifest, split, check=check)
        self.blocks: Blocks | None = self._split.blocks
        self._size, self._channels = image_size, channels
        self._threads = threads or os.cpu_count() or 1
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def __len__(self) -> int:
        return len(self._split)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_pool": None}

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
        return self._split.read_facts()

    def fetch(self, rows: NDArray[np.int64], *, filled: int = 0, epoch: int = 0) -> Batch:
        """Return the batch of these rows, decoded in threads into one tensor.

        filled: how many of the last rows only fill the batch; they get weight 0.

        Raises:
            DamageError: naming shard and row, if a row is not what was written.
            TrainingError: if an image cannot be decoded.
        """
        found = self._split.read(rows)
        if filled:
            found.weights[-filled:] = 0
        pixels = torch.empty((len(rows), self._size, self._size, self._channels), dtype=torch.uint8)
        self._decode(rows, found.images, pixels.numpy())
        return Batch(
            rows,
            found.ids.view(np.int64),
            pixels.permute(0, 3, 1, 2),
            torch.from_numpy(found.labels),
            torch.from_numpy(found.weights),
            epoch,
        )

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
        return undecodable(*self._split.locate(row), failed)

    def _threads_here(self) -> ThreadPoolExecutor:
        """The pool of this process: one inherited through a fork has no threads, and would hang."""
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(self._threads)
        return self._pool[1]
