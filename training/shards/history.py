"""The manifests of a store: which there are, which one a name means, and going back to one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from training.errors import DamageError, StoreError
from training.shards.damage import verify
from training.shards.manifest import (
    Manifest,
    current_digest,
    find_lost,
    is_digest,
    read_manifest,
)
from training.shards.store import locked, point_current

LEAST_DIGITS = 6
_NEAREST = 3
_ADVICE = "Nothing was changed; gristmill shards verify tells all that is damaged, and what to do."


@dataclass(frozen=True, slots=True)
class Entry:
    """One manifest of a store.

    written: when its file was last written, seconds since 1970: a fact of the file, not of the
    digest. manifest: None if it is damaged; `problem` says how. shared: of its shards, those that
    its parent names too; None without a parent, or where that cannot be read.
    """

    digest: str
    written: float
    current: bool
    manifest: Manifest | None
    shared: int | None = None
    problem: str = ""


def find_store(place: Path) -> Path:
    """Return the store that `place` is, or that the run folder `place` holds.

    Raises:
        StoreError: if there is none.
    """
    for store in (place, place / "shards"):
        if (store / "manifests").is_dir() or (store / "CURRENT").is_file():
            return store
    told = "A store holds the folder manifests; a run folder holds a store named shards."
    raise StoreError(str(place), "there is no store of shards here", allowed=told)


def list_digests(out: Path) -> list[str]:
    """Return the digest of every manifest in the store, sorted."""
    names = (path.stem for path in (out / "manifests").glob("*.json"))
    return sorted(name for name in names if is_digest(name))


def find_digest(out: Path, name: str | None = None) -> str:
    """Return the digest of the manifest that a person means.

    name: the digest or its first 6 digits or more; 'current' (or None); 'raw', the manifest that
    the current one descends from; or the name that manifests were written with, such as 'cleaned',
    for the one of them that was written last.

    Raises:
        StoreError: if no manifest is meant, or several; it names the nearest.
        DamageError: if 'raw' is behind a manifest that cannot be read.
    """
    if name in (None, "current"):
        return current_digest(out)
    known = list_digests(out)
    if name == "raw":
        return _find_raw(out, known)
    wanted = str(name).lower()
    found = [digest for digest in known if digest.startswith(wanted)]
    if len(found) == 1 and len(wanted) >= LEAST_DIGITS:
        return found[0]
    names = {
        entry.manifest.name: entry for entry in reversed(list_manifests(out)) if entry.manifest
    }
    if name in names:
        return names[name].digest
    if len(wanted) < LEAST_DIGITS:
        problem = f"a digest needs its first {LEAST_DIGITS} digits or more"
    else:
        problem = "several manifests begin so" if found else "no manifest begins so"
    told = _tell_nearest(wanted, found or known, names)
    raise StoreError(str(out), problem, got=name, allowed=told)


def _find_raw(out: Path, known: list[str]) -> str:
    if (out / "CURRENT").is_file():
        manifest = read_manifest(out)
        while manifest.parent:
            manifest = read_manifest(out, manifest.parent)
        return manifest.digest
    roots = [digest for digest in known if read_manifest(out, digest).parent is None]
    if len(roots) == 1:
        return roots[0]
    told = _tell_nearest("", roots or known)
    raise StoreError(str(out), "which manifest is raw is open: none is current", allowed=told)


def _tell_nearest(wanted: str, among: list[str], names: Iterable[str] = ()) -> str:
    if not among:
        return "The store holds no manifest."

    def unlike(digest: str) -> float:
        return -SequenceMatcher(None, wanted, digest[: len(wanted)]).ratio()

    nearest = sorted(among, key=unlike)[:_NEAREST]
    length = max(12, len(wanted) + LEAST_DIGITS)
    rest = f" and {len(among) - _NEAREST} more" if len(among) > _NEAREST else ""
    words = ", ".join(dict.fromkeys(("raw", *sorted(names), "current")))
    return f"Nearest: {', '.join(digest[:length] for digest in nearest)}{rest}; or {words}."


def list_manifests(out: Path) -> list[Entry]:
    """Return every manifest of the store, the one that was written last first."""
    try:
        current = current_digest(out)
    except StoreError:
        current = ""
    held: dict[str, Manifest | DamageError | StoreError] = {}
    for digest in list_digests(out):
        try:
            held[digest] = read_manifest(out, digest)
        except (DamageError, StoreError) as broken:
            held[digest] = broken
    entries = [_entry(out, digest, held, current=digest == current) for digest in held]
    return sorted(entries, key=lambda entry: (-entry.written, entry.digest))


def _entry(
    out: Path, digest: str, held: dict[str, Manifest | DamageError | StoreError], *, current: bool
) -> Entry:
    written = (out / "manifests" / f"{digest}.json").stat().st_mtime
    found = held[digest]
    if not isinstance(found, Manifest):
        return Entry(digest, written, current, None, problem=found.problem)
    parent = held.get(found.parent or "")
    shared = None
    if isinstance(parent, Manifest):
        before = {shard.path for shard in parent.shards}
        shared = sum(shard.path in before for shard in found.shards)
    return Entry(digest, written, current, found, shared)


def use(out: Path, digest: str, *, prove: bool = False) -> Manifest:
    """Make a manifest of the store the current one, and return it.

    Its files must be there with their sizes; with `prove` they and its ancestors' must also have
    their sha256. `CURRENT` moves last, so that a reader sees one of the two.

    Raises:
        StoreError: if there is no such manifest, or another process is writing.
        DamageError: if a file is missing or is not what was written; `CURRENT` stays.
    """
    with locked(out):
        manifest = read_manifest(out, digest)
        for path, problem in find_lost(out, manifest):
            raise DamageError(path, None, problem, _ADVICE)
        if prove and (found := verify(out, digest)):
            first = found[0]
            row = None if first.row < 0 else first.row
            raise DamageError(first.path, row, first.problem, _ADVICE)
        point_current(out, digest)
    return manifest
