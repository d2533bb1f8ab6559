"""The profile of a table that lies in several files: each is counted once, ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from checks.metrics.folded import Fold
from checks.metrics.pair_counts import (
    PairCounts,
    count_pairs,
    give_counts,
    join_pairs,
    mark_candidates,
    read_pairs,
)
from checks.metrics.tabular import finish_profile, tally_rows
from checks.metrics.tabular_pairs import Candidate
from checks.metrics.tabular_profile import ColumnProfile, TableProfile
from checks.metrics.tabular_state import STATE_VERSION, TableState, merge_states, read_state


@dataclass(frozen=True, slots=True)
class Reading:
    """One part of a table: a mark of its content and types, and how its rows are read."""

    mark: str
    schema: pl.Schema
    read: Callable[[], Iterable[pl.DataFrame]]


def fold_states(
    parts: Sequence[Reading], folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TableState:  # fmt: skip
    """Return the state of all rows of `parts`; see `profile_parts`."""
    told = progress or (lambda _done, _total: None)

    def measure(place: int) -> TableState:
        state = tally_rows(parts[place].schema, parts[place].read())
        told(place + 1, len(parts))
        return state

    fold = Fold(
        f"state{STATE_VERSION}", measure, lambda a, b: merge_states([a, b]), TableState.write,
        read_state,
    )  # fmt: skip
    state = fold.run([part.mark for part in parts], folder)
    told(len(parts), len(parts))
    return state


def profile_state(
    state: TableState, parts: Sequence[Reading], label: str | None, folder: Path | None = None
) -> TableProfile:
    """Return the profile of the rows of `parts` that `fold_states` has counted in `state`."""

    def count(candidates: list[Candidate], columns: list[ColumnProfile]) -> None:
        pairs = Fold(
            f"pairs{mark_candidates(candidates, columns)}",
            lambda place: count_pairs(candidates, columns, parts[place].read()),
            lambda a, b: join_pairs(candidates, a, b), PairCounts.write, read_pairs,
        )  # fmt: skip
        give_counts(candidates, pairs.run([part.mark for part in parts], folder))

    return finish_profile(state, label, count)


def profile_parts(
    parts: Sequence[Reading], *, label: str | None, folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TableProfile:  # fmt: skip
    """Return the profile of all rows of `parts`, as `profile_table` does of one scan.

    Args:
        parts: at least one, of equal schema, in a lasting order.
        label: the column that is to be predicted.
        folder: where the state of each part is kept, so that a part is counted once, ever.
        progress: told of the parts done and of all of them.
    """
    return profile_state(fold_states(parts, folder, progress), parts, label, folder)
