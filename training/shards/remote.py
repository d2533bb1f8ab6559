"""Stores behind URLs (s3://, gs://, https://, ...): read as asked for, proven, kept in a cache.

Small files are fetched whole and proven by their sha256. A shard is a local file of the same size
that holds only what was asked for (see `SparseFile`); its rows are proven when they are read.
Access and endpoints come from where the protocol's package takes them (AWS_ENDPOINT_URL, ...).
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from training.errors import DamageError, StoreError
from training.shards.cache import SparseFile, trim
from training.shards.store import file_digest, write_atomic

_PAUSES_S = (0.2, 1.0)  # before a second and a third attempt, besides those of the package
_LIMIT = 64 * 2**30
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FINAL = (PermissionError, ImportError, ValueError)  # a second attempt would end the same way


class Stored(Protocol):
    """What a manifest says of a file: a `Shard` or a `StoredFile`."""

    @property
    def path(self) -> str:
        """Relative to the store, POSIX."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def sha256(self) -> str:
        """Of its bytes, in hex."""


def cache_folder() -> Path:
    """Return the folder of what was fetched: below GRISTMILL_CACHE, else ~/.cache/gristmill."""
    asked = os.environ.get("GRISTMILL_CACHE")
    return (Path(asked) if asked else Path.home() / ".cache" / "gristmill") / "shards"


def cache_limit() -> int:
    """Return the bytes that the cache may hold: GRISTMILL_CACHE_BYTES, else 64 GiB."""
    return int(os.environ.get("GRISTMILL_CACHE_BYTES", _LIMIT))


@dataclass(frozen=True, slots=True)
class RemoteStore:
    """A store that cannot be mapped.

    url: its folder, of any protocol that fsspec knows. cache: the folder of what was fetched, which
    threads, processes and stores may share. limit: bytes that the cache may hold; what was used
    least recently goes first, but never what a process has open.
    """

    url: str
    cache: Path = field(default_factory=cache_folder)
    limit: int = field(default_factory=cache_limit)

    def __str__(self) -> str:
        return self.url

    def read(self, path: str) -> bytes:
        """Return a file of the store.

        Raises:
            FileNotFoundError: if there is none.
            StoreError: if it cannot be read.
        """
        data: bytes = self._ask(path, lambda files, root: files.cat_file(f"{root}/{path}"))
        return data

    def read_ranges(self, path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes start..stop-1 of each span, several of them on the way at a time.

        Raises:
            StoreError: if the file is gone or cannot be read.
            DamageError: if it is shorter than it was.
        """
        starts, stops = [list(part) for part in zip(*spans, strict=True)]

        def ask(files: Any, root: str) -> Any:
            paths = [f"{root}/{path}"] * len(starts)
            return files.cat_ranges(paths, starts, stops, on_error="raise")

        try:
            found: list[bytes] = self._ask(path, ask)
        except FileNotFoundError as missing:
            raise StoreError(f"{self.url}/{path}", "is gone", got=_told(missing)) from missing
        for (start, stop), data in zip(spans, found, strict=True):
            if len(data) != stop - start:
                raise DamageError(path, None, "is not as long as what was written")
        return found

    def fetch(self, file: Stored) -> Path:
        """Return the local copy of a file, whole and proven.

        Raises:
            FileNotFoundError: if there is none.
            StoreError: if it cannot be read.
            DamageError: if it is not what was written.
        """
        target = self._copy(file)
        if file_digest(target) == file.sha256:
            os.utime(target)
            return target
        data = self.read(file.path)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise DamageError(file.path, None, "is not what was written")
        write_atomic(target, data)
        return target

    def open(self, file: Stored) -> SparseFile:
        """Return a file of which only what is asked for is fetched.

        Raises:
            StoreError: if the cache cannot be written.
            DamageError: if the manifest tells an impossible size.
        """
        if file.bytes < 1:
            raise DamageError(file.path, None, f"cannot be {file.bytes} bytes long")

        def fetch(spans: Sequence[tuple[int, int]]) -> list[bytes]:
            return self.read_ranges(file.path, spans)

        sparse = SparseFile(self._copy(file), file.bytes, fetch)
        trim(self.cache, self.limit - file.bytes)
        return sparse

    def _copy(self, file: Stored) -> Path:
        """Where a file's copy lies; a manifest must not lead anywhere else."""
        if not _DIGEST.match(file.sha256):
            raise DamageError(file.path, None, f"has no sha256 in its manifest ({file.sha256!r})")
        return self.cache / file.sha256

    def _ask(self, path: str, action: Callable[[Any, str], Any]) -> Any:
        """What the action returns, given the file system and the store's folder in it."""
        pauses = iter(_PAUSES_S)
        while True:
            try:
                return action(*_connect(self.url, os.getpid()))
            except FileNotFoundError:
                raise
            except Exception as broken:  # each protocol has errors of its own
                pause = None if isinstance(broken, _FINAL) else next(pauses, None)
                if pause is None:
                    raise self._unreadable(path, broken) from broken
            time.sleep(pause)

    def _unreadable(self, path: str, broken: Exception) -> StoreError:
        advice = "Check the address, the network and your access."
        if isinstance(broken, ImportError):
            advice = "Install the package that it names."
        return StoreError(f"{self.url}/{path}", "cannot be read", got=_told(broken), advice=advice)


_CONNECTIONS: dict[tuple[str, int], tuple[Any, str]] = {}


def _connect(url: str, process: int) -> tuple[Any, str]:
    """The file system of a URL and the folder in it; each process has its own."""
    if (url, process) not in _CONNECTIONS:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - only URLs need it

        files, root = url_to_fs(url)
        _CONNECTIONS[url, process] = files, root.rstrip("/")
    return _CONNECTIONS[url, process]


def _told(broken: Exception) -> str:
    return f"{type(broken).__name__}: {broken}"[:200]
