"""The folder that holds shards: content-addressed names, atomic writes, one writer at a time.

Nothing is ever overwritten but `CURRENT`, and that moves last. A crash leaves orphans only.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from training.errors import StoreError

TEMPORARY = ".tmp-"
_POLL_S = 0.05
_log = logging.getLogger(__name__)
_ADVICE = {
    errno.ENOSPC: "Free some space and run again; finished shards are not written twice.",
    errno.EDQUOT: "Raise the quota and run again; finished shards are not written twice.",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f), or write smaller shards.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of the store. path: relative to the store, POSIX. bytes: its size."""

    path: str
    bytes: int
    sha256: str
    rows: int


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any failure of the file system into one sentence that names `path`.

    Raises:
        StoreError: instead of OSError; the last good `CURRENT` still stands.
    """
    try:
        yield
    except OSError as broken:
        why = os.strerror(broken.errno) if broken.errno else str(broken)
        advice = _ADVICE.get(broken.errno or 0, "")
        raise StoreError(str(path), "cannot be written", got=why, advice=advice) from broken


@contextmanager
def locked(out: Path, *, wait_s: float = 0.0, sweep: bool = True) -> Iterator[None]:
    """Hold the store `out` for writing; `sweep` what a killed writer left half-done.

    wait_s: seconds to wait for another process that holds it; the log says that we do.

    Raises:
        StoreError: if another process holds it for longer, or the folder cannot be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        handle = (out / ".lock").open("ab")
    with handle:
        _take(handle.fileno(), out, wait_s)
        with writing(out):
            for orphan in out.rglob(f"{TEMPORARY}*") if sweep else ():
                orphan.unlink(missing_ok=True)
        yield


def _take(handle: int, out: Path, wait_s: float) -> None:
    end, told = time.monotonic() + wait_s, False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            if time.monotonic() >= end:
                problem = "another run is writing here"
                advice = "Wait for it to end, or choose another folder."
                raise StoreError(str(out), problem, advice=advice) from held
            if not told:
                _log.warning("%s: another run is writing here; waiting %g s at most", out, wait_s)
            told = True
            time.sleep(_POLL_S)
        else:
            return


def temporary_path(folder: Path) -> Path:
    """Return a fresh name in `folder` that the next writer sweeps away if this one dies."""
    return folder / f"{TEMPORARY}{uuid4().hex}"


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield a path in `folder` to write to; what `keep` has not moved away is gone afterwards.

    Raises:
        StoreError: if the file system refuses; nothing half-written stays.
    """
    temporary = temporary_path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def keep(temporary: Path, path: Path) -> None:
    """Give a file from `staging` its name: `path` holds all of it or what it held before."""
    with writing(path):
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either all of it or what it held before.

    Raises:
        StoreError: if the file system refuses; nothing half-written stays.
    """
    with staging(path.parent) as temporary:
        temporary.write_bytes(data)
        keep(temporary, path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put(out: Path, folder: str, data: bytes, rows: int, suffix: str = ".parquet") -> StoredFile:
    """Store `data` under the first 16 digits of its sha256 and return its entry.

    A file that already holds these bytes is left alone; one that is damaged is replaced.
    """
    digest = hashlib.sha256(data).hexdigest()
    file = StoredFile(f"{folder}/{digest[:16]}{suffix}", len(data), digest, rows)
    if file_digest(out / file.path) != digest:
        write_atomic(out / file.path, data)
    return file


def put_file(out: Path, folder: str, temporary: Path, digest: str, rows: int) -> StoredFile:
    """Store a Parquet file from `staging`, whose sha256 is `digest`, as `put` stores bytes."""
    path = f"{folder}/{digest[:16]}.parquet"
    file = StoredFile(path, temporary.stat().st_size, digest, rows)
    if file_digest(out / path) != digest:
        keep(temporary, out / path)
    return file


def file_digest(path: Path) -> str | None:
    """Return the sha256 of a file's bytes in hex; None if there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def point_current(out: Path, digest: str) -> None:
    """Make `digest` the manifest that readers get when they name none. The last step."""
    write_atomic(out / "CURRENT", f"{digest}\n".encode())
