"""Copies of remote files on this machine, by sha256, whole or as far as they were asked for.

`<sha256>` holds the bytes. Of a sparse file `<sha256>.map` holds one byte a chunk, 1 once that
chunk is here, and a shared lock while any process reads it, so that none takes it away.
"""

from __future__ import annotations

import fcntl
import io
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.shards.store import TEMPORARY, writing

CHUNK = 2**20
_REQUEST = 16  # chunks in one request
_FLIGHT = 8  # requests under way at a time
_MAP = ".map"

Fetch = Callable[[Sequence[tuple[int, int]]], list[bytes]]


class SparseFile:
    """A local file as long as a remote one, filled chunk by chunk as ranges of it are asked for.

    view: its bytes; what was not asked for reads as zeros. It stays valid whatever becomes of the
    cache. A crash loses at most chunks that are then fetched again, since one counts only once it
    is written. Threads and processes that ask for the same chunks fetch them once.

    fetch: returns the bytes of (start, stop) pairs.

    Raises:
        StoreError: if the cache cannot be written.
    """

    def __init__(self, path: Path, length: int, fetch: Fetch) -> None:
        self.path, self.length, self._fetch = path, length, fetch
        count = -(-length // CHUNK)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _hold(path.with_name(path.name + _MAP), count) as chunks:
                self._here = np.frombuffer(mmap.mmap(chunks.fileno(), count), np.uint8)
            with path.open("ab") as file:
                if file.tell() != length:  # new, or someone took it away
                    self._here[:] = 0
                file.truncate(length)
            with path.open("rb") as file:
                self.view = memoryview(mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ))

    def ensure(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        """Have the bytes starts..stops-1 of each pair in `view`.

        Raises:
            StoreError: if they cannot be fetched or kept.
        """
        wanted = self._chunks(starts, stops)
        if not (wanted & (self._here == 0)).any():
            return
        with writing(self.path), _alone(self.path) as file:
            spans = list(_spans(np.flatnonzero(wanted & (self._here == 0)), self.length))
            for first in range(0, len(spans), _FLIGHT):
                part = spans[first : first + _FLIGHT]
                for (start, stop), data in zip(part, self._fetch(part), strict=True):
                    file.seek(start)
                    file.write(data)
                    self._here[start // CHUNK : -(-stop // CHUNK)] = 1

    def forget(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        """Fetch these ranges anew when they are next asked for."""
        self._here[self._chunks(starts, stops)] = 0

    def tail(self) -> memoryview:
        """Return its bytes, of which at least the footer of a Parquet file is here."""
        end = np.array([self.length])
        self.ensure(np.maximum(end - CHUNK, 0), end)
        length = int.from_bytes(self.view[-8:-4], "little") + 8
        self.ensure(np.maximum(end - length, 0), end)
        return self.view

    def reader(self) -> io.BufferedReader:
        """Return it as a file that fetches what is read."""
        return io.BufferedReader(_Reading(self), 64 * 1024)

    def _chunks(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which chunks the ranges touch; what lies outside the file touches none."""
        starts, stops = np.clip(starts, 0, self.length), np.clip(stops, 0, self.length)
        steps = np.zeros(len(self._here) + 1, np.int64)
        np.add.at(steps, starts // CHUNK, 1)
        np.add.at(steps, -(-stops // CHUNK), -1)
        touched: NDArray[np.bool_] = steps.cumsum()[:-1] > 0
        return touched


class _Reading(io.RawIOBase):
    """A sparse file from an own position on."""

    def __init__(self, file: SparseFile) -> None:
        self._source, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._source.length}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._at + len(buffer), self._source.length)
        if (size := stop - self._at) <= 0:
            return 0
        self._source.ensure(np.array([self._at]), np.array([stop]))
        buffer[:size] = self._source.view[self._at : stop]
        self._at = stop
        return size


def _spans(chunks: NDArray[np.int64], length: int) -> Iterator[tuple[int, int]]:
    """Byte ranges of chunks, neighbours in one request."""
    for run in np.split(chunks, np.flatnonzero(np.diff(chunks) > 1) + 1):
        for first in range(0, len(run), _REQUEST):
            part = run[first : first + _REQUEST]
            yield int(part[0]) * CHUNK, min((int(part[-1]) + 1) * CHUNK, length)


def _hold(path: Path, length: int) -> io.BufferedRandom:
    """Open a file of `length` bytes under a shared lock that lasts as long as a mapping of it."""
    while True:
        file = path.open("a+b")
        fcntl.flock(file, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):  # taken away before the lock was ours
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                file.truncate(length)
                os.utime(path)
                return file
        file.close()


@contextmanager
def _alone(path: Path) -> Iterator[io.FileIO]:
    """Open a file for writing while no other thread or process does so."""
    with path.open("r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def trim(folder: Path, limit: int) -> None:
    """Take away what was used least recently until a cache holds no more than `limit` bytes.

    Files that a process has open as `SparseFile` stay, however many they are.
    """
    held = []
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            if not entry.name.endswith(_MAP) and not entry.name.startswith(TEMPORARY):
                facts, beside = entry.stat(), Path(entry.path + _MAP)
                used = beside.stat().st_mtime if beside.exists() else facts.st_mtime
                held.append((used, facts.st_blocks * 512, Path(entry.path)))
    over = sum(size for _, size, _ in held) - limit
    for _, size, path in sorted(held):
        if over <= 0:
            return
        over -= size if _take_away(path) else 0


def _take_away(path: Path) -> bool:
    beside = path.with_name(path.name + _MAP)
    if not beside.exists():
        path.unlink(missing_ok=True)
        return True
    with beside.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
    return True
