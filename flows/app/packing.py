"""Brings samples to the shards: the raw set as it came, the cleaned set as it was decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import xxhash

from checks.core.check import Check
from checks.core.errors import SourceError
from flows.app.config import Config, digest
from flows.app.filling import Proposed

IMAGES_IN_BATCH, ROWS_IN_BATCH = 128, 50_000
WAIT_S = 60.0  # for `gristmill shards gc` or `use`, which hold the store for a moment
RESERVED = ("key", "label", "label_orig", "split", "weight", "xxh3_128")
AS_THEY_CAME = {"new_label": pl.String, "weight": pl.Float32}


def write_raw(
    out: Path, source: Any, samples: pl.DataFrame, unreadable: set[str], config: Config
) -> Any:
    """Write all readable samples as they came; return their manifest (no parent, not current).

    Raises:
        SourceError: a file changed since it was profiled.
        TrainingError: the store cannot be written, or nothing is readable.
    """
    from training.shards.ledger import build_ledger  # noqa: PLC0415 - torch is slow to import
    from training.shards.writer import write_manifest  # noqa: PLC0415

    columns = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in AS_THEY_CAME.items()]
    kept = samples.filter(~pl.col("sample_id").is_in(sorted(unreadable))).with_columns(*columns)
    ledger = build_ledger(samples, unreadable=unreadable)
    spec = _spec("raw", source, samples, config, classes=classes_of(samples))
    return write_manifest(out, read_batches(source, kept), ledger, spec, wait_s=WAIT_S)


def write_cleaned(
    out: Path, source: Any, tables: Mapping[str, pl.DataFrame], config: Config, *,
    checks: list[Check], parent: str, make_current: bool, filled: Proposed | None = None,
) -> Any:  # fmt: skip
    """Write what the decisions keep, relabel and repair; return the manifest.

    tables: samples, decisions, repairs and findings. parent: digest of the raw manifest. filled:
    what [fill] proposed, some of which the repairs took.

    Raises:
        SourceError: a file changed since it was profiled.
        TrainingError: the store cannot be written, or every sample was taken out.
    """
    from training.shards.ledger import build_ledger  # noqa: PLC0415 - torch is slow to import
    from training.shards.writer import write_manifest  # noqa: PLC0415

    samples, decisions = tables["samples"], tables["decisions"]
    stays = decisions.filter(pl.col("outcome").is_in(["kept", "repaired"]))
    kept = samples.join(stays.select("sample_id", *AS_THEY_CAME), on="sample_id", how="inner")
    versions = {check.id: check.version for check in checks}
    ledger = build_ledger(samples, decisions, tables["findings"], versions=versions)
    classes = sorted({*classes_of(samples), *decisions["new_label"].drop_nulls()})
    spec = _spec("cleaned", source, samples, config, classes=tuple(classes), checks=checks)
    batches = read_batches(source, kept.sort("sample_id"), tables["repairs"])
    return write_manifest(out, batches, ledger, spec, parent=parent, make_current=make_current,
                          fills=_fills(filled, tables["repairs"]), wait_s=WAIT_S)  # fmt: skip


def _fills(filled: Proposed | None, repairs: pl.DataFrame) -> Any:
    """Return the filled cells under the names that columns have in shards, None without any."""
    from training.fills import Fills  # noqa: PLC0415 - torch is slow to import

    cells = filled.settle(repairs) if filled is not None else pl.DataFrame()
    if filled is None or cells.is_empty():
        return None
    named = {name: stored_name(name) for name in cells["column"].unique()}
    fitted = {stored_name(name): told for name, told in filled.facts["fitted"].items()}
    stored = cells.with_columns(pl.col("column").replace(named))
    return Fills(stored, indicator=filled.facts["indicator"], fitted=fitted)


def classes_of(samples: pl.DataFrame) -> tuple[str, ...]:
    """Return the labels that occur, sorted."""
    return tuple(samples["label"].drop_nulls().unique().sort())


def _spec(
    name: str, source: Any, samples: pl.DataFrame, config: Config, *,
    classes: tuple[str, ...], checks: list[Check] | None = None,
) -> Any:  # fmt: skip
    from training.shards.writer import ShardSpec  # noqa: PLC0415

    told = [
        {"id": check.id, "version": check.version, "params_digest": digest(dict(check.params))}
        for check in checks or []
    ]
    content = digest(samples["sample_id"].sort().to_list())
    return ShardSpec(
        name=name,
        kind=source.modality,
        classes=classes,
        config_digest=config.result_digest,
        checks=tuple(told),
        source=({"uri": ".", "rows": samples.height, "sha256": content},),
        shard_bytes=config.shards.shard_bytes,
        layout=config.shards.layout,
    )


def read_batches(
    source: Any, kept: pl.DataFrame, repairs: pl.DataFrame | None = None
) -> Iterator[Any]:
    """Yield pyarrow record batches of the samples in `kept`, as training/shards.py takes them.

    kept: tables.Samples with new_label and weight (null: as it came).
    """
    named = kept.select(
        "uri",
        "row",
        "xxh3_128",
        pl.col("sample_id").alias("key"),
        pl.coalesce("new_label", "label").alias("label"),
        pl.col("label").alias("label_orig"),
        "split",
        pl.col("weight").fill_null(1.0),
    )
    read = _read_images(source, named) if source.modality == "image" else _read_rows(
        source, named.drop("xxh3_128"), repairs
    )  # fmt: skip
    for frame in read:
        yield from frame.to_arrow().combine_chunks().to_batches()


def _read_images(source: Any, named: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for entries in named.sort("uri", "row").iter_slices(IMAGES_IN_BATCH):
        contents = [
            _unchanged(content, uri, held)
            for content, uri, held in zip(
                source.read_bytes(entries), entries["uri"], entries["xxh3_128"], strict=True
            )
        ]
        payload = pl.DataFrame({"bytes": contents, "path": source.file_names(entries)},
                               schema={"bytes": pl.Binary, "path": pl.String})  # fmt: skip
        yield entries.drop("uri", "row", "xxh3_128").with_columns(
            image=payload.to_struct("image"),
        )


def _unchanged(content: bytes | OSError, uri: str, held: str) -> bytes:
    if isinstance(content, OSError) or xxhash.xxh3_128_hexdigest(content) != held:
        advice = "Start the run again: it profiles what is new."
        raise SourceError(uri, "changed while the run was reading it", advice=advice)
    return content


def _read_rows(
    source: Any, named: pl.DataFrame, repairs: pl.DataFrame | None
) -> Iterator[pl.DataFrame]:
    wanted = list(source.content_columns)
    changes = {} if repairs is None else _by_column(repairs)
    for batch in source.scan().collect_batches(chunk_size=ROWS_IN_BATCH, maintain_order=True):
        rows = batch.select("uri", "row", *wanted)
        rows = rows.rename({name: stored_name(name) for name in wanted})
        joined = rows.join(named, on=["uri", "row"], how="inner", maintain_order="left")
        for column, cells in changes.items():
            joined = _repair(joined, stored_name(column), cells)
        flat = [_flat(joined, stored_name(name)) for name in wanted]
        yield joined.drop("uri", "row").with_columns(flat)


def stored_name(column: str) -> str:
    """Return the name that a data column has in shards; some names are taken there.

    >>> stored_name("age"), stored_name("weight")
    ('age', 'weight_')
    """
    return f"{column}_" if column in RESERVED else column


def _by_column(repairs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    named = repairs.select("column", pl.col("sample_id").alias("key"), "after", repaired=True)
    return {str(key[0]): part.drop("column") for key, part in named.group_by("column")}


def _repair(rows: pl.DataFrame, column: str, cells: pl.DataFrame) -> pl.DataFrame:
    from training.fills import as_type  # noqa: PLC0415 - with the shards' other modules

    if column not in rows.columns:
        return rows
    joined = rows.join(cells, on="key", how="left", maintain_order="left")
    after = as_type(pl.col("after"), rows.schema[column])
    mended = pl.when(pl.col("repaired").fill_null(value=False)).then(after).otherwise(column)
    return joined.with_columns(mended.alias(column)).drop("after", "repaired")


def _flat(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return the column as it is, a nested one as JSON text: shards hold plain types only."""
    if not rows.schema[name].is_nested():
        return pl.col(name)
    return pl.struct(name).struct.json_encode().alias(name)
