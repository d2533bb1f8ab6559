"""Batches of images from shards: exactly once, resumable mid-epoch, elastic over ranks.

The order of an epoch is a keyed permutation; one global cursor says how far all ranks have come.
That cursor, the epoch and the seed are the whole state, whatever the number of ranks or threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from training.errors import TrainingError
from training.resident import stored_shards, undecodable
from training.shards.manifest import Manifest
from training.shards.order import EpochOrder
from training.shards.pixels import decode_image
from training.shards.reader import ShardReader, read_columns


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a split, decoded.

    rows: int64 (B,), positions in the split. images: uint8 (B, C, H, W). labels: int64 (B,), -1
    without one. weights: float32 (B,).
    """

    rows: NDArray[np.int64]
    images: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


class Fetchable(Protocol):
    """What a `ShardLoader` reads from."""

    digest: str

    def __len__(self) -> int: ...

    def fetch(self, rows: NDArray[np.int64]) -> Any:
        """Return the batch of these rows."""


class ShardDataset(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """One split of an image manifest by row number; also a map-style dataset for a DataLoader.

    An item is (uint8 image (C, H, W), label number). Rows are in shard order. Files are opened
    where they are first read, so that worker processes get their own.

    Raises:
        StoreError: if there is no such split.
        TrainingError: if the manifest holds a table (use `load_resident`).
    """

    def __init__(
        self,
        out: Path,
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
        self.digest, self._out, self._check = manifest.digest, out, check
        self._size, self._channels = image_size, channels
        self._threads = threads or os.cpu_count() or 1
        self._shards = stored_shards(manifest, split)
        self._ends = np.cumsum([shard.rows for shard in self._shards], dtype=np.int64)
        names = ["key", "label", "weight"]
        frames = [pl.DataFrame(pl.from_arrow(read_columns(out, s, names))) for s in self._shards]
        facts = pl.concat(frames)
        numbers = {label: number for number, label in enumerate(manifest.classes)}
        labels = facts["label"].replace_strict(numbers, default=-1, return_dtype=pl.Int64)
        self.keys = facts["key"]
        self.labels = torch.tensor(labels.to_numpy())
        self.weights = torch.tensor(facts["weight"].to_numpy())
        self._readers: dict[int, ShardReader] = {}
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_readers": {}, "_pool": None}

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        """Return the image and label number of one row."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        return torch.from_numpy(self._decode(row)), int(self.labels[row])

    def __getitems__(self, rows: Sequence[int]) -> list[tuple[torch.Tensor, int]]:
        """Return several items, decoded in threads (torch's DataLoader asks this way)."""
        batch = self.fetch(np.asarray(rows, np.int64))
        return list(zip(batch.images.unbind(), batch.labels.tolist(), strict=True))

    def fetch(self, rows: NDArray[np.int64]) -> Batch:
        """Return the batch of these rows, decoded in threads into one tensor.

        Raises:
            DamageError: naming shard and row, if an image is not what was written.
            TrainingError: if an image cannot be decoded.
        """
        shape = (len(rows), self._channels, self._size, self._size)
        images = torch.empty(shape, dtype=torch.uint8)
        target = images.numpy()
        for shard in np.unique(np.searchsorted(self._ends, rows, side="right")):
            self._reader(int(shard))  # opened once, before threads ask for it

        def fill(place: int) -> None:
            target[place] = self._decode(int(rows[place]))

        for _ in self._threads_here().map(fill, range(len(rows))):
            pass
        chosen = torch.from_numpy(rows)
        return Batch(rows, images, self.labels[chosen], self.weights[chosen])

    def _decode(self, row: int) -> NDArray[np.uint8]:
        number = int(np.searchsorted(self._ends, row, side="right"))
        shard = self._shards[number]
        inside = row - shard.row_start
        data = self._reader(number).image(inside)
        try:
            return decode_image(data, self._size, self._channels)
        except ValueError as failed:
            raise undecodable(shard, inside, failed) from failed

    def _threads_here(self) -> ThreadPoolExecutor:
        """The pool of this process: one inherited through a fork has no threads, and would hang."""
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(self._threads)
        return self._pool[1]

    def _reader(self, number: int) -> ShardReader:
        if number not in self._readers:
            shard = self._shards[number]
            self._readers[number] = ShardReader(self._out, shard, check=self._check)
        return self._readers[number]


class ShardLoader:
    """Batches in keyed order for one of `world` ranks; iterate once for each epoch.

    At each step all ranks together take the next batch_size * world positions of the epoch's
    order, and rank r every world-th of them from r on. So a state saved with one number of ranks
    goes on with any other, and every row comes exactly once. drop_last drops an epoch's last,
    incomplete step; otherwise a rank's last batch may be short, or empty.

    >>> class Rows:
    ...     digest = "d"
    ...     def __len__(self): return 10
    ...     def fetch(self, rows): return rows.tolist()
    >>> loader = ShardLoader(Rows(), batch_size=4, seed=1)
    >>> sorted(sum(loader, []))
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(
        self,
        source: Fetchable,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = False,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world:
            problem = "needs batch_size >= 1 and 0 <= rank < world"
            raise TrainingError("loader", problem, got=(batch_size, rank, world))
        self._source, self._seed = source, seed
        self._rank, self._world, self._drop_last = rank, world, drop_last
        self._step = batch_size * world
        self._epoch = self._cursor = 0

    def __len__(self) -> int:
        """Steps in a whole epoch."""
        rows = len(self._source)
        return rows // self._step if self._drop_last else -(-rows // self._step)

    def __iter__(self) -> Iterator[Any]:
        rows = len(self._source)
        order = EpochOrder(rows, self._seed, self._epoch)
        epoch, cursor = self._epoch, self._cursor
        end = rows - (self._step - 1 if self._drop_last else 0)
        while cursor < end:
            stop = min(cursor + self._step, rows)
            batch = self._source.fetch(order.rows(cursor, stop)[self._rank :: self._world])
            cursor = stop
            self._epoch, self._cursor = (epoch, cursor) if cursor < end else (epoch + 1, 0)
            yield batch
        self._epoch, self._cursor = epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return where all ranks stand after the last batch that was handed out."""
        return {
            "manifest": self._source.digest,
            "seed": self._seed,
            "epoch": self._epoch,
            "cursor": self._cursor,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a loader with any number of ranks stood.

        Raises:
            TrainingError: if the state belongs to another manifest or is out of range.
        """
        if state["manifest"] != self._source.digest:
            told = f"This loader reads {self._source.digest}."
            problem = "the state belongs to another manifest"
            raise TrainingError("loader", problem, got=state["manifest"], allowed=told)
        if not 0 <= state["cursor"] < len(self._source):
            raise TrainingError("loader", "the cursor is out of range", got=state["cursor"])
        self._seed, self._epoch = int(state["seed"]), int(state["epoch"])
        self._cursor = int(state["cursor"])
