"""The manifest: one JSON document that names every shard of a data set, with digests and lineage.

Its file name is the sha256 of its bytes. It holds no time, no host and no absolute path, so the
same input with the same configuration gives the same digest. pydantic reads it at the boundary.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from training.errors import DamageError, StoreError
from training.shards.place import Store, locate, open_store, read_bytes
from training.shards.store import StoredFile, write_atomic

FORMAT: Literal["gristmill.manifest/1"] = "gristmill.manifest/1"
_OPTIONAL = ("encoding", "fills")
_PATH = re.compile(
    r"^((data/\w[\w.-]*|ledger|fills)/[0-9a-f]{16}\.parquet|index/[0-9a-f]{16}\.npy)$"
)
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file.

    logical: digest of its rows, whoever wrote them. footer: xxh3-128 of the Parquet footer, which
    page checksums leave out. row_start: its first row's position in the split.
    """

    path: str
    bytes: int
    sha256: str
    logical: str
    footer: str
    rows: int
    row_start: int
    row_groups: int
    key_min: str
    key_max: str
    label_counts: Mapping[str, int]
    index: StoredFile | None


@dataclass(frozen=True, slots=True)
class Split:
    """The shards of one split. rows_in: input samples; bits: 2**bits shards by hash of the key."""

    rows: int
    rows_in: int
    dropped: int
    bytes: int
    bits: int
    label_counts: Mapping[str, int]
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """Column names and types. arrow: the Arrow IPC schema, base64. hf_features: Hugging Face."""

    arrow: str
    digest: str
    hf_features: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a data set is made of. digest: sha256 of the stored document (not part of it).

    encoding: of a table, how a network reads its rows (see `training.encoding`); a cleaned set has
    that of its parent. fills: the cells that were filled (see `training.fills`). Both are absent
    from the document where they are None.
    """

    digest: str
    format: Literal["gristmill.manifest/1"]
    kind: Literal["image", "table"]
    name: str
    parent: str | None
    logical_digest: str
    created_by: Mapping[str, str]
    config: Mapping[str, Any]
    source: tuple[Mapping[str, Any], ...]
    checks: tuple[Mapping[str, Any], ...]
    schema: Schema
    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    ledger: tuple[StoredFile, ...]
    layout: Mapping[str, Any]
    encoding: Mapping[str, Any] | None = None
    fills: StoredFile | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def rows(self) -> int:
        """All samples in all splits."""
        return sum(split.rows for split in self.splits.values())

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards of all splits."""
        return tuple(shard for split in self.splits.values() for shard in split.shards)

    def split(self, name: str) -> Split:
        """Return one split.

        Raises:
            StoreError: if there is no split of that name; it lists those there are.
        """
        if name not in self.splits:
            known = f"Splits: {', '.join(sorted(self.splits))}."
            raise StoreError(f"manifest {self.name}", "no such split", got=name, allowed=known)
        return self.splits[name]


_ADAPTER = TypeAdapter(Manifest)


def store_manifest(out: Path, manifest: Manifest) -> Manifest:
    """Write `manifest` under its own digest and return it with that digest."""
    document = asdict(manifest)
    del document["digest"]
    document = {name: held for name, held in document.items() if name not in _OPTIONAL or held}
    data = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()
    digest = hashlib.sha256(data).hexdigest()
    write_atomic(out / "manifests" / f"{digest}.json", data)
    return replace(manifest, digest=digest)


def read_manifest(out: str | Store, digest: str | None = None) -> Manifest:
    """Return a manifest of the store `out`; the one that `CURRENT` names if `digest` is None.

    out: a folder, or a URL as in `open_store`.

    Raises:
        StoreError: if there is no such manifest, or it cannot be reached.
        DamageError: if its bytes do not have the digest of its name, or are no manifest.
    """
    out = open_store(out)
    digest = digest or current_digest(out)
    if not is_digest(digest):
        raise StoreError(str(out), "this is no manifest digest", got=digest[:80])
    path = f"manifests/{digest}.json"
    try:
        data = locate(out, StoredFile(path, 0, digest, 0)).read_bytes()
    except FileNotFoundError as missing:
        raise StoreError(str(out), "holds no such manifest", got=digest) from missing
    if hashlib.sha256(data).hexdigest() != digest:
        raise DamageError(path, None, "the manifest is not what was written")
    return _parse(path, digest, data)


def current_digest(out: Store) -> str:
    """Return the digest that `CURRENT` holds.

    Raises:
        StoreError: if the store has no current manifest.
    """
    try:
        return read_bytes(out, "CURRENT").decode("ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError) as missing:
        advice = "Write shards there first, or name a manifest."
        told = None if isinstance(out, Path) else str(missing)
        raise StoreError(str(out), "has no current manifest", got=told, advice=advice) from missing


def _parse(path: str, digest: str, data: bytes) -> Manifest:
    try:
        document = json.loads(data)
        manifest = _ADAPTER.validate_python({**document, "digest": digest})
    except (ValueError, TypeError, ValidationError) as broken:
        raise DamageError(path, None, f"cannot be read as {FORMAT} ({_first(broken)})") from broken
    for stray in (file.path for file in stored_files(manifest) if not is_stored_path(file.path)):
        raise DamageError(path, None, f"names a path outside the store ({stray!r})")
    return manifest


def _first(broken: Exception) -> str:
    if isinstance(broken, ValidationError):
        first = broken.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(broken)


def stored_files(manifest: Manifest) -> list[Shard | StoredFile]:
    """Return the entry of every file that a manifest names: shards, then what lies beside them."""
    beside = [*(shard.index for shard in manifest.shards), *manifest.ledger, manifest.fills]
    return [*manifest.shards, *(file for file in beside if file)]


def find_lost(out: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield path and problem of each file that is gone or has another size than was written."""
    for file in stored_files(manifest):
        place = out / file.path
        if not place.is_file():
            yield file.path, "is missing"
        elif place.stat().st_size != file.bytes:
            yield file.path, "does not have the size that was written"


def is_stored_path(path: str) -> bool:
    """Return whether a path is one that the store gives to a file; POSIX, relative to it."""
    return _PATH.fullmatch(path) is not None


def is_digest(name: str) -> bool:
    """Return whether `name` can be the digest of a manifest."""
    return _DIGEST.fullmatch(name) is not None
