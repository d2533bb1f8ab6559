"""The ledger: one row for every INPUT sample, saying what became of it, why, and where it lies.

Nothing vanishes: kept + repaired + dropped + quarantined == input, every key stands once, and a
sample is in a shard exactly if it was kept or repaired. No manifest becomes current before that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from training.errors import DamageError, LedgerError
from training.shards.manifest import Manifest
from training.shards.store import file_digest

OUTCOMES = ("kept", "repaired", "dropped", "quarantined")
STORED = ("kept", "repaired")
REASON = pa.struct(
    [
        ("check_id", pa.string()),
        ("check_version", pa.int32()),
        ("column", pa.string()),
        ("rule", pa.string()),
        ("observed", pa.float64()),
        ("threshold", pa.float64()),
        ("severity", pa.string()),
    ]
)
LEDGER_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("source_uri", pa.string()),
        ("source_row", pa.int64()),
        ("source_xxh3_128", pa.string()),
        ("action", pa.string()),
        ("outcome", pa.string()),
        ("decided_by", pa.string()),
        ("reasons", pa.list_(REASON)),
        ("dup_of", pa.string()),
        ("label_before", pa.string()),
        ("label_after", pa.string()),
        ("shard", pa.string()),
        ("shard_row", pa.int64()),
    ]
)
_REQUIRED = ("key", "split", "action", "outcome")


def build_ledger(
    samples: pl.DataFrame,
    decisions: pl.DataFrame | None = None,
    findings: pl.DataFrame | None = None,
    *,
    versions: Mapping[str, int] | None = None,
    unreadable: Collection[str] = (),
) -> Any:
    """Return the ledger of `samples` (a pyarrow Table of `LEDGER_SCHEMA`), sorted by key.

    samples: sample_id, split, label, uri, row, xxh3_128. decisions: sample_id, action, outcome,
    new_label, decided_by; without them everything is kept. findings: become the reasons.
    versions: of the checks, by id. unreadable: keys that no shard can hold; they are dropped.

    >>> frame = pl.DataFrame({"sample_id": ["a"], "split": ["train"], "label": ["x"],
    ...     "uri": ["a.png"], "row": [0], "xxh3_128": ["0"]})
    >>> build_ledger(frame, unreadable={"a"}).column("outcome").to_pylist()
    ['dropped']
    """
    frame = samples.select(
        pl.col("sample_id").alias("key"),
        "split",
        pl.col("uri").alias("source_uri"),
        pl.col("row").alias("source_row"),
        pl.col("xxh3_128").alias("source_xxh3_128"),
        pl.col("label").alias("label_before"),
    )
    frame = _join_decisions(frame, decisions)
    lost = pl.col("key").is_in(sorted(unreadable))
    frame = frame.with_columns(
        pl.when(lost).then(pl.lit("drop")).otherwise("action").alias("action"),
        pl.when(lost).then(pl.lit("dropped")).otherwise("outcome").alias("outcome"),
    )
    return conform(_join_reasons(frame, findings, versions or {}).to_arrow())


def _join_decisions(frame: pl.DataFrame, decisions: pl.DataFrame | None) -> pl.DataFrame:
    if decisions is None:
        kept = {"action": "keep", "outcome": "kept", "decided_by": "policy"}
        added = [pl.lit(value).alias(name) for name, value in kept.items()]
        return frame.with_columns(*added, label_after=pl.col("label_before"))
    wanted = decisions.select(
        pl.col("sample_id").alias("key"), "action", "outcome", "new_label", "decided_by"
    )
    _refuse(wanted.filter(pl.col("key").is_duplicated()), "samples have two decisions")
    _refuse(wanted.join(frame, on="key", how="anti"), "decisions are about unknown samples")
    joined = frame.join(wanted, on="key", how="left", maintain_order="left")
    label_after = pl.coalesce("new_label", "label_before")
    return joined.with_columns(label_after=label_after).drop("new_label")


def _join_reasons(
    frame: pl.DataFrame, findings: pl.DataFrame | None, versions: Mapping[str, int]
) -> pl.DataFrame:
    if findings is None or findings.is_empty():
        return frame
    numbers = pl.col("check_id").replace_strict(versions, default=1, return_dtype=pl.Int32)
    reason = pl.struct(
        "check_id",
        numbers.alias("check_version"),
        "column",
        pl.col("evidence").alias("rule"),
        pl.col("value").alias("observed"),
        "threshold",
        "severity",
    )
    copied = pl.col("dimension").is_in(["duplicate", "leak"])
    grouped = (
        findings.sort("sample_id", "check_id", "column")
        .group_by("sample_id", maintain_order=True)
        .agg(
            reason.alias("reasons"),
            pl.col("suggestion").filter(copied).drop_nulls().first().alias("dup_of"),
        )
        .rename({"sample_id": "key"})
    )
    return frame.join(grouped, on="key", how="left", maintain_order="left")


def conform(ledger: Any) -> Any:
    """Return `ledger` with the columns and types of `LEDGER_SCHEMA`; absent ones are null.

    Raises:
        LedgerError: if a required column is missing or a column is unknown or of another type.
    """
    names = ledger.column_names
    if missing := [name for name in _REQUIRED if name not in names]:
        raise LedgerError("ledger", "columns are missing", got=missing)
    if unknown := [name for name in names if name not in LEDGER_SCHEMA.names]:
        known = f"Known: {', '.join(LEDGER_SCHEMA.names)}."
        raise LedgerError("ledger", "unknown columns", got=unknown, allowed=known)
    arrays = [
        ledger.column(field.name) if field.name in names else pa.nulls(len(ledger), field.type)
        for field in LEDGER_SCHEMA
    ]
    try:
        return pa.table(arrays, names=LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA).sort_by("key")
    except pa.ArrowException as broken:
        raise LedgerError("ledger", "a column has another type", got=str(broken)) from broken


def settle(ledger: Any, placed: pl.DataFrame) -> Any:
    """Return the ledger with the shard and row of every stored sample, once the books balance.

    placed: key, split, label, label_orig, shard, shard_row of every row in every shard.

    Raises:
        LedgerError: if a sample stands twice, was lost, was stored though dropped, is in no
            ledger row, or changed its split.
    """
    table = conform(ledger)
    books = pl.DataFrame(pl.from_arrow(table.select(["key", "split", "outcome"])))
    _refuse(books.filter(pl.col("key").is_duplicated()), "samples stand in the ledger twice")
    _refuse(books.filter(~pl.col("outcome").is_in(OUTCOMES)), "samples have no known outcome")
    _refuse(books.filter(pl.col("outcome").is_null()), "samples have no outcome")
    _refuse(placed.filter(pl.col("key").is_duplicated()), "samples stand in the shards twice")
    stored = books.filter(pl.col("outcome").is_in(STORED))
    _refuse(stored.join(placed, on="key", how="anti"), "samples are kept but in no shard")
    _refuse(placed.join(stored, on="key", how="anti"), "samples are in a shard but not kept")
    both = books.select("key", "split").join(placed, on="key", how="left", maintain_order="left")
    _refuse(both.filter(pl.col("split") != pl.col("split_right")), "samples changed their split")
    found = {
        "label_before": pl.Series(table["label_before"]).fill_null(both["label_orig"]),
        "label_after": pl.Series(table["label_after"]).fill_null(both["label"]),
        "shard": both["shard"],
        "shard_row": both["shard_row"],
    }
    for name, column in found.items():
        place = LEDGER_SCHEMA.get_field_index(name)
        field = LEDGER_SCHEMA.field(place)
        table = table.set_column(place, field, column.to_arrow().cast(field.type))
    return table


def _refuse(broken: pl.DataFrame, problem: str) -> None:
    if broken.height:
        first = sorted(broken["key"].head(1_000).to_list())[:3]
        advice = "No manifest was made current."
        raise LedgerError("ledger", f"{broken.height} {problem}", got=first, advice=advice)


def read_ledger(out: Path, manifest: Manifest) -> pl.DataFrame:
    """Return the ledger of a manifest, sorted by key.

    Raises:
        DamageError: if its file is missing or not what was written.
    """
    for file in manifest.ledger:
        if file_digest(out / file.path) != file.sha256:
            raise DamageError(file.path, None, "the ledger is not what was written")
    frames = [pl.read_parquet(out / file.path) for file in manifest.ledger]
    return pl.concat(frames).sort("key")
