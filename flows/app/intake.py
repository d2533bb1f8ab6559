"""From data to the tables `samples` and `metrics`: opening a source and measuring all of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl

from checks.metrics.image_history import Verified, read_history, verify_known
from checks.metrics.image_schema import METRICS_VERSION, Limits
from checks.metrics.tabular_profile import TableProfile
from checks.sources.identity import identify
from checks.sources.source import open_source
from flows.app.config import Config, digest
from flows.app.evidence import leave_aside, own_columns
from flows.app.progress import Progress, quiet
from flows.app.store import RunFolder

PROBLEMS_SHOWN = 200
KEY = ["uri", "row"]


_looked: ContextVar[dict[object, Any] | None] = ContextVar("looked", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Let everything inside see the data as it was when it was first opened, and list it once."""
    if _looked.get() is not None:
        yield
        return
    token = _looked.set({})
    try:
        yield
    finally:
        _looked.reset(token)


def once(key: object, look: Callable[[], Any]) -> Any:
    """Return what `look` finds; while `one_look` holds, what it found the first time."""
    seen = _looked.get()
    if seen is None:
        return look()
    if key not in seen:
        seen[key] = look()
    return seen[key]


def open_data(config: Config) -> Any:
    """Return the source that `config` names; the same one while `one_look` holds.

    Raises:
        SourceError: it cannot be reached, has no known shape or not the columns named, among
            them those of [labels], which are no data of the source.
    """
    asked = config.source

    def look() -> Any:
        found = open_source(
            config.location, kind=asked.kind, label=asked.label, image=asked.image,
            split=asked.split, exclude=asked.exclude,
        )  # fmt: skip
        return leave_aside(found, config)

    return once(("source", config.anchor, asked, own_columns(config)), look)


def reread(config: Config, run: RunFolder, source: Any, entries: pl.DataFrame) -> Verified:
    """Read some known files again, as [profile] verify says; once while `one_look` holds.

    Nothing for a table of values: a changed file is read whole anyway.
    """
    if source.modality != "image":
        return Verified()
    cache, verify = cache_of(config, run), config.profile.verify
    look = ("reread", cache.resolve(), verify)
    verified: Verified = once(look, lambda: verify_known(source, entries, cache, verify))
    return verified


def limits_of(config: Config) -> Limits:
    """Return what decoding one image may cost."""
    own = config.profile
    return Limits(own.max_pixels, own.max_seconds, own.max_memory_mb)


def cache_of(config: Config, run: RunFolder) -> Path:
    """Return the folder of measured bundles, one for each source."""
    return run.file("cache") / digest([config.anchor, config.source.kind])[:16]


def workers_of(config: Config) -> int:
    """Return how many processes decode: as the configuration says, else one for each core."""
    return config.profile.workers or len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A bundle of images and the source that it comes from: nobody lists that again."""

    source: Any
    bundle: Any


def plan_bundles_of(config: Config, run: RunFolder, bundles_max: int) -> list[Planned]:
    """Return the bundles of images that are not yet measured; none for a table."""
    from checks.metrics.image import plan_bundles  # noqa: PLC0415 - numba is slow to import

    source = open_data(config)
    if source.modality != "image":
        return []
    entries = source.entries()
    size = max(config.profile.bundle_size, -(-entries.height // bundles_max))
    cache, limits = cache_of(config, run), limits_of(config)
    return [Planned(source, one) for one in plan_bundles(entries, cache, size, limits, source)]


def measure_bundle(
    planned: Planned, config: Config, run: RunFolder, progress: Progress | None = None
) -> int:
    """Measure one bundle into the cache; return its number of samples."""
    from checks.metrics.image import profile_bundle  # noqa: PLC0415 - numba is slow to import

    profile_bundle(
        planned.source, planned.bundle, cache=cache_of(config, run), workers=workers_of(config),
        limits=limits_of(config), progress=progress,
    )  # fmt: skip
    return int(planned.bundle.entries.height)


def measure_images(
    config: Config, run: RunFolder, source: Any, entries: pl.DataFrame, progress: Progress | None
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """Return samples, metrics and the profile of images as plain data."""
    from checks.metrics.image import profile_images  # noqa: PLC0415 - numba is slow to import

    cache = cache_of(config, run)
    measured = profile_images(
        source, entries, workers=workers_of(config), limits=limits_of(config),
        cache=cache, progress=progress or quiet, bundle_size=config.profile.bundle_size,
    )  # fmt: skip
    changes = read_history(cache).facts.get("changes")
    content = measured.select(*KEY, "byte_size", "xxh3_128")
    told = measured.drop("byte_size", "xxh3_128")
    samples, metrics = make_samples(config, entries, content, told)
    roles = samples.group_by("split", "label").agg(count=pl.len())
    profile = {"changes": changes} if changes else {}
    return samples, metrics, {**profile, **describe(config, source, roles)}


def make_samples(
    config: Config, entries: pl.DataFrame, content: pl.DataFrame, told: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return samples and their metrics; labels are spelt as [labels] says.

    Args:
        config: how the samples are divided.
        entries: as a source lists them.
        content: uri, row, byte_size, xxh3_128.
        told: uri, row and the metrics.
    """
    named = (
        read_roles(config, entries)
        .drop("byte_size")
        .join(content, on=KEY, how="inner", maintain_order="left")
    )
    split = config.split
    samples = identify(named, split.seed, split.val_frac, split.test_frac)
    metrics = samples.select("sample_id", *KEY).join(told, on=KEY, how="left")
    return samples, metrics.drop(KEY)


def read_roles(config: Config, entries: pl.DataFrame) -> pl.DataFrame:
    """Return entries, or counts of them, with labels as [labels] spells them.

    Their splits as the source gives them, or null where [split] pools them.
    """
    spelt = entries.with_columns(pl.col("label").replace(config.labels.rename))
    return spelt.with_columns(split=pl.lit(None, pl.String)) if config.split.pool else spelt


def describe(config: Config, source: Any, roles: pl.DataFrame) -> dict[str, Any]:
    """Return what a reader of profile.json asks first.

    roles: split, label and the count of their samples. A split that only the content of a row
    decides is not known before the rows are read.
    """
    known = roles.drop_nulls("split").group_by("split").agg(pl.sum("count")).sort("split")
    labelled = roles.drop_nulls("label").group_by("label").agg(pl.sum("count")).sort("label")
    problems = source.problems()
    return {
        "kind": source.kind,
        "modality": source.modality,
        "source": config.source.path,
        "samples": int(roles["count"].sum()),
        "splits": dict(known.iter_rows()),
        "classes": dict(labelled.iter_rows()),
        "label_column": getattr(source, "label", None),
        "metrics_version": METRICS_VERSION if source.modality == "image" else None,
        "problem_count": problems.height,
        "problems": problems.head(PROBLEMS_SHOWN).to_dicts(),
    }


def read_table_profile(run: RunFolder) -> TableProfile:
    """Return the column profile that the station `profile` stored for a table."""
    names = {field.name for field in fields(TableProfile)}
    plain = {key: value for key, value in run.read_json("profile.json").items() if key in names}
    return TableProfile.from_json(json.dumps(plain))
