"""The forms that a manifest can be exported to, and the export itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from training.errors import StoreError, TrainingError
from training.export import mds, webdataset
from training.export.folder import Tell, fresh_folder, write_about
from training.export.hub import write_card, write_split
from training.export.mds import write_mds
from training.export.webdataset import write_webdataset
from training.shards.damage import Progress
from training.shards.manifest import Manifest
from training.shards.store import StoredFile

Form = Literal["webdataset", "mds", "hf"]
FORMS: tuple[Form, ...] = get_args(Form)
Write = Callable[[str, Path, Tell], list[StoredFile]]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. splits: entries of each split's files; one without rows is left out."""

    target: Path
    splits: Mapping[str, tuple[StoredFile, ...]]
    empty: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Of all files that hold rows."""
        return sum(file.bytes for files in self.splits.values() for file in files)


def export(
    out: Path,
    manifest: Manifest,
    target: Path,
    to: Form,
    *,
    shard_bytes: int | None = None,
    link: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write the rows of a manifest as a folder that other loaders read, whole or not at all.

    Every row is proven on its way. The same manifest gives the same bytes. Memory: one row group,
    of `mds` one shard.

    Args:
        out: the store.
        manifest: which data set of it.
        target: a folder that is new or empty.
        to: 'webdataset' (tar archives), 'mds' (MosaicML Streaming) or 'hf' (Hugging Face).
        shard_bytes: largest file of the first two; None: 256 MiB and 64 MiB.
        link: of 'hf', hard links to the store's files instead of copies.
        force: replace an earlier export.
        progress: told of rows, done and all.

    Raises:
        StoreError: if the target is in the way or cannot be written.
        DamageError: if a shard is not what was written; the target stays as it was.
        TrainingError: if an argument does not fit.
    """
    _refuse(out, target, to, shard_bytes, link=link)
    splits = sorted(manifest.splits)
    full = [split for split in splits if manifest.split(split).rows]
    with fresh_folder(target, force=force) as folder:
        write = _writer(out, manifest, to, shard_bytes, link=link)
        tell = _count(progress, manifest.rows)
        written = {split: tuple(write(split, folder, tell)) for split in full}
        if to == "hf":
            write_card(folder, manifest, full)
        write_about(folder, to, manifest, written)
    return Exported(target, written, tuple(split for split in splits if split not in full))


def _refuse(out: Path, target: Path, to: str, shard_bytes: int | None, *, link: bool) -> None:
    if to not in FORMS:
        known = f"Forms: {', '.join(FORMS)}."
        raise TrainingError("export", "no such form", got=to, allowed=known)
    if link and to != "hf":
        raise TrainingError("export", "only hf can be linked", got=to)
    if shard_bytes is not None and (shard_bytes < 1 or to == "hf"):
        told = "A number of bytes above 0, for webdataset and mds; hf has the shards of the store."
        raise TrainingError("export", "shard bytes do not fit", got=shard_bytes, allowed=told)
    if target.absolute().resolve().is_relative_to(out.absolute().resolve()):
        advice = "Choose a folder outside."
        raise StoreError(str(target), "lies in the store itself", advice=advice)


def _writer(
    out: Path, manifest: Manifest, to: Form, shard_bytes: int | None, *, link: bool
) -> Write:
    if to == "hf":
        return lambda split, folder, tell: write_split(
            out, manifest, split, folder, link=link, tell=tell
        )
    write, usual = {
        "webdataset": (write_webdataset, webdataset.SHARD_BYTES),
        "mds": (write_mds, mds.SHARD_BYTES),
    }[to]
    bound = partial(write, out, manifest, shard_bytes=shard_bytes or usual)
    return lambda split, folder, tell: bound(split, folder, tell=tell)


def _count(progress: Progress | None, rows: int) -> Tell:
    done = 0

    def tell(more: int, /) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, rows)

    return tell
