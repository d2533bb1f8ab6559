"""Whole columns of a shard, page checksums proven; what to say of one that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from training.errors import DamageError
from training.shards.damage import UNREADABLE, holds_footer, inspect_shard
from training.shards.digest import footer_digest
from training.shards.manifest import Shard
from training.shards.place import Store


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
