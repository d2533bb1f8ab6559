"""Shards: the cleaned data as files that other tools read, and the books that go with them.

    out/CURRENT                          digest of the current manifest; moves last
    out/manifests/<sha256>.json          see manifest.py
    out/data/<split>/<sha16>.parquet     content-addressed; see format.py
    out/index/<sha16>.npy                where each image lies; derived, see index.py
    out/ledger/<sha16>.parquet           one row for each input sample; see ledger.py

One store holds both data sets, raw (no parent) and cleaned (parent: raw). A row's shard depends on
the hash of its key alone, so a dropped sample changes its own shard and the others are shared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import polars as pl

from training.encoding import fit_encoding
from training.errors import TrainingError
from training.fills import Fills, store_fills
from training.shards.format import ROW_GROUP_BYTES, describe_schema, encode_frame
from training.shards.ledger import settle
from training.shards.manifest import FORMAT, Manifest, Shard, Split, read_manifest, store_manifest
from training.shards.rows import shape_images, shape_table
from training.shards.shard import Plan, write_shard
from training.shards.spill import Runs, Spill, count_bits
from training.shards.store import locked, point_current, put
from training.shards.workers import spread


@dataclass(frozen=True, slots=True)
class Written:
    """A shard that is in the store. rows: key, split, labels and place of each of its rows."""

    split: str
    shard: Shard
    rows: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSpec:
    """How a data set is written.

    classes: label names in order, the class numbers of training; empty: those that occur, sorted.
    source: what was read, each with uri relative to its root, bytes, sha256, rows as far as known.
    shard_bytes, shard_rows: upper limits of an average shard; a cleaned manifest keeps its parent's
    number of shards. layout: 'train' (images uncompressed) or 'archive' (all zstd).
    """

    name: str
    kind: Literal["image", "table"]
    classes: tuple[str, ...] = ()
    config_digest: str = ""
    checks: tuple[Mapping[str, object], ...] = ()
    source: tuple[Mapping[str, object], ...] = ()
    shard_bytes: int = 256 * 1024 * 1024
    shard_rows: int = 1_000_000
    layout: Literal["train", "archive"] = "train"


def write_manifest(
    out: Path,
    batches: Iterable[Any],
    ledger: Any,
    spec: ShardSpec,
    *,
    parent: str | None = None,
    make_current: bool = False,
    fills: Fills | None = None,
    processes: int = 1,
    wait_s: float = 0.0,
) -> Manifest:
    """Write rows as shards, then their ledger, then their manifest, then `CURRENT`.

    out: the store. batches: pyarrow RecordBatches as `shape_images` or `shape_table` take them, in
    any order. ledger: pyarrow Table as `settle` takes it (see `build_ledger`), one row for each
    input sample. parent: digest of the raw manifest that these rows were cleaned from. fills: the
    cells that were filled, if any. processes: that encode shards, with the same bytes for any
    number; two did not pay on two cores. wait_s: seconds to wait for another writer of this store.
    Memory: twice a shard for each process, and the ledger; of a table the rows that its encoding is
    fitted on, too. Disk: one copy of the rows beside the shards until the end. A killed or failed
    write leaves `CURRENT` as it was; a second one skips shards that are there.

    Raises:
        StoreError: if the store is in use, read-only or full.
        LedgerError: if rows and ledger do not balance.
        TrainingError: if batches or labels are not what the spec says.
    """
    _refuse_absolute(spec.source)
    with locked(out, wait_s=wait_s), Spill(out) as spill:
        old = read_manifest(out, parent) if parent else None
        before = old.splits if old else {}
        runs = _collect(spill, batches, spec)
        bits = {name: _bits(before.get(name), total, spec) for name, total in runs.totals.items()}
        schema, entry = describe_schema(runs.schema)
        plan = Plan(out, runs, bits, schema, spec.layout)
        written = _write_shards(plan, processes)
        placed = pl.concat(one.rows for one in written)
        books = settle(ledger, placed)
        manifest = Manifest(
            digest="",
            format=FORMAT,
            kind=spec.kind,
            name=spec.name,
            parent=parent,
            logical_digest=_logical(written),
            created_by=_versions(),
            config={"digest": spec.config_digest},
            source=spec.source,
            checks=spec.checks,
            schema=entry,
            classes=_classes(placed, spec),
            splits=_splits(written, bits, books),
            ledger=(put(out, "ledger", encode_frame(books), len(books)),),
            layout=_layout(spec),
            encoding=_encoding(out, written, spec, old, fills),
            fills=store_fills(out, fills) if fills else None,
        )
        manifest = store_manifest(out, manifest)
        if make_current:
            point_current(out, manifest.digest)
    return manifest


def _refuse_absolute(source: Iterable[Mapping[str, object]]) -> None:
    for uri in (str(entry.get("uri", "")) for entry in source):
        if uri.startswith(("/", "file:")):
            advice = "Give it relative to the root of the source: digests must not hold places."
            raise TrainingError("shards", "a source has an absolute path", got=uri, advice=advice)


def _collect(spill: Spill, batches: Iterable[Any], spec: ShardSpec) -> Runs:
    shape = shape_images if spec.kind == "image" else shape_table
    for batch in batches:
        if batch.num_rows:
            spill.add(*shape(batch))
    return spill.finish()


def _bits(before: Split | None, total: tuple[int, int], spec: ShardSpec) -> int:
    if before is not None:
        return before.bits
    return count_bits(*total, spec.shard_rows, spec.shard_bytes)


def _write_shards(plan: Plan, processes: int) -> list[Written]:
    """Encode all shards; each with its first row's place in the split, and its rows' places."""
    places = plan.places()
    written: list[Written] = []
    ends: Counter[str] = Counter()
    made = spread(partial(write_shard, plan), places, processes)
    for (split, _), found in zip(places, made, strict=True):
        if found:
            shard, rows = replace(found[0], row_start=ends[split]), found[1]
            ends[split] += shard.rows
            shown = [pl.lit(shard.path).alias("shard"), pl.int_range(pl.len()).alias("shard_row")]
            written.append(Written(split, shard, rows.with_columns(shown)))
    return written


def _logical(written: list[Written]) -> str:
    lines = "".join(f"{one.split} {one.shard.logical}\n" for one in written)
    return hashlib.sha256(lines.encode()).hexdigest()


def _classes(placed: pl.DataFrame, spec: ShardSpec) -> tuple[str, ...]:
    seen = sorted(placed["label"].drop_nulls().unique().to_list())
    if not spec.classes:
        return tuple(seen)
    if strays := sorted(set(seen) - set(spec.classes)):
        known = f"Classes: {', '.join(spec.classes[:20])}."
        raise TrainingError(f"shards {spec.name}", "unknown labels", got=strays[:3], allowed=known)
    return spec.classes


def _splits(written: list[Written], bits: Mapping[str, int], books: Any) -> dict[str, Split]:
    counted = books.column("split").value_counts().to_pylist()
    rows_in = {str(one["values"]): int(one["counts"]) for one in counted}
    return {name: _split(name, written, bits.get(name, 0), rows_in[name]) for name in rows_in}


def _split(name: str, written: list[Written], bits: int, rows_in: int) -> Split:
    shards = tuple(one.shard for one in written if one.split == name)
    counts: Counter[str] = Counter()
    for shard in shards:
        counts.update(shard.label_counts)
    rows = sum(shard.rows for shard in shards)
    return Split(
        rows=rows,
        rows_in=rows_in,
        dropped=rows_in - rows,
        bytes=sum(shard.bytes for shard in shards),
        bits=bits,
        label_counts=dict(counts),
        shards=shards,
    )


def _encoding(
    out: Path, written: list[Written], spec: ShardSpec,
    old: Manifest | None, fills: Fills | None,
) -> Mapping[str, Any] | None:  # fmt: skip
    """That of the parent, or fitted on train; with what the cells were filled by."""
    train = [one.shard for one in written if one.split == "train"]
    if old is not None:
        own = old.encoding
    else:
        own = fit_encoding(out, train) if spec.kind == "table" and train else None
    return {**own, "fills": fills.to_plain()} if own and fills else own


def _layout(spec: ShardSpec) -> dict[str, object]:
    return {
        "name": spec.layout,
        "image_compression": "none" if spec.layout == "train" else "zstd",
        "page_crc": True,
        "row_group_bytes": ROW_GROUP_BYTES,
        "shard_bytes": spec.shard_bytes,
        "shard_rows": spec.shard_rows,
        "order": "key",
    }


def _versions() -> dict[str, str]:
    return {"gristmill": version("gristmill"), "writer": f"pyarrow {version('pyarrow')}"}
