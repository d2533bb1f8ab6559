"""Garbage: files of a store that no manifest names, and manifests that nobody wants any more."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from training.errors import DamageError, StoreError
from training.shards.damage import Progress
from training.shards.history import list_digests
from training.shards.manifest import (
    Manifest,
    current_digest,
    is_stored_path,
    read_manifest,
    stored_files,
)
from training.shards.store import TEMPORARY, locked, writing

_FOLDERS = ("data", "index", "ledger", "fills")


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted, or would be. files: paths in the store, sorted. bytes: their sizes.

    forgotten: digests of manifests that were given up; their documents are among the files.
    """

    files: tuple[str, ...]
    bytes: int
    forgotten: tuple[str, ...]


def collect(
    out: Path,
    *,
    forget: Collection[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Collected:
    """Delete what no manifest names: shards, indexes, ledgers, fills, and what killed writers left.

    forget: digests of manifests to give up first; their files go too, unless another manifest
    names them. dry_run: only tell. Only files that the store has named are looked at; whatever
    else lies in the folder stays. Manifests go before their files, so that one that is left always
    has all of its own.

    Raises:
        StoreError: if another process is writing, a manifest to forget is current, the parent of
            another or not there, or `CURRENT` names no manifest.
        DamageError: if a manifest cannot be read, since nobody knows what it names.
    """
    with locked(out, sweep=False):
        forgotten = sorted(set(forget))
        kept = _keep(out, forgotten)
        named = {file.path for manifest in kept for file in stored_files(manifest)}
        waste = [f"manifests/{digest}.json" for digest in forgotten]
        waste += sorted(path for path in _stored(out) if path not in named)
        sizes = [(out / path).lstat().st_size for path in waste]
        if not dry_run:
            _delete(out, waste, progress)
    return Collected(tuple(waste), sum(sizes), tuple(forgotten))


def _keep(out: Path, forgotten: list[str]) -> list[Manifest]:
    """The manifests that stay, once all that is to be forgotten can be."""
    known = list_digests(out)
    if strangers := [digest for digest in forgotten if digest not in known]:
        raise StoreError(str(out), "holds no such manifest", got=strangers[0])
    kept = [_read(out, digest) for digest in known if digest not in forgotten]
    current = current_digest(out) if (out / "CURRENT").is_file() else None
    if current in forgotten:
        advice = "Go to another one first: gristmill shards use."
        raise StoreError(str(out), "the current manifest stays", got=current, advice=advice)
    if current is not None and current not in known:
        advice = "Point it to a manifest first: gristmill shards use."
        raise StoreError(str(out / "CURRENT"), "names no manifest of this store", advice=advice)
    for manifest in kept:
        if manifest.parent in forgotten:
            told = f"It is the parent of {manifest.digest[:12]}."
            advice = "Forget that one too, or keep both."
            raise StoreError(str(out), "a parent stays", got=manifest.parent, allowed=told,
                             advice=advice)  # fmt: skip
    return kept


def _read(out: Path, digest: str) -> Manifest:
    try:
        return read_manifest(out, digest)
    except DamageError as broken:
        told = f"{broken.problem}, so nobody knows which files it names; nothing was deleted"
        advice = "Put a good copy of it back, or give it up with --forget."
        raise DamageError(broken.shard, None, told, advice=advice) from broken


def _stored(out: Path) -> Iterator[str]:
    """The path of each file that the store itself has named, temporary ones too."""
    for orphan in out.glob(f"{TEMPORARY}*"):
        yield orphan.name
    for top in (*_FOLDERS, "manifests"):
        for folder, _, names in os.walk(out / top):
            for name in names:
                path = (Path(folder) / name).relative_to(out).as_posix()
                if name.startswith(TEMPORARY) or is_stored_path(path):
                    yield path


def _delete(out: Path, waste: list[str], progress: Progress | None) -> None:
    for number, path in enumerate(waste, 1):
        with writing(out / path):
            (out / path).unlink(missing_ok=True)
        if progress:
            progress(number, len(waste))
    for folder in (out / "data").glob("*"):
        with suppress(OSError):  # a split that still has shards
            folder.rmdir()
