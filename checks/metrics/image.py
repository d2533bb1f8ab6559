"""The image profile: every file decoded once, in worker processes, in pieces that are kept.

A piece is a Parquet file in the cache with the metrics of one bundle. What a killed run has
finished is not done again; of a folder that grew, only the new files are.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from checks.core.errors import GristmillError
from checks.metrics.image_schema import (
    ERROR_KINDS,
    IMAGE_METRICS,
    METRICS_VERSION,
    PASSING_KINDS,
    PROFILE_SCHEMA,
    Limits,
    Metrics,
)
from checks.metrics.workers import Job, Lost, run_jobs
from checks.sources.identity import fingerprint_entries

if TYPE_CHECKING:
    from checks.sources.source import ImageSource

__all__ = [
    "ERROR_KINDS", "IMAGE_METRICS", "METRICS_VERSION", "PROFILE_SCHEMA", "Bundle", "Limits",
    "collect_profile", "plan_bundles", "profile_bundle", "profile_images",
]  # fmt: skip

BUNDLE_SIZE = 2_048
_JOB_SIZE = 64
_KEY = ("uri", "row", "entry_byte_size", "entry_mtime_ns")
_PIECE_SCHEMA = pl.Schema({
    **PROFILE_SCHEMA, "entry_byte_size": pl.Int64(), "entry_mtime_ns": pl.Int64()
})  # fmt: skip
_WORKER = "checks.metrics.image_worker"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Entries that are measured and stored together; `key` names their piece."""

    key: str
    entries: pl.DataFrame


def profile_images(
    source: ImageSource, entries: pl.DataFrame, *, workers: int, limits: Limits | None = None,
    cache: Path | None = None, progress: Progress | None = None, bundle_size: int = BUNDLE_SIZE,
) -> pl.DataFrame:  # fmt: skip
    """Return the metrics of every entry, sorted by (uri, row): PROFILE_SCHEMA.

    Args:
        source: where the bytes come from.
        entries: what `source.entries()` returned, or part of it.
        workers: processes; 0 measures in this process, without limits on time and memory.
        limits: what one file may cost.
        cache: folder for the pieces; None keeps nothing.
        progress: called with the counts of entries done and of all, cached ones included.
        bundle_size: entries in a piece.

    A file that cannot be measured has `error_kind` set and nulls; it never raises.
    """
    limits = limits or Limits()
    known = _read_pieces(entries, cache, limits)
    bundles = _bundle(_missing(entries, known), limits, bundle_size)
    done = entries.height - sum(bundle.entries.height for bundle in bundles)
    pieces = [known]
    for piece in _profile(source, bundles, workers, limits, _counter(progress, done, entries)):
        if cache is not None:
            _write_piece(piece[1], cache, piece[0].key, limits)
        pieces.append(piece[1])
    return _assemble(entries, pieces)


def plan_bundles(
    entries: pl.DataFrame, cache: Path | None, bundle_size: int = BUNDLE_SIZE,
    limits: Limits | None = None,
) -> list[Bundle]:  # fmt: skip
    """Return the bundles that are still to be measured; none if the cache knows every entry.

    An entry is known by (uri, row, byte_size, mtime_ns) under the same METRICS_VERSION and
    limits. Files that could not be read, or whose worker died, are planned again.
    """
    limits = limits or Limits()
    known = _read_pieces(entries, cache, limits)
    return _bundle(_missing(entries, known), limits, bundle_size)


