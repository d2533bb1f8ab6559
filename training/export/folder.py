"""The folder of an export: whole or not at all, with a page that says what it was made from."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Protocol

from training.errors import StoreError
from training.shards.manifest import Manifest
from training.shards.store import TEMPORARY, StoredFile, writing

ABOUT = "gristmill.json"
FORMAT = "gristmill.export/1"


class Tell(Protocol):
    """Is told of rows that were written."""

    def __call__(self, rows: int, /) -> None:
        """Count them."""


class HashedFile:
    """A file being written, and the digests of what went in. Give it to whatever writes bytes.

    also: names of further hashlib algorithms; `entry` tells of sha256, `digests` of all.
    """

    def __init__(self, file: BinaryIO, also: Sequence[str] = ()) -> None:
        self._file, self.bytes = file, 0
        self._states = {name: hashlib.new(name) for name in ("sha256", *also)}

    def write(self, data: bytes) -> int:
        """Write and count."""
        for state in self._states.values():
            state.update(data)
        self.bytes += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.bytes

    def digests(self) -> dict[str, str]:
        """Return the digest by each algorithm, in hex."""
        return {name: state.hexdigest() for name, state in self._states.items()}

    def entry(self, path: str, rows: int) -> StoredFile:
        """Return what the page of the export says of this file."""
        return StoredFile(path, self.bytes, self._states["sha256"].hexdigest(), rows)


@contextmanager
def opened(path: Path, also: Sequence[str] = ()) -> Iterator[HashedFile]:
    """Open a new file of an export; it has reached the disk at the end of the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        yield HashedFile(file, also)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def fresh_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """Give a temporary folder that becomes `target` at the end of the block, or never.

    force: replace an earlier export. A folder that holds anything else is never replaced.

    Raises:
        StoreError: if `target` is in the way, or cannot be written.
    """
    _refuse(target, force=force)
    place = target.absolute()
    temporary, old = (place.parent / f"{TEMPORARY}{word}-{place.name}" for word in ("new", "old"))
    with writing(target):
        temporary.mkdir(parents=True, exist_ok=True)
        with _alone(target, temporary):
            try:
                yield temporary
                _replace(place, temporary, old)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _alone(target: Path, temporary: Path) -> Iterator[None]:
    """Hold the temporary folder, emptied of what a killed export left."""
    handle = os.open(temporary, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise StoreError(str(target), "another export is writing here") from held
        for left in temporary.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        yield
    finally:
        os.close(handle)


def _replace(place: Path, temporary: Path, old: Path) -> None:
    """Put the new folder in its place; the earlier export stays until that is done."""
    if place.exists() and any(place.iterdir()):
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
        try:
            temporary.rename(place)
        except OSError:
            old.rename(place)
            raise
        shutil.rmtree(old)
    else:
        temporary.rename(place)


def _refuse(target: Path, *, force: bool) -> None:
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            return
        exported = (target / ABOUT).is_file()
        if exported and force:
            return
        advice = "Replace it with --force." if exported else "Choose a new or an empty one."
        problem = "holds an export already" if exported else "is not empty, and holds no export"
        raise StoreError(str(target), problem, advice=advice)
    if target.exists() or target.is_symlink():
        raise StoreError(str(target), "is no folder", advice="Choose a new or an empty one.")


def write_about(
    folder: Path, to: str, manifest: Manifest, splits: Mapping[str, Sequence[StoredFile]]
) -> None:
    """Write the page of an export: its manifest, its classes by number, every file's sha256."""
    document = {
        "format": FORMAT,
        "to": to,
        "name": manifest.name,
        "kind": manifest.kind,
        "manifest": manifest.digest,
        "classes": list(manifest.classes),
        "splits": {
            name: {"rows": sum(file.rows for file in files), "files": [asdict(f) for f in files]}
            for name, files in splits.items()
        },
    }
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    with opened(folder / ABOUT) as file:
        file.write(text.encode())
