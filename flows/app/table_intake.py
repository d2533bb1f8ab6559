"""A table in two steps: its columns, whatever its size, and its rows once they are to be judged."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from checks.metrics.tabular import row_metrics
from checks.metrics.tabular_parts import Reading, profile_parts
from checks.sources.identity import digest_rows
from checks.sources.table_parts import divide_table, mark_parts
from flows.app.config import Config, digest
from flows.app.intake import (
    cache_of,
    describe,
    make_samples,
    once,
    read_roles,
    read_table_profile,
)
from flows.app.progress import Progress
from flows.app.store import RunFolder, StoreError


def open_parts(config: Config, run: RunFolder, source: Any) -> list[Reading]:
    """Return the files of a table, each with a mark of its content; once while one look holds."""
    folder = cache_of(config, run)

    def look() -> list[Reading]:
        parts = divide_table(source)
        return [
            Reading(mark, part.lazy.collect_schema(), part.batches)
            for part, mark in zip(parts, mark_parts(parts, folder), strict=True)
        ]

    told: list[Reading] = once(("parts", folder.resolve(), config.source), look)
    return told


def mark_content(config: Config, run: RunFolder, source: Any) -> str:
    """Return a mark of a table's content: equal for equal files in the same order."""
    return digest([part.mark for part in open_parts(config, run, source)])


def measure_columns(
    config: Config, run: RunFolder, source: Any, progress: Progress
) -> dict[str, Any]:
    """Return the profile of a table as plain data; each file is counted once, ever.

    Raises:
        SourceError: there are no rows, or label or split do not hold what they should.
    """
    roles = read_roles(config, source.count_roles())
    profile = profile_parts(
        open_parts(config, run, source), label=source.label, folder=cache_of(config, run),
        progress=progress,
    )  # fmt: skip
    told = {**json.loads(profile.to_json()), **describe(config, source, roles)}
    return {**told, "content": mark_content(config, run, source)}


def refuse_changed(config: Config, run: RunFolder, source: Any) -> None:
    """Raise StoreError if a table is not the one any more that was profiled."""
    if run.read_json("profile.json").get("content") != mark_content(config, run, source):
        raise StoreError(str(run.path), "the data has changed since it was measured",
                         advice="Run it again.")  # fmt: skip


def need_rows(config: Config, run: RunFolder, source: Any) -> None:
    """Write samples.parquet and metrics.parquet of a table's rows, unless they are there.

    Raises:
        StoreError: the columns have not been profiled, the data has changed since, or the disk is
            full.
    """
    if run.has("samples.parquet") and run.has("metrics.parquet"):
        return
    refuse_changed(config, run, source)
    profile = read_table_profile(run)
    content = digest_rows(source.scan(), source.content_columns)
    content = content.with_columns(pl.lit(None, dtype=pl.Int64).alias("byte_size"))
    told = row_metrics(source.scan(), profile).collect()
    samples, metrics = make_samples(config, source.entries(), content, told)
    run.write_table("samples", samples)
    run.write_table("metrics", metrics)
