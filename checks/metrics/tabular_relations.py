"""What columns have to do with each other, as plain values that go through JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Measure = Literal["rank", "category"]


@dataclass(frozen=True, slots=True)
class Gaps:
    """Which of the columns with gaps miss their values in the same rows, counted in a sample.

    columns: up to 40 names, most gaps first. counts: rows of the sample without a value, by column.
    pairs: (place in columns, later place, rows that miss both), where there are any. patterns:
    (places of all that is missing, rows), the most frequent first, at most 20; () is a row without
    a gap in these columns. pattern_count: how many there are.
    """

    columns: tuple[str, ...]
    counts: tuple[int, ...]
    pairs: tuple[tuple[int, int, int], ...]
    patterns: tuple[tuple[tuple[int, ...], int], ...]
    pattern_count: int


@dataclass(frozen=True, slots=True)
class Associations:
    """How closely columns hang together, measured in a sample over the rows that hold both.

    columns: up to 40 names, those with the strongest pairs. pairs: (place in columns, later place,
    measure, value, rows), the strongest first. `rank` is Spearman's rank correlation of two columns
    of numbers or dates, -1..1; `category` is Cramer's V, 0..1, where one holds categories: numbers
    are cut into ten equally full ranges for it.
    """

    columns: tuple[str, ...]
    pairs: tuple[tuple[int, int, Measure, float, int], ...]
