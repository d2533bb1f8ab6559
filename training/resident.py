"""A whole split in memory: images as one uint8 tensor on the device, tables as columns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from training.errors import DamageError, TrainingError
from training.shards.columns import name_damage, open_shard, read_columns
from training.shards.damage import UNREADABLE, damaged_rows
from training.shards.digest import KEYED
from training.shards.manifest import Manifest, Shard
from training.shards.pixels import decode_image
from training.shards.place import Store, open_store
from training.shards.split import stored_shards

_STRETCH = 64  # images a thread decodes at a time
_FREE_SHARE = 0.25  # of the device's free memory: leaves room for activations


@dataclass(frozen=True, slots=True)
class Resident:
    """One split, sorted by key.

    keys: str (N,). labels: int64 (N,), positions in `classes`, -1 without a label. weights:
    float32 (N,). images: uint8 (N, C, H, W) on the device; None for tables. columns: features of a
    table by name, each (N,): numbers with NaN for null, text as object with None for null.
    """

    keys: NDArray[np.str_]
    labels: torch.Tensor
    weights: torch.Tensor
    classes: tuple[str, ...]
    images: torch.Tensor | None = None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)


def load_resident(
    out: str | Store,
    manifest: Manifest,
    split: str,
    *,
    image_size: int = 32,
    channels: int = 3,
    device: str | torch.device = "cpu",
    threads: int | None = None,
    check: bool = True,
) -> Resident:
    """Load one split of a manifest, whatever its shards, sorted by key.

    image_size: pixels a side after resize and centre crop (see `decode_image`). threads: decoders,
    all cores if None. check: prove each row's xxh3_128 on the way, on top of page checksums.

    Raises:
        StoreError: if there is no such split.
        DamageError: naming shard and row, if a row is not what was written.
        TrainingError: if an image cannot be decoded, or the split needs over a quarter of the
            device's free memory.
    """
    out, shards = open_store(out), stored_shards(manifest, split)
    if manifest.kind == "table":
        return _load_table(out, manifest, shards, torch.device(device), check=check)
    rows = sum(shard.rows for shard in shards)
    need = rows * channels * image_size * image_size
    if need > (free := _FREE_SHARE * free_bytes(device)):
        problem = f"split {split!r} needs {need / 2**30:.1f} GiB on {device}"
        raise TrainingError("loader", problem, allowed=f"A quarter of what is free: {free:.0f} B.")
    frame, places = _load_keys(out, shards)
    images = torch.empty((rows, channels, image_size, image_size), dtype=torch.uint8)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        fill = _Fill(images.numpy(), image_size, channels, pool, check)
        for shard in shards:
            fill.shard(out, shard, places[shard.row_start : shard.row_start + shard.rows])
    return _resident(frame, manifest, torch.device(device), images=images.to(device))


def free_bytes(device: str | torch.device) -> int:
    """Return the free memory of a device in bytes; of this machine for the CPU."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _load_keys(out: Store, shards: tuple[Shard, ...]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Keys, labels and weights sorted by key, and the place that each stored row gets there."""
    schema = {"key": pl.String, "label": pl.String, "weight": pl.Float32}
    frames = [pl.DataFrame(pl.from_arrow(read_columns(out, s, list(schema)))) for s in shards]
    frame = pl.concat([pl.DataFrame(schema=schema), *frames])
    order = frame["key"].arg_sort().to_numpy()
    places = np.empty(frame.height, np.int64)
    places[order] = np.arange(frame.height)
    return frame[order], places


@dataclass(frozen=True, slots=True)
class _Fill:
    """Decodes shards into one array, row group by row group, in threads."""

    images: NDArray[np.uint8]
    size: int
    channels: int
    pool: ThreadPoolExecutor
    check: bool

    def shard(self, out: Store, shard: Shard, places: NDArray[np.int64]) -> None:
        file, start = open_shard(out, shard), 0
        for group in range(file.num_row_groups):
            try:
                table = file.read_row_group(group, columns=["image", "xxh3_128"])
            except UNREADABLE as broken:
                raise name_damage(out, shard) from broken
            if self.check and (broken_rows := damaged_rows(table)):
                problem = "its content is not what was written"
                raise DamageError(shard.path, start + broken_rows[0], problem)
            values = table.column("image").combine_chunks().field("bytes")
            jobs = [
                self.pool.submit(self.stretch, shard, values[n : n + _STRETCH], start + n, places)
                for n in range(0, len(values), _STRETCH)
            ]
            for job in jobs:
                job.result()
            start += len(values)

    def stretch(self, shard: Shard, values: Any, begin: int, places: NDArray[np.int64]) -> None:
        for row, value in enumerate(values, begin):
            data = memoryview(value.as_buffer())
            try:
                self.images[places[row]] = decode_image(data, self.size, self.channels)
            except ValueError as failed:
                raise undecodable(shard, row, failed) from failed


def undecodable(shard: Shard, row: int, failed: BaseException) -> TrainingError:
    """Return the error for an image whose bytes are intact but hold no image."""
    advice = "Such samples must be dropped before shards are written: profile the source again."
    return TrainingError(f"{shard.path}, row {row}", str(failed), advice=advice)


def _load_table(
    out: Store, manifest: Manifest, shards: tuple[Shard, ...], device: torch.device, *, check: bool
) -> Resident:
    tables = []
    for shard in shards:
        table = read_columns(out, shard)
        if check and (broken := damaged_rows(table)):
            raise DamageError(shard.path, broken[0], "its content is not what was written")
        tables.append(pl.DataFrame(pl.from_arrow(table)))
    frame = pl.concat(tables).sort("key")
    features = frame.select(pl.exclude(*KEYED))
    columns = {column.name: column.to_numpy() for column in features.iter_columns()}
    return _resident(frame, manifest, device, columns=columns)


def _resident(
    frame: pl.DataFrame, manifest: Manifest, device: torch.device, **content: Any
) -> Resident:
    numbers = {label: number for number, label in enumerate(manifest.classes)}
    labels = frame["label"].replace_strict(numbers, default=-1, return_dtype=pl.Int64)
    return Resident(
        keys=np.array(frame["key"].to_list(), dtype=np.str_),
        labels=torch.tensor(labels.to_numpy(), device=device),
        weights=torch.tensor(frame["weight"].to_numpy(), device=device),
        classes=manifest.classes,
        **content,
    )
