"""One shard: its rows come from the spilled runs, its file and its index go into the store."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from training.shards.digest import footer_digest, logical_digest
from training.shards.format import encode_shard
from training.shards.index import index_shard
from training.shards.manifest import Shard
from training.shards.rows import plain_rows
from training.shards.spill import Runs
from training.shards.store import put_file, staging

PLACED = ("key", "split", "label", "label_orig")


@dataclass(frozen=True, slots=True)
class Plan:
    """What all shards of a write share. bits: of each split; schema: from `describe_schema`."""

    out: Path
    runs: Runs
    bits: Mapping[str, int]
    schema: Any
    layout: str

    def places(self) -> list[tuple[str, int]]:
        """Return split and number of every shard there may be, in the manifest's order."""
        return [(name, n) for name in sorted(self.bits) for n in range(2 ** self.bits[name])]


def write_shard(plan: Plan, place: tuple[str, int]) -> tuple[Shard, pl.DataFrame] | None:
    """Write one shard; return its entry, still with row_start 0, and the `PLACED` of its rows.

    None where no row belongs there.

    Raises:
        StoreError: if the disk is full or cannot be written.
    """
    split, number = place
    table = plan.runs.read(split, number, plan.bits[split])
    if not table.num_rows:
        return None
    rows, folder = plain_rows(table), f"data/{split}"
    with staging(plan.out / folder) as temporary:
        groups = encode_shard(table, plan.schema, plan.layout, temporary)
        del table  # as large as what is mapped now
        data = _map(temporary)
        file = put_file(plan.out, folder, temporary, hashlib.sha256(data).hexdigest(), rows.height)
    keys = rows["key"]
    shard = Shard(
        path=file.path,
        bytes=file.bytes,
        sha256=file.sha256,
        logical=logical_digest(rows),
        footer=footer_digest(data),
        rows=file.rows,
        row_start=0,
        row_groups=groups,
        key_min=keys[0],
        key_max=keys[-1],
        label_counts=_count_labels(rows["label"]),
        index=index_shard(plan.out, data, rows) if plan.layout == "train" else None,
    )
    return shard, rows.select(PLACED)


def _map(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _count_labels(labels: pl.Series) -> dict[str, int]:
    counts = labels.drop_nulls().value_counts(name="count").sort(labels.name)
    return dict(counts.iter_rows())
