"""The commands about a store of shards: `gristmill shards`. Heavy libraries are imported inside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from flows.app.ending import FOUND

shards = App(name="shards", help="Prove, compare, go back in, tidy and export stores of shards.")
Flag = Parameter(negative="")


@Parameter(name="*")
@dataclass(frozen=True)
class Shown:
    """How a result is shown."""

    json: Annotated[bool, Parameter(negative="", help="Print the result as JSON on stdout.")] = (
        False
    )
    debug: Annotated[bool, Parameter(negative="", help="Show tracebacks.")] = False


AS_TEXT = Shown()


@shards.command
def verify(
    store: Path, digest: str | None = None, *, all: Annotated[bool, Flag] = False,  # noqa: A002
    repair: Annotated[bool, Flag] = False, shown: Shown = AS_TEXT,
) -> int:  # fmt: skip
    """Find every damaged byte in a manifest of STORE, its ancestors and all their files.

    Exit code 1 if anything is damaged.

    Args:
        store: a store of shards, or a run folder.
        digest: the first digits of a manifest's digest, its name, or `current` (default).
        all: every manifest of the store, not only that one and its ancestors.
        repair: make damaged and missing indexes anew from their shards first.
        shown: JSON, tracebacks.
    """
    from flows.app.progress import terminal_bar  # noqa: PLC0415
    from flows.app.shards_page import show_damage  # noqa: PLC0415
    from training.shards import damage, history  # noqa: PLC0415 - pyarrow is slow to import

    out = history.find_store(store)
    wanted = history.find_digest(out, digest) if digest is not None else None
    mended: list[str] = []
    if repair:
        with terminal_bar("repair") as progress:
            mended = damage.repair_indexes(out, wanted, every=all, progress=progress)
    with terminal_bar("verify") as progress:
        found = damage.verify(out, wanted, every=all, progress=progress)
    show_damage(out, found, mended, as_json=shown.json)
    return FOUND if found else 0


@shards.command
def diff(store: Path, before: str, after: str, *, shown: Shown = AS_TEXT) -> int:
    """Tell what became of samples between two manifests of STORE, and why some were dropped.

    Args:
        store: a store of shards, or a run folder.
        before: the first digits of a manifest's digest, its name in the log, or `current`.
        after: the same, of the manifest to compare it with.
        shown: JSON (with every key), tracebacks.
    """
    from flows.app.shards_page import show_changes  # noqa: PLC0415
    from training.shards.history import find_digest, find_store  # noqa: PLC0415
    from training.shards.manifest import read_manifest  # noqa: PLC0415

    out = find_store(store)
    old, new = (read_manifest(out, find_digest(out, name)) for name in (before, after))
    show_changes(out, old, new, as_json=shown.json)
    return 0


@shards.command
def log(store: Path, *, shown: Shown = AS_TEXT) -> int:
    """List the manifests of STORE, the one that was written last first.

    Args:
        store: a store of shards, or a run folder.
        shown: JSON, tracebacks.
    """
    from flows.app.shards_page import show_history  # noqa: PLC0415
    from training.shards.history import find_store, list_manifests  # noqa: PLC0415

    show_history(list_manifests(find_store(store)), as_json=shown.json)
    return 0


@shards.command
def use(
    store: Path, digest: str, *, verify: Annotated[bool, Flag] = False, shown: Shown = AS_TEXT
) -> int:
    """Make a manifest of STORE the current one, as when going back to an earlier state.

    Args:
        store: a store of shards, or a run folder.
        digest: the first digits of its digest, or its name in the log: `raw`, `cleaned`.
        verify: prove every byte of its files first, not only that they are there.
        shown: JSON, tracebacks.
    """
    from flows.app.shards_page import show_used  # noqa: PLC0415
    from training.shards import history  # noqa: PLC0415

    out = history.find_store(store)
    manifest = history.use(out, history.find_digest(out, digest), prove=verify)
    show_used(out, manifest, as_json=shown.json)
    return 0


@shards.command
def gc(
    store: Path, *, forget: Annotated[tuple[str, ...], Flag] = (),
    dry_run: Annotated[bool, Flag] = False, shown: Shown = AS_TEXT,
) -> int:  # fmt: skip
    """Delete the files of STORE that no manifest names, and nothing else.

    Args:
        store: a store of shards, or a run folder.
        forget: the first digits of a manifest's digest: give it up too (repeatable). Never the
            current one, nor the parent of another.
        dry_run: only tell what would be deleted.
        shown: JSON, tracebacks.
    """
    from flows.app.progress import terminal_bar  # noqa: PLC0415
    from flows.app.shards_page import show_collected  # noqa: PLC0415
    from training.shards.garbage import collect  # noqa: PLC0415
    from training.shards.history import find_digest, find_store  # noqa: PLC0415

    out = find_store(store)
    digests = [find_digest(out, name) for name in forget]
    with terminal_bar("gc") as progress:
        told = collect(out, forget=digests, dry_run=dry_run, progress=progress)
    show_collected(told, dry_run=dry_run, as_json=shown.json)
    return 0


@shards.command
def export(
    store: Path, target: Path, digest: str | None = None, *,
    to: Literal["webdataset", "mds", "hf"], shard_bytes: int | None = None,
    link: Annotated[bool, Flag] = False, force: Annotated[bool, Flag] = False,
    shown: Shown = AS_TEXT,
) -> int:  # fmt: skip
    """Write a manifest of STORE to the folder TARGET in a form that other loaders read.

    Args:
        store: a store of shards, or a run folder.
        target: a new or empty folder.
        digest: the first digits of a manifest's digest, its name, or `current` (default).
        to: tar archives, MosaicML Streaming, or a folder for Hugging Face datasets and its Hub.
        shard_bytes: largest file (default: 256 MiB for webdataset, 64 MiB for mds).
        link: for hf, hard links to the store's files instead of copies.
        force: replace an earlier export; a folder that holds anything else is never replaced.
        shown: JSON, tracebacks.
    """
    from flows.app.progress import terminal_bar  # noqa: PLC0415
    from flows.app.shards_page import show_exported  # noqa: PLC0415
    from training.export import formats  # noqa: PLC0415
    from training.shards.history import find_digest, find_store  # noqa: PLC0415
    from training.shards.manifest import read_manifest  # noqa: PLC0415

    out = find_store(store)
    manifest = read_manifest(out, find_digest(out, digest))
    with terminal_bar("export") as progress:
        told = formats.export(out, manifest, target, to, shard_bytes=shard_bytes, link=link,
                              force=force, progress=progress)  # fmt: skip
    show_exported(told, manifest, to, as_json=shown.json)
    return 0
