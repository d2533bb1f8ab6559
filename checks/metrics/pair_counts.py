"""How often values of columns that seem to depend on each other stand together, part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from checks.metrics.frame_archive import read_frames, write_frames
from checks.metrics.tabular_pairs import Candidate, cell
from checks.metrics.tabular_profile import PROFILE_VERSION, ColumnProfile


@dataclass(frozen=True, slots=True)
class PairCounts:
    """For each candidate, what `Candidate.counts` told of some rows; None where too much."""

    frames: tuple[pl.DataFrame | None, ...]

    def write(self, path: Path) -> None:
        """Write the counts as one file; it is there whole or not at all."""
        write_frames(path, {str(at): frame for at, frame in enumerate(self.frames)})


def read_pairs(path: Path) -> PairCounts:
    """Return the counts that `PairCounts.write` stored.

    Raises:
        TableError: the file is none, or is damaged.
    """
    return PairCounts(tuple(read_frames(path).values()))


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
