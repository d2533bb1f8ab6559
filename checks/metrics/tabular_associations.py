"""How closely columns hang together, measured in a table's sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.metrics.tabular_pairs import cell
from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_relations import Associations, Measure

COLUMNS_MAX = 40
ROWS_MIN = 20  # of a pair, below which its value is chance
_WIDE = 64  # columns of which all pairs are measured
_LEVELS = 256  # values of a category; the rarer ones count as one
_RANGES = 10
_DIGITS = 4
_ORDERED = ("number", "datetime")

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Coded:
    """One column: a code for each row, -1 where it holds nothing; ranks for what has an order."""

    codes: Codes
    levels: Codes
    ordered: bool
    gappy: bool


def measure_associations(
    sample: pl.DataFrame, columns: Sequence[ColumnProfile]
) -> Associations | None:
    """Return the columns that hang together most; None where no pair can be measured.

    Args:
        sample: rows of the table; their order does not matter.
        columns: all its columns. Constants, identifiers, free texts and nested values are left
            out, and what comes after the first 64 of the others.

    Source: Spearman 1904, ties share their mean rank; Bergsma 2013, A bias-correction for Cramer's
    V and Tschuprow's T. Both are counted in whole numbers up to the last division.

    >>> from checks.metrics.tabular import profile_table
    >>> rows = {"size": [*range(60)] * 2, "price": [n * n for n in range(60)] * 2}
    >>> profile_table(pl.LazyFrame(rows), label=None).associations.pairs
    ((0, 1, 'rank', 1.0, 120),)
    """
    kinds = (*_ORDERED, "category", "boolean")
    chosen = [c for c in columns if c.is_plain and c.kind in kinds][:_WIDE]
    coded = _code(sample, chosen)
    measured = [
        (i, j, *told)
        for i, j in combinations(range(len(chosen)), 2)
        if (told := _measure(coded[i], coded[j])) is not None
    ]
    if not measured:
        return None
    measured.sort(key=lambda pair: (-abs(pair[3]), pair[0], pair[1]))
    kept: dict[int, None] = {}
    for i, j, *_ in measured:
        kept |= dict.fromkeys((i, j) if len({*kept, i, j}) <= COLUMNS_MAX else ())
    place = {column: at for at, column in enumerate(sorted(kept))}
    return Associations(
        columns=tuple(chosen[column].name for column in place),
        pairs=tuple(
            (place[i], place[j], measure, value, rows)
            for i, j, measure, value, rows in measured
            if i in place and j in place
        ),
    )


def _code(sample: pl.DataFrame, columns: Sequence[ColumnProfile]) -> list[Coded]:
    values = {str(at): _read(column) for at, column in enumerate(columns)}
    ranks = sample.select(
        (value.rank("dense").cast(pl.Int64) - 1).fill_null(-1).alias(at)
        for at, value in values.items()
    )
    coded = []
    for codes, column in zip(ranks, columns, strict=True):
        ranked, ordered = codes.to_numpy(), column.kind in _ORDERED
        levels = _cut(ranked) if ordered else _lump(ranked)
        coded.append(Coded(ranked, levels, ordered=ordered, gappy=bool((ranked < 0).any())))
    return coded


def _read(column: ColumnProfile) -> pl.Expr:
    return column.number if column.kind in _ORDERED else cell(column).cast(pl.String)


def _lump(codes: Codes) -> Codes:
    """The most frequent values of a category, and one for all the others."""
    known = codes >= 0
    rows = np.bincount(codes[known])
    if rows.size <= _LEVELS:
        return codes
    level = np.full(rows.size, _LEVELS - 1)
    level[np.argsort(-rows, kind="stable")[: _LEVELS - 1]] = np.arange(_LEVELS - 1)
    return np.where(known, level[codes], -1)


def _cut(codes: Codes) -> Codes:
    """Ranks in at most ten ranges of about as many rows; equal ones stay together."""
    known = codes >= 0
    rows = np.bincount(codes[known])
    if rows.size <= _RANGES:
        return codes
    below = np.cumsum(rows) - rows
    return np.where(known, (below * _RANGES // max(int(rows.sum()), 1))[codes], -1)


def _measure(one: Coded, two: Coded) -> tuple[Measure, float, int] | None:
    measure: Measure = "rank" if one.ordered and two.ordered else "category"
    left, right = (one.codes, two.codes) if measure == "rank" else (one.levels, two.levels)
    if one.gappy or two.gappy:
        both = (left >= 0) & (right >= 0)
        left, right = left[both], right[both]
    if left.size < ROWS_MIN:
        return None
    value = _correlate(left, right) if measure == "rank" else _cramer(left, right)
    return None if value is None else (measure, round(value, _DIGITS) + 0.0, left.size)


def _correlate(left: Codes, right: Codes) -> float | None:
    """Spearman's correlation of values given by their dense ranks; None where one is constant."""
    one, two = _centre(left), _centre(right)
    spread = int(one @ one) * int(two @ two)
    return int(one @ two) / math.sqrt(spread) if spread else None


def _centre(codes: Codes) -> Codes:
    """Twice the rank of each value, its mean taken off: whole numbers, whatever is tied."""
    rows = np.bincount(codes)
    return np.asarray((2 * np.cumsum(rows) - rows)[codes] - codes.size, np.int64)


def _cramer(left: Codes, right: Codes) -> float | None:
    """Cramer's V, freed of what chance gives; None where one is constant."""
    n, width = left.size, int(right.max()) + 1
    pairs = np.bincount(left * width + right)
    cells = np.flatnonzero(pairs)
    rows, columns = np.bincount(left), np.bincount(right)
    share = pairs[cells] ** 2 / (rows[cells // width] * columns[cells % width])
    r, c = np.count_nonzero(rows), np.count_nonzero(columns)
    room = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    if room <= 0:
        return None
    excess = float(share.sum()) - 1 - (r - 1) * (c - 1) / (n - 1)
    return min(math.sqrt(max(excess, 0.0) / room), 1.0)
