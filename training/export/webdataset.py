"""WebDataset: tar archives whose members with one name before the first dot are one sample.

A sample is `<key>.jpg` (or what the image is), `<key>.cls`, the class number in decimal, and
`<key>.json`, all that the row says beside them. A row without a label has no `.cls`; a table's row
has no image. JSON is as Python reads it: null, NaN and Infinity stay apart; bytes are base64.
Members are in shard order with no time and no owner: the same rows, the same bytes.

Source of the form: webdataset 1.0.2, tariterators.base_plus_ext and group_by_keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

from training.export.folder import HashedFile, Tell, opened
from training.export.rows import read_split
from training.shards.manifest import Manifest
from training.shards.store import StoredFile

SHARD_BYTES = 256 * 1024 * 1024
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 80  # with the longest extension it still fits a plain tar header of 100 bytes
_BLOCK = tarfile.BLOCKSIZE
_EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}


def write_webdataset(
    out: Path, manifest: Manifest, split: str, folder: Path, *, shard_bytes: int, tell: Tell
) -> list[StoredFile]:
    """Write a split as `<split>-000000.tar` and so on; return their entries.

    shard_bytes: a tar is closed before the sample that would take it past this.
    Memory: one row group of a shard.

    Raises:
        DamageError: if a row is not what was written.
    """
    tars = _Tars(folder, split, shard_bytes)
    with tars:
        for frame in read_split(out, manifest, split):
            for row in frame.iter_rows(named=True):
                tars.add(list(_members(row, frame.columns[-1], images=manifest.kind == "image")))
            tell(frame.height)
    return tars.entries


def member_name(key: str) -> str:
    """Return a key as a tar may name it: one to one, without dots, slashes or signs of no shape.

    Unsafe bytes become %XX as in a URL; a long key keeps its first 40 signs and gets a digest.

    >>> member_name("cats/a.b"), len(member_name("x" * 500))
    ('cats%2Fa%2Eb', 73)
    """
    safe = _UNSAFE.sub(lambda found: "".join(f"%{b:02X}" for b in found[0].encode()), key) or "%"
    if len(safe) <= _LONGEST:
        return safe
    return f"{safe[:40]}+{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _members(row: dict[str, Any], number: str, *, images: bool) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member of a sample."""
    name, code = member_name(row["key"]), row.pop(number)
    if images:
        yield f"{name}.{_extension(row['format'])}", row.pop("image")
    if code is not None:
        yield f"{name}.cls", str(code).encode()
    told = json.dumps(row, ensure_ascii=False, default=_encode_bytes)
    yield f"{name}.json", told.encode()


def _extension(kind: str | None) -> str:
    """The extension of an image format as Pillow names it.

    >>> _extension("JPEG"), _extension("PNG"), _extension(None), _extension("a/b")
    ('jpg', 'png', 'bin', 'bin')
    """
    plain = _EXTENSIONS.get(kind or "", (kind or "").lower())
    return plain if re.fullmatch(r"[a-z0-9]{1,8}", plain) else "bin"


def _encode_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


class _Tars:
    """The tar archives of one split, one after another."""

    def __init__(self, folder: Path, split: str, limit: int) -> None:
        self._folder, self._split, self._limit = folder, split, limit
        self._open = ExitStack()
        self._tar: tarfile.TarFile | None = None
        self._file: HashedFile | None = None
        self._rows = 0
        self.entries: list[StoredFile] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, *failed: object) -> None:
        self._finish()

    def add(self, members: list[tuple[str, bytes]]) -> None:
        """Write one sample, in a new archive if it does not fit the open one any more."""
        size = sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for _, data in members)
        if self._file is not None and self._file.bytes + size > self._limit:
            self._finish()
        tar = self._tar or self._start()
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, BytesIO(data))
        self._rows += 1

    def _start(self) -> tarfile.TarFile:
        self._file = self._open.enter_context(opened(self._folder / self._name))
        wide: Any = self._file
        self._tar = tarfile.TarFile(fileobj=wide, mode="w", format=tarfile.USTAR_FORMAT)
        return self._tar

    @property
    def _name(self) -> str:
        return f"{self._split}-{len(self.entries):06d}.tar"

    def _finish(self) -> None:
        if self._tar is None or self._file is None:
            return
        self._tar.close()
        self._open.close()
        self.entries.append(self._file.entry(self._name, self._rows))
        self._tar, self._file, self._rows = None, None, 0
