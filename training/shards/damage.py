"""Damage: stored bytes that are not what was written, found and named by shard and row."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from training.errors import DamageError, StoreError
from training.shards.digest import content_digests, footer_digest
from training.shards.index import encode_index, read_index
from training.shards.manifest import (
    Manifest,
    Shard,
    current_digest,
    is_digest,
    read_manifest,
    stored_files,
)
from training.shards.place import Store, locate_shard
from training.shards.rows import holds_images
from training.shards.store import StoredFile, file_digest, locked, write_atomic

Progress = Callable[[int, int], None]
UNREADABLE = (OSError, pa.ArrowException, ValueError)
WORST_FIRST = ("CURRENT", "manifests", "data", "ledger", "fills", "index")  # by what is lost


@dataclass(frozen=True, slots=True, order=True)
class Damage:
    """One damaged place. row: position in the shard; -1 if it lies outside any one row."""

    path: str
    row: int
    problem: str

    @property
    def part(self) -> str:
        """What kind of file it is: one of `WORST_FIRST`."""
        return self.path.split("/", 1)[0]

    def error(self) -> DamageError:
        """Return the error that says so."""
        return DamageError(self.path, None if self.row < 0 else self.row, self.problem)


def verify(
    out: Path, digest: str | None = None, *, every: bool = False, progress: Progress | None = None
) -> list[Damage]:
    """Return all damage in a manifest (`CURRENT` if None), its ancestors and their files.

    every: look at all manifests of the store. progress: told of files, done and all.
    Order: worst first (see `WORST_FIRST`), then by path and row. Memory: one row group.
    Cost: one sha256 over every file, also where several manifests name it; rows are looked at only
    where that fails.
    """
    manifests, found = read_lineages(out, digest, every=every)
    files = {(file.path, file.sha256): file for one in manifests for file in stored_files(one)}
    shards = {shard.index: shard for one in manifests for shard in one.shards if shard.index}
    for number, file in enumerate(files.values(), 1):
        if isinstance(file, Shard):
            found.update(inspect_shard(out, file))
        elif file in shards:
            found.update(inspect_index(out, shards[file]))
        elif problem := _differs(out, file):
            found.add(Damage(file.path, -1, problem))
        if progress:
            progress(number, len(files))
    return sorted(found, key=lambda one: (WORST_FIRST.index(one.part), one))


def read_lineages(
    out: Path, digest: str | None, *, every: bool = False
) -> tuple[list[Manifest], set[Damage]]:
    """Return a manifest (`CURRENT` if None) and its ancestors, and the damage met on the way.

    every: all manifests of the store.
    """
    manifests: dict[str, Manifest] = {}
    found: set[Damage] = set()
    for wanted in _starts(out, digest, found, every=every):
        follow: str | None = wanted
        while follow and follow not in manifests:
            try:
                manifests[follow] = read_manifest(out, follow)
            except (DamageError, StoreError) as broken:
                found.add(Damage(f"manifests/{follow}.json", -1, broken.problem))
                break
            follow = manifests[follow].parent
    return list(manifests.values()), found


def _starts(out: Path, digest: str | None, found: set[Damage], *, every: bool) -> list[str]:
    if digest is not None:
        return [digest]
    starts = [path.stem for path in sorted((out / "manifests").glob("*.json"))] if every else []
    try:
        current = current_digest(out)
    except StoreError as missing:
        if not every:
            found.add(Damage("CURRENT", -1, missing.problem))
        return starts
    if is_digest(current) and (out / "manifests" / f"{current}.json").exists():
        return [*starts, current]
    found.add(Damage("CURRENT", -1, "names no manifest of this store"))
    return starts


def _differs(out: Path, file: StoredFile | Shard) -> str:
    """How a file is not what was written; empty if it is."""
    now = file_digest(out / file.path)
    if now == file.sha256:
        return ""
    return "is missing" if now is None else "is not what was written"


def inspect_index(out: Path, shard: Shard) -> list[Damage]:
    """Return the damage in the index of a shard, by row where its shard is there to compare."""
    assert shard.index is not None
    path = shard.index.path
    problem = _differs(out, shard.index)
    if not problem or problem == "is missing":
        return [Damage(path, -1, problem)] if problem else []
    stored, fresh = read_index(out, shard), derive_index(out, shard)
    if stored is None or fresh is None:
        return [Damage(path, -1, problem)]
    told = "its entry is not what was written"
    rows = np.flatnonzero(stored != np.load(BytesIO(fresh), allow_pickle=False)).tolist()
    return [Damage(path, row, told) for row in rows] or [Damage(path, -1, problem)]


def derive_index(out: Path, shard: Shard) -> bytes | None:
    """Return the index of a shard made anew from it; None if that is not the one it had."""
    if shard.index is None or not holds_footer(out / shard.path, shard):
        return None
    try:
        file = pq.ParquetFile(out / shard.path, page_checksum_verification=True)
        rows = pl.DataFrame(pl.from_arrow(file.read(columns=["key", "label", "weight"])))
        with (out / shard.path).open("rb") as bare:
            whole = mmap.mmap(bare.fileno(), 0, access=mmap.ACCESS_READ)
            made = encode_index(memoryview(whole), rows)
    except UNREADABLE:
        return None
    return made if made and hashlib.sha256(made).hexdigest() == shard.index.sha256 else None


def repair_indexes(
    out: Path, digest: str | None = None, *, every: bool = False, progress: Progress | None = None
) -> list[str]:
    """Make damaged and missing indexes anew from their shards; return their paths, sorted.

    An index is derived and named by its content: it is stored only if it has the digest that the
    manifest names. One whose shard is damaged too stays as it is. Arguments as for `verify`.

    Raises:
        StoreError: if another process is writing, or the folder cannot be written.
    """
    with locked(out):
        manifests, _ = read_lineages(out, digest, every=every)
        shards = {shard.index: shard for one in manifests for shard in one.shards if shard.index}
        mended = []
        for number, (index, shard) in enumerate(shards.items(), 1):
            if _differs(out, index) and (made := derive_index(out, shard)):
                write_atomic(out / index.path, made)
                mended.append(index.path)
            if progress:
                progress(number, len(shards))
    return sorted(mended)


def inspect_shard(out: Store, shard: Shard) -> list[Damage]:
    """Return the damage in one shard, by row as far as it can be told; empty if it is intact."""
    path = locate_shard(out, shard)
    now = file_digest(path)
    if now == shard.sha256:
        return []
    if now is None:
        return [Damage(shard.path, -1, "the shard is missing")]
    if not holds_footer(path, shard):
        return [Damage(shard.path, -1, "the footer is not what was written")]
    plain = pq.ParquetFile(path)
    guarded = pq.ParquetFile(path, page_checksum_verification=True)
    found, start = [], 0
    for group in range(plain.num_row_groups):
        rows = plain.metadata.row_group(group).num_rows
        found += list(_inspect_group(shard.path, plain, guarded, group, range(start, start + rows)))
        start += rows
    return found or [Damage(shard.path, -1, "its bytes are not what was written")]


def holds_footer(path: Path, shard: Shard) -> bool:
    """Return whether a file ends with the footer that `shard` was written with."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return footer_digest(memoryview(whole)) == shard.footer


