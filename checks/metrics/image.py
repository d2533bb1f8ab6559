"""The image profile: every file decoded once, in worker processes, in pieces that are kept.

What a killed run has finished is not done again; of a folder that grew, only the new files are; of
files that bear another time but the same bytes, only the bytes are read. In memory at once are the
whole table of metrics (twice while new rows are sorted in), the listing and
the rows of the bundles that are being measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import polars as pl

from checks.core.errors import GristmillError
from checks.metrics.image_cache import (
    PASSING,
    PIECE_SCHEMA,
    gather_pieces,
    keys_of,
    pick_known,
    read_pieces,
    write_piece,
)
from checks.metrics.image_history import History, follow, read_history, remember
from checks.metrics.image_schema import (
    ERROR_KINDS,
    IMAGE_METRICS,
    METRICS_VERSION,
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

    A file that cannot be measured has `error_kind` set and nulls; it never raises. With a cache,
    `changed_in_place` tells whose bytes changed though size and time did not (image_history), and
    the cache then knows these entries and no others.
    """
    limits = limits or Limits()
    history = read_history(cache)
    known = _recognise(source, entries, cache, limits, history)
    bundles = _bundle(_missing(entries, known), limits, bundle_size)
    done = entries.height - sum(bundle.entries.height for bundle in bundles)
    pieces = [known]
    for bundle, piece in _profile(
        source, bundles, workers, limits, _counter(progress, done, entries)
    ):
        if cache is not None:
            write_piece(piece, cache, bundle.key, limits)
        pieces.append(piece)
    whole = _assemble(entries, pieces)
    seen = follow(whole, history)
    if cache is not None:
        replaced = gather_pieces(whole, cache, limits)
        remember(entries, seen, history, cache)
        for path in replaced:
            path.unlink(missing_ok=True)
    return _finish(whole, seen)


def plan_bundles(
    entries: pl.DataFrame, cache: Path | None, bundle_size: int = BUNDLE_SIZE,
    limits: Limits | None = None, source: ImageSource | None = None,
) -> list[Bundle]:  # fmt: skip
    """Return the bundles that are still to be measured; none if the cache knows every entry.

    An entry is known by (uri, row, byte_size, mtime_ns) under the same METRICS_VERSION and
    limits; with a `source` also if only its time is another, and its bytes are read and are the
    same. Files that could not be read, or whose worker died, are planned again.
    """
    limits = limits or Limits()
    known = _recognise(source, entries, cache, limits, read_history(cache))
    return _bundle(_missing(entries, known), limits, bundle_size)


def profile_bundle(
    source: ImageSource, bundle: Bundle, *, cache: Path, workers: int = 1,
    limits: Limits | None = None, progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Measure one bundle, store its piece in `cache`, and return the piece's path."""
    limits = limits or Limits()
    count = _counter(progress, 0, bundle.entries)
    ((_, piece),) = _profile(source, [bundle], workers, limits, count)
    return write_piece(piece, cache, bundle.key, limits)


def collect_profile(
    entries: pl.DataFrame, cache: Path, limits: Limits | None = None
) -> pl.DataFrame:
    """Return the metrics of every entry from the pieces in `cache`, as `profile_images` does.

    Raises:
        GristmillError: an entry is in no piece: a bundle of the plan was not measured.
    """
    history = read_history(cache)
    whole = _assemble(entries, [_recognise(None, entries, cache, limits or Limits(), history)])
    return _finish(whole, follow(whole, history))


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
    return pl.concat([keys_of(entries), measured], how="horizontal").select(list(PIECE_SCHEMA))


def _recognise(
    source: ImageSource | None, entries: pl.DataFrame, cache: Path | None, limits: Limits,
    history: History,
) -> pl.DataFrame:  # fmt: skip
    """Return what the cache knows of these entries, those with only another time among them."""
    stored = read_pieces(cache, limits)
    known = pick_known(stored, entries, history.known)
    if source is None or cache is None or stored.is_empty():
        return known
    touched = _adopt_touched(source, _missing(entries, known), stored)
    if touched.is_empty():
        return known
    key = fingerprint_entries(touched.select("uri", "row", byte_size="entry_byte_size",
                                             mtime_ns="entry_mtime_ns"), ["touched"])  # fmt: skip
    write_piece(touched, cache, key[:32], limits)
    again = known.join(touched, on=["uri", "row"], how="anti")
    return pl.concat([again, touched]).sort("uri", "row")


def _adopt_touched(
    source: ImageSource, missing: pl.DataFrame, stored: pl.DataFrame
) -> pl.DataFrame:
    """Return stored rows for entries whose bytes, read again, are those of another time."""
    usable = stored.filter(~PASSING & pl.col("xxh3_128").is_not_null())
    alike = missing.join(
        usable.select("uri", "row", byte_size="entry_byte_size"),
        on=["uri", "row", "byte_size"], how="semi", nulls_equal=True,
    ).sort("uri", "row")  # fmt: skip
    found = [None if isinstance(one, OSError) else one for one in source.digests(alike)]
    names = [PurePosixPath(name or "").suffix[1:].lower() for name in source.file_names(alike)]
    told = keys_of(alike).with_columns(
        xxh3_128=pl.Series(found, dtype=pl.String),
        extension=pl.Series([name or None for name in names], dtype=pl.String),
    )
    latest = usable.drop("entry_byte_size", "entry_mtime_ns").unique(
        ["uri", "row", "xxh3_128"], keep="last", maintain_order=True
    )
    same = ["uri", "row", "xxh3_128", "extension"]
    return told.join(latest, on=same, nulls_equal=True).select(list(PIECE_SCHEMA))


def _missing(entries: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    settled = known.filter(~PASSING)
    return entries.sort("uri", "row").join(settled, on=["uri", "row"], how="anti")


def _assemble(entries: pl.DataFrame, pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one row for each entry, what was measured now before what was known: PIECE_SCHEMA."""
    known, *fresh = pieces
    whole = known
    if fresh:
        new = pl.concat(fresh)
        rest = known.join(new, on=["uri", "row"], how="anti", maintain_order="left")
        whole = pl.concat([rest, new]).sort("uri", "row")
    if whole.height != entries.height:
        raise GristmillError(
            "image profile", "entries without metrics", got=entries.height - whole.height,
            advice="Run the bundles of plan_bundles first.",
        )  # fmt: skip
    return whole


def _finish(whole: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """Return PROFILE_SCHEMA: `changed_in_place` as the history, carried on in `seen`, tells it."""
    marked = whole.with_columns(changed_in_place=seen["original"].is_not_null())
    return marked.select(list(PROFILE_SCHEMA))
