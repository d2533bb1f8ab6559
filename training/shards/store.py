"""The folder that holds shards: content-addressed names, atomic writes, one writer at a time.

Nothing is ever overwritten but `CURRENT`, and that moves last. A crash leaves orphans only.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from training.errors import StoreError

TEMPORARY = ".tmp-"
_ADVICE = {
    errno.ENOSPC: "Free some space and run again; finished shards are not written twice.",
    errno.EDQUOT: "Raise the quota and run again; finished shards are not written twice.",
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
def locked(out: Path, *, sweep: bool = True) -> Iterator[None]:
    """Hold the store `out` for writing; `sweep` what a killed writer left half-done.

    Raises:
        StoreError: if another process holds it, or the folder cannot be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        handle = (out / ".lock").open("ab")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            advice = "Wait for it to end, or choose another folder."
            raise StoreError(str(out), "another run is writing here", advice=advice) from held
        for orphan in out.rglob(f"{TEMPORARY}*") if sweep else ():
            orphan.unlink(missing_ok=True)
        yield


def temporary_path(folder: Path) -> Path:
    """Return a fresh name in `folder` that the next writer sweeps away if this one dies."""
    return folder / f"{TEMPORARY}{uuid4().hex}"


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either all of it or what it held before.

    Raises:
        StoreError: if the file system refuses; nothing half-written stays.
    """
    temporary = temporary_path(path.parent)
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put(out: Path, folder: str, data: bytes, rows: int, suffix: str = ".parquet") -> StoredFile:
    """Store `data` under the first 16 digits of its sha256 and return its entry.

    A file that already holds these bytes is left alone; one that is damaged is replaced.
    """
    digest = hashlib.sha256(data).hexdigest()
    path = f"{folder}/{digest[:16]}{suffix}"
    if file_digest(out / path) != digest:
        write_atomic(out / path, data)
    return StoredFile(path, len(data), digest, rows)


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
