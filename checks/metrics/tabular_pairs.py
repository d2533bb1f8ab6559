"""The cells that dependencies are found in, and pairs of them counted batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from checks.metrics.tabular_profile import KEY_SEPARATOR, ColumnProfile
from checks.metrics.tabular_words import is_placeholder

PAIR_CAP = 200_000


@dataclass(slots=True)
class Candidate:
    """Determinants that may fix a dependent, with how often each pair of values occurs."""

    determinants: tuple[str, ...]
    dependent: str
    parts: list[pl.DataFrame] = field(default_factory=list)
    overflown: bool = False

    def add(self, cells: pl.DataFrame) -> None:
        """Count one more batch of key cells."""
        if self.overflown:
            return
        named = zip((*self.determinants, self.dependent), self.places, strict=True)
        told = cells.select(pl.col(name).alias(place) for name, place in named)
        self._hold(told.drop_nulls().group_by(self.places).agg(pl.len().alias("#")))

    @property
    def places(self) -> list[str]:
        """The columns of the counts: numbers, so that no name of the data meets one of ours."""
        return [str(place) for place in range(len(self.determinants) + 1)]

    def _hold(self, counts: pl.DataFrame) -> None:
        self.parts.append(counts)
        if sum(part.height for part in self.parts) > PAIR_CAP:
            self.parts = [self.merged()]
            self.overflown = self.parts[0].height > PAIR_CAP // 2

    def merged(self) -> pl.DataFrame:
        """Return the counts of all batches."""
        return pl.concat(self.parts).group_by(self.places).agg(pl.col("#").sum())

    @property
    def mark_of_counts(self) -> str:
        """What tells this candidate's counts from another's."""
        return repr((self.determinants, self.dependent))

    def counts(self) -> pl.DataFrame | None:
        """Return what was counted so far, to be kept; None if it is too much."""
        if self.overflown:
            return None
        if not self.parts:
            return pl.DataFrame()
        merged = self.merged().sort(self.places)
        return merged if merged.height <= PAIR_CAP // 2 else None

    def absorb(self, counts: pl.DataFrame | None) -> None:
        """Add what `counts` of the same candidate returned for other rows."""
        if counts is None:
            self.parts, self.overflown = [], True
        elif counts.width and not self.overflown:
            self._hold(counts)


def cell(column: ColumnProfile) -> pl.Expr:
    """A cell as dependencies compare it: a number or a text; null if neither or a placeholder."""
    if column.kind == "number":
        return column.number.alias(column.name)
    kept = pl.when(~is_placeholder(column.text) & (column.text != "")).then(column.text)
    return kept.alias(column.name)


def canon(column: ColumnProfile) -> pl.Expr:
    """`cell` as String: 12 and 12.0 are one value."""
    return told(cell(column), column)


def told(value: pl.Expr, column: ColumnProfile) -> pl.Expr:
    """What `cell` returned, as `canon` tells it."""
    return value.cast(pl.String).str.strip_suffix(".0") if column.kind == "number" else value


def key_of(columns: Sequence[ColumnProfile]) -> pl.Expr:
    """The determinants' values as one String; null if one is missing."""
    return pl.concat_str([canon(c) for c in columns], separator=KEY_SEPARATOR)
