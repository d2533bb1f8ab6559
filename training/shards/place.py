"""Where a store lies: a folder of this machine, or behind a URL with a cache in between."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TypeAlias

import numpy as np

from training.shards.remote import RemoteStore, Stored

Store: TypeAlias = Path | RemoteStore


def open_store(where: str | Store) -> Store:
    """Return the store at a path or URL; nothing is read yet.

    >>> open_store("shards"), str(open_store("s3://bucket/shards/"))
    (PosixPath('shards'), 's3://bucket/shards')
    """
    if not isinstance(where, str):
        return where
    return RemoteStore(where.rstrip("/")) if "://" in where else Path(where)


def read_bytes(store: Store, path: str) -> bytes:
    """Return a small file of a store.

    Raises:
        FileNotFoundError: if there is none.
        StoreError: if the store cannot be reached.
    """
    return (store / path).read_bytes() if isinstance(store, Path) else store.read(path)


def map_file(path: Path) -> memoryview:
    """Return the bytes of a local file, mapped.

    Raises:
        OSError: if there is none.
        ValueError: if it is empty.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        return memoryview(mmap.mmap(file, 0, access=mmap.ACCESS_READ))
    finally:
        os.close(file)


def locate_shard(store: Store, shard: Stored) -> Path:
    """Return where a shard lies on this machine; if it is remote, all of it, not proven yet.

    Raises:
        StoreError: if it cannot be fetched.
    """
    if isinstance(store, Path):
        return store / shard.path
    sparse = store.open(shard)
    sparse.ensure(np.array([0]), np.array([shard.bytes]))
    return sparse.path


def locate(store: Store, file: Stored) -> Path:
    """Return where a file of a store lies on this machine; if it is remote, after fetching it.

    Raises:
        FileNotFoundError: if a remote store has no such file.
        StoreError, DamageError: if it cannot be fetched, or is not what was written.
    """
    return store / file.path if isinstance(store, Path) else store.fetch(file)
