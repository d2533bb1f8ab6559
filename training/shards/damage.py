"""Damage: stored bytes that are not what was written, found and named by shard and row."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from training.errors import DamageError, StoreError
from training.shards.digest import content_digests, footer_digest
from training.shards.manifest import Manifest, Shard, current_digest, read_manifest
from training.shards.place import Store, locate_shard
from training.shards.rows import holds_images
from training.shards.store import file_digest

UNREADABLE = (OSError, pa.ArrowException, ValueError)


@dataclass(frozen=True, slots=True, order=True)
class Damage:
    """One damaged place. row: position in the shard; -1 if it lies outside any one row."""

    path: str
    row: int
    problem: str

    def error(self) -> DamageError:
        """Return the error that says so."""
        return DamageError(self.path, None if self.row < 0 else self.row, self.problem)


def verify(out: Path, digest: str | None = None) -> list[Damage]:
    """Return all damage in a manifest (`CURRENT` if None), its ancestors and their files, sorted.

    Cost: one sha256 over every file; rows are looked at only where that fails.
    """
    found: set[Damage] = set()
    try:
        wanted: str | None = digest or current_digest(out)
    except StoreError as missing:
        return [Damage("CURRENT", -1, missing.problem)]
    while wanted:
        try:
            manifest = read_manifest(out, wanted)
        except (DamageError, StoreError) as broken:
            found.add(Damage(f"manifests/{wanted}.json", -1, broken.problem))
            break
        found.update(_inspect(out, manifest))
        wanted = manifest.parent
    return sorted(found)


def _inspect(out: Path, manifest: Manifest) -> Iterator[Damage]:
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    for shard in shards:
        yield from inspect_shard(out, shard)
    files = [*(shard.index for shard in shards), *manifest.ledger, manifest.fills]
    for file in (one for one in files if one):
        now = file_digest(out / file.path)
        if now != file.sha256:
            yield Damage(file.path, -1, "is missing" if now is None else "is not what was written")


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