def profile_bundle(
    source: ImageSource, bundle: Bundle, *, cache: Path, workers: int = 1,
    limits: Limits | None = None, progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Measure one bundle, store its piece in `cache`, and return the piece's path."""
    limits = limits or Limits()
    count = _counter(progress, 0, bundle.entries)
    ((_, piece),) = _profile(source, [bundle], workers, limits, count)
    return _write_piece(piece, cache, bundle.key, limits)


def collect_profile(
    entries: pl.DataFrame, cache: Path, limits: Limits | None = None
) -> pl.DataFrame:
    """Return the metrics of every entry from the pieces in `cache`, as `profile_images` does.

    Raises:
        GristmillError: an entry is in no piece: a bundle of the plan was not measured.
    """
    return _assemble(entries, [_read_pieces(entries, cache, limits or Limits())])


def _counter(progress: Progress | None, done: int, entries: pl.DataFrame) -> Callable[[], None]:
    total = entries.height
    if progress is None:
        return lambda: None
    progress(done, total)

    def count() -> None:
        nonlocal done
        done += 1
        if done == total or done % _JOB_SIZE == 0:
            progress(done, total)

    return count


def _bundle(entries: pl.DataFrame, limits: Limits, size: int) -> list[Bundle]:
    parts = [entries.slice(start, size) for start in range(0, entries.height, size)]
    return [
        Bundle(fingerprint_entries(part, [METRICS_VERSION, limits])[:32], part) for part in parts
    ]


def _profile(
    source: ImageSource, bundles: Sequence[Bundle], workers: int, limits: Limits,
    count: Callable[[], None],
) -> Iterator[tuple[Bundle, pl.DataFrame]]:  # fmt: skip
    """Yield each bundle with its metrics as soon as its last entry is measured."""
    jobs: list[Job] = []
    place: list[tuple[int, int]] = []  # of each job: its bundle, its first row there
    for number, bundle in enumerate(bundles):
        items = list(bundle.entries.select("uri", "row").iter_rows())
        for start in range(0, len(items), _JOB_SIZE):
            jobs.append(Job(len(jobs), tuple(items[start : start + _JOB_SIZE])))
            place.append((number, start))
    rows: dict[int, dict[int, Metrics]] = {number: {} for number in range(len(bundles))}
    for job, position, metrics in _measure(source, jobs, workers, limits):
        number, start = place[job]
        rows[number][start + position] = metrics
        count()
        if len(rows[number]) == bundles[number].entries.height:
            done = rows.pop(number)
            ordered = [done[i] for i in range(len(done))]
            yield bundles[number], _frame(bundles[number].entries, ordered)


def _measure(
    source: ImageSource, jobs: Sequence[Job], workers: int, limits: Limits
) -> Iterator[tuple[int, int, Metrics]]:
    """Yield job, position and metrics of every item, from workers or from this process."""
    if not jobs:
        return
    if workers == 0:
        from checks.metrics.image_worker import measure_items  # noqa: PLC0415 - imports numba

        for job in jobs:
            for position, row in enumerate(measure_items(source, list(job.items), limits)):
                yield job.index, position, row
        return
    for answer in run_jobs(_WORKER, source, jobs, workers=workers, limits=limits):
        result = answer.result
        if isinstance(result, Lost):
            result = _lost_row(source, jobs[answer.job].items[answer.position], result)
        yield answer.job, answer.position, result


def _lost_row(source: ImageSource, item: tuple[str, int], lost: Lost) -> Metrics:
    """Return the row of a file that cost its worker; its digest needs no decoding."""
    from checks.metrics.image_measure import failed_row  # noqa: PLC0415 - imports numba

    entry = pl.DataFrame([item], schema={"uri": pl.String, "row": pl.Int64}, orient="row")
    content = next(iter(source.read_bytes(entry)))
    known = None if isinstance(content, OSError) else content
    name = source.file_names(entry)[0]
    return failed_row(lost.kind, lost.message, known, name, f"{item[0]}#{item[1]}")


def _frame(entries: pl.DataFrame, rows: Iterable[Metrics]) -> pl.DataFrame:
    schema = {name: kind for name, kind in PROFILE_SCHEMA.items() if name not in ("uri", "row")}
    measured = pl.DataFrame(list(rows), schema=schema, orient="row")
    keys = entries.select("uri", "row", entry_byte_size="byte_size", entry_mtime_ns="mtime_ns")
    return pl.concat([keys, measured], how="horizontal").select(list(_PIECE_SCHEMA))


def _prefix(limits: Limits) -> str:
    return f"v{METRICS_VERSION}-{hashlib.sha256(repr(limits).encode()).hexdigest()[:8]}-"


def _read_pieces(entries: pl.DataFrame, cache: Path | None, limits: Limits) -> pl.DataFrame:
    """Return what the cache knows of these entries: one row each, the best where two are known."""
    pieces = [_PIECE_SCHEMA.to_frame()]
    if cache is not None and cache.is_dir():
        for path in sorted(cache.glob(f"{_prefix(limits)}*.parquet")):
            try:
                piece = pl.read_parquet(path, glob=False)
            except (OSError, pl.exceptions.PolarsError):
                continue  # a damaged piece is as good as none
            if piece.schema == _PIECE_SCHEMA:
                pieces.append(piece)
    wanted = _keys(entries)
    found = pl.concat(pieces).join(wanted, on=_KEY, how="semi", nulls_equal=True)
    passing = pl.col("error_kind").is_in(PASSING_KINDS).fill_null(value=False)
    ranked = found.with_columns(passing=passing).sort("uri", "row", "passing", maintain_order=True)
    return ranked.unique(["uri", "row"], keep="first", maintain_order=True).drop("passing")


def _keys(entries: pl.DataFrame) -> pl.DataFrame:
    return entries.select("uri", "row", entry_byte_size="byte_size", entry_mtime_ns="mtime_ns")


def _missing(entries: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    settled = known.filter(~pl.col("error_kind").is_in(PASSING_KINDS).fill_null(value=False))
    return entries.sort("uri", "row").join(settled, on=["uri", "row"], how="anti")


def _assemble(entries: pl.DataFrame, pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one row for each entry, the piece that came last first."""
    whole = pl.concat(list(reversed(pieces)))
    whole = whole.unique(["uri", "row"], keep="first", maintain_order=True).sort("uri", "row")
    if whole.height != entries.height:
        raise GristmillError(
            "image profile", "entries without metrics", got=entries.height - whole.height,
            advice="Run the bundles of plan_bundles first.",
        )  # fmt: skip
    return whole.select(list(PROFILE_SCHEMA))


def _write_piece(piece: pl.DataFrame, cache: Path, key: str, limits: Limits) -> Path:
    """Write a piece so that it is there as a whole or not at all."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{_prefix(limits)}{key}.parquet"
    draft = cache / f".{uuid.uuid4().hex}.tmp"
    try:
        piece.write_parquet(draft)
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
