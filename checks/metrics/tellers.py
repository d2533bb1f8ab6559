"""How well one column alone tells the label: guessed on rows that it was not learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.metrics.tabular_profile import ColumnProfile

Codes = npt.NDArray[np.int64]
RANGE_ROWS, RANGES = 20, 200


@dataclass(frozen=True, slots=True)
class Telling:
    """What guessing by a column got right. Counts are rows, each guessed from the other half.

    right: guessed by the column. common: guessed by the commonest label of the other half.
    """

    rows: int
    right: int
    common: int

    @property
    def gain(self) -> float:
        """How far the column goes from the commonest label (0) to all labels right (1).

        >>> Telling(100, 97, 60).gain
        0.925
        """
        return (self.right - self.common) / max(self.rows - self.common, 1)


def code_values(values: pl.Series, column: ColumnProfile) -> tuple[Codes, int]:
    """Return the place of each value, shape (N,), and how many places there are.

    Numbers and dates fall into ranges of 20 rows or a two-hundredth of them, with a place of its
    own for each value that is so common; other values have a place each. So has what is missing.
    """
    if column.kind in ("number", "datetime") or (column.kind == "identifier" and _counts(column)):
        numbers = values.to_frame().select(column.number).to_series()
        places = _cut(numbers.fill_null(float("nan")).to_numpy())
    else:
        texts = values.to_frame().select(column.text).to_series()
        places = texts.rank("dense").cast(pl.Int64).fill_null(0).to_numpy().astype(np.int64)
    held, at = np.unique(places, return_inverse=True)
    return at.astype(np.int64), len(held)


def _cut(numbers: npt.NDArray[np.float64]) -> Codes:
    """The range of each number by its rank, odd for a common value; -1 where there is none."""
    size = max(RANGE_ROWS, len(numbers) // RANGES)
    known = np.isfinite(numbers)
    _, at, counts = np.unique(numbers[known], return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts
    places = np.full(len(numbers), -1, np.int64)
    places[known] = (2 * (before // size) + (counts >= size))[at]
    return places


def _counts(column: ColumnProfile) -> bool:
    return 0 < column.number_count == column.integer_count


def guess_labels(places: Codes, labels: Codes, halves: npt.NDArray[np.bool_]) -> Telling:
    """Return how often the commonest label of a row's place, in the other half, is its own.

    Args:
        places: (N,), from 0.
        labels: (N,), from 0.
        halves: (N,), which half a row lies in. A place that the other half has not seen guesses
            the commonest label there, and so do equally common ones.

    >>> at = np.arange(8)
    >>> guess_labels(at // 4, at // 4, at % 2 == 0)
    Telling(rows=8, right=8, common=4)
    """
    classes, width = int(labels.max(initial=0)) + 1, int(places.max(initial=0)) + 1
    right = common = 0
    for learnt in (halves, ~halves):
        cells = places[learnt] * classes + labels[learnt]
        table = np.bincount(cells, minlength=width * classes).reshape(width, classes)
        # the commonest label of all wins ties, and speaks where nothing was seen
        usual = int(table.sum(axis=0).argmax())
        doubled = 2 * table
        doubled[:, usual] += 1
        asked = ~learnt
        right += int((doubled.argmax(axis=1)[places[asked]] == labels[asked]).sum())
        common += int((labels[asked] == usual).sum())
    return Telling(len(labels), right, common)