def _inspect_group(
    path: str, plain: Any, guarded: Any, group: int, rows: range
) -> Iterator[Damage]:
    """Damaged rows of one row group; else the columns whose page checksums fail, at its first."""
    whole = f"rows {rows.start} to {rows.stop - 1}"
    try:
        table = plain.read_row_group(group, use_threads=False)
        table.validate(full=True)
        broken = damaged_rows(table)
    except UNREADABLE:
        broken = []
    yield from (Damage(path, rows[row], "its content is not what was written") for row in broken)
    if broken:
        return
    for column in plain.schema_arrow.names:
        try:
            guarded.read_row_group(group, columns=[column], use_threads=False)
        except UNREADABLE:
            yield Damage(path, rows.start, f"column {column!r} is not what was written ({whole})")


def damaged_rows(table: Any) -> list[int]:
    """Return the positions in `table` whose content no longer has its xxh3_128."""
    wanted = table.column("xxh3_128").to_pylist()
    found: Sequence[str | None]
    if holds_images(table.schema):
        images = table.column("image").combine_chunks()
        found = [image_digest(value) for value in images.field("bytes")]
    else:
        found = content_digests(pl.DataFrame(pl.from_arrow(table)))
    return [row for row, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1]]


def image_digest(value: Any) -> str | None:
    """Return the xxh3-128 of a pyarrow binary scalar, in hex; None if it is null."""
    return xxhash.xxh3_128_hexdigest(value.as_buffer()) if value.is_valid else None
