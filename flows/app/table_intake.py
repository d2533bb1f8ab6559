"""A table in two steps: its columns, whatever its size, and its rows once they are to be judged."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from checks.sources.identity import digest_rows
from checks.sources.table_parts import divide_table, mark_parts
from flows.app.config import Config, digest
from flows.app.intake import cache_of, describe, make_samples, once, read_table_profile
from flows.app.progress import Progress
from flows.app.store import RunFolder, StoreError


def open_parts(config: Config, run: RunFolder, source: Any) -> tuple[list[Any], list[str]]:
    """Return the files of a table and the mark of each one's content; once while one look holds."""
    folder = cache_of(config, run)

    def look() -> tuple[list[Any], list[str]]:
        parts = divide_table(source)
        return parts, mark_parts(parts, folder)

    told: tuple[list[Any], list[str]] = once(("parts", folder.resolve(), config.source), look)
    return told


def measure_columns(
    config: Config, run: RunFolder, source: Any, progress: Progress
) -> dict[str, Any]:
    """Return the profile of a table as plain data; each file is counted once, ever.

    Raises:
        SourceError: there are no rows, or label or split do not hold what they should.
    """
    from checks.metrics.tabular_parts import (  # noqa: PLC0415 - numba is slow to import
        Reading,
        profile_parts,
    )

    roles = source.count_roles()
    roles = roles.with_columns(pl.col("label").replace(config.labels.rename))
    parts, marks = open_parts(config, run, source)
    readings = [
        Reading(mark, part.lazy.collect_schema(), part.batches)
        for part, mark in zip(parts, marks, strict=True)
    ]
    profile = profile_parts(
        readings, label=source.label, folder=cache_of(config, run), progress=progress
    )
    told = {**json.loads(profile.to_json()), **describe(config, source, roles)}
    return {**told, "content": digest(marks)}


def need_rows(config: Config, run: RunFolder, source: Any) -> None:
    """Write samples.parquet and metrics.parquet of a table's rows, unless they are there.

    Raises:
        StoreError: the columns have not been profiled, the data has changed since, or the disk is
            full.
    """
    from checks.metrics.tabular import row_metrics  # noqa: PLC0415 - numba is slow to import

    if run.has("samples.parquet") and run.has("metrics.parquet"):
        return
    if run.read_json("profile.json").get("content") != digest(open_parts(config, run, source)[1]):
        raise StoreError(str(run.path), "the data has changed since it was measured",
                         advice="Run it again.")  # fmt: skip
    profile = read_table_profile(run)
    content = digest_rows(source.scan(), source.content_columns)
    content = content.with_columns(pl.lit(None, dtype=pl.Int64).alias("byte_size"))
    told = row_metrics(source.scan(), profile).collect()
    samples, metrics = make_samples(config, source.entries(), content, told)
    run.write_table("samples", samples)
    run.write_table("metrics", metrics)
