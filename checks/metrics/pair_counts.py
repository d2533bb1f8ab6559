"""How often values of columns that seem to depend on each other stand together, part by part."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import polars as pl

from checks.core.errors import TableError
from checks.core.whole_file import replace_file
from checks.metrics.tabular_pairs import Candidate, cell
from checks.metrics.tabular_profile import PROFILE_VERSION, ColumnProfile


@dataclass(frozen=True, slots=True)
class PairCounts:
    """For each candidate, what `Candidate.counts` told of some rows; None where too much."""

    frames: tuple[pl.DataFrame | None, ...]

    def write(self, path: Path) -> None:
        """Write the counts as one file; it is there whole or not at all."""
        content = BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
            for i, frame in enumerate(self.frames):
                held = BytesIO()
                if frame is not None:
                    frame.write_parquet(held, compression="zstd")
                archive.writestr(str(i), held.getvalue())
        replace_file(path, content.getvalue())


def read_pairs(path: Path) -> PairCounts:
    """Return the counts that `PairCounts.write` stored.

    Raises:
        TableError: the file is none, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = [archive.read(str(i)) for i in range(len(archive.namelist()))]
        return PairCounts(tuple(pl.read_parquet(BytesIO(one)) if one else None for one in held))
    except (OSError, KeyError, zipfile.BadZipFile, pl.exceptions.PolarsError) as broken:
        raise TableError(str(path), "no counts of pairs", got=str(broken)) from broken


def mark_candidates(candidates: Sequence[Candidate], columns: Sequence[ColumnProfile]) -> str:
    """Return a mark of what is counted: equal for equal candidates, read in the same way."""
    kinds = [(c.name, c.dtype, c.kind, c.date_format) for c in columns]
    told = repr((PROFILE_VERSION, [c.mark_of_counts for c in candidates], kinds))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def count_pairs(
    candidates: Sequence[Candidate],
    columns: Sequence[ColumnProfile],
    batches: Iterable[pl.DataFrame],
) -> PairCounts:
    """Count what the rows of `batches` say of each candidate, which themselves stay as they are."""
    own = [replace(candidate, parts=[]) for candidate in candidates]
    used = {n for c in own for n in (*c.determinants, c.dependent)}
    for batch in batches:
        cells = batch.select([cell(c) for c in columns if c.name in used])
        for candidate in own:
            candidate.add(cells)
        del batch, cells  # before the next one is read
    return PairCounts(tuple(candidate.counts() for candidate in own))


def join_pairs(candidates: Sequence[Candidate], left: PairCounts, right: PairCounts) -> PairCounts:
    """Return the counts of both parts together."""
    own = [replace(candidate, parts=[]) for candidate in candidates]
    for counts in (left, right):
        give_counts(own, counts)
    return PairCounts(tuple(candidate.counts() for candidate in own))


def give_counts(candidates: Sequence[Candidate], counts: PairCounts) -> None:
    """Add what was counted to the candidates that it was counted for, in their order."""
    for candidate, frame in zip(candidates, counts.frames, strict=True):
        candidate.absorb(frame)
