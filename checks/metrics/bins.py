"""Bins of one column, chosen once and counted again and again: integers only, so that they merge.

A bin holds lower < value <= upper. A value that many samples share has a bin of its own, or a
step from 500 px to 499 px in every image would stay inside one bin and not be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.metrics.tabular_quantiles import NOTHING, Weighted, weigh

Kind = Literal["number", "category"]
FINE, COARSE = 40, 10  # bins that hold a fortieth, and a tenth, of the values
ATOM_COUNT_MIN = 5  # fewer equal values are chance
NAMES_MAX = 50
NAME_SHARE = 200  # a value held by less than a 200th is counted under "other"
OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True, slots=True)
class Measured:
    """A column's values with their counts, of one `kind`.

    numbers: those of a number. names: those of a category; unnamed: rows of values beyond them.
    missing: rows without a value (null, NaN, infinite).
    """

    numbers: Weighted = NOTHING
    names: Mapping[str, int] = field(default_factory=dict)
    unnamed: int = 0
    missing: int = 0

    @property
    def total(self) -> int:
        """All rows."""
        return self.numbers.total + sum(self.names.values()) + self.unnamed + self.missing


def measure(values: pl.Series, kind: Kind) -> Measured:
    """Return the values of a column with their counts.

    >>> measure(pl.Series(["a", None, "a"]), "category").names
    {'a': 2}
    """
    if kind == "number":
        numbers = as_numbers(values)
        known = numbers[np.isfinite(numbers)]
        weighted = weigh(known, np.ones(known.size, np.int64))
        return Measured(weighted, missing=values.len() - known.size)
    named = pl.DataFrame({"name": values.cast(pl.String)}).drop_nulls().group_by("name").len()
    return Measured(names=dict(named.sort("name").iter_rows()), missing=values.null_count())


@dataclass(frozen=True, slots=True)
class Bins:
    """Where a column is cut.

    kind: number or category. edges: ascending, finite; bin i holds edges[i-1] < x <= edges[i].
    coarse: the positions in `edges` that cut into about ten bins. names: the values of a category
    that have a bin. Counts have one more place for what lies beyond the last edge, or for other
    values, and a last one for what is missing (null, NaN, infinite).
    """

    kind: Kind
    edges: tuple[float, ...] = ()
    coarse: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Places in a list of counts."""
        return (len(self.edges) if self.kind == "number" else len(self.names)) + 2

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of a category's counts, in their order."""
        return (*self.names, OTHER, MISSING)

    def place(self, values: pl.Series) -> npt.NDArray[np.int64]:
        """Return the bin of each value: shape (N,), 0..size-1, `size - 1` for a missing one.

        >>> Bins("number", edges=(1.0, 2.0)).place(pl.Series([1.0, 1.5, 9.0, None])).tolist()
        [0, 1, 2, 3]
        """
        if self.kind == "number":
            numbers = as_numbers(values)
            at = np.searchsorted(np.array(self.edges, np.float64), numbers, side="left")
            return np.where(np.isfinite(numbers), at, self.size - 1).astype(np.int64)
        known = dict(zip(self.names, range(len(self.names)), strict=True))
        named = values.cast(pl.String)
        found = named.replace_strict(known, default=len(self.names), return_dtype=pl.Int64)
        there = found.zip_with(
            named.is_not_null(), pl.repeat(self.size - 1, len(named), eager=True)
        )
        return there.to_numpy().astype(np.int64)

    def count(self, values: pl.Series | Measured) -> list[int]:
        """Return how many values each bin holds.

        >>> Bins("category", names=("L", "RGB")).count(pl.Series(["RGB", "P", None, "RGB"]))
        [0, 2, 1, 1]
        """
        if isinstance(values, pl.Series):
            values = measure(values, self.kind)
        counts = np.zeros(self.size, np.int64)
        if self.kind == "number":
            at = np.searchsorted(np.array(self.edges), values.numbers.keys, side="left")
            np.add.at(counts, at, values.numbers.counts)
        else:
            known = dict(zip(self.names, range(len(self.names)), strict=True))
            for name, count in values.names.items():
                counts[known.get(name, len(self.names))] += count
            counts[-2] += values.unnamed
        counts[-1] = values.missing
        return [int(n) for n in counts]

    def merge(self, counts: list[int] | tuple[int, ...]) -> list[int]:
        """Return the counts of about ten bins, the missing ones last; those of a category as is.

        >>> Bins("number", edges=(1.0, 2.0, 3.0), coarse=(1,)).merge([1, 2, 3, 4, 9])
        [3, 7, 9]
        """
        if self.kind == "category":
            return list(counts)
        starts = [0, *(at + 1 for at in self.coarse)]
        ends = [*starts[1:], len(self.edges) + 1]
        return [*(sum(counts[a:b]) for a, b in zip(starts, ends, strict=True)), counts[-1]]


def as_numbers(values: pl.Series) -> npt.NDArray[np.float64]:
    """Return numbers and truth values as float64, NaN where there is none."""
    return values.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()


def cut_numbers(values: pl.Series) -> Bins:
    """Return bins that each hold about as many of `values`, common values apart.

    Edges are values that occur (quantiles by the inverted distribution function) or the next
    number below one, so that they are the same on every machine.

    >>> cut_numbers(pl.Series([7] * 30)).edges
    (6.999999999999999, 7.0)
    """
    return cut(values, "number")


def _cut_numbers(known: Weighted) -> Bins:
    fine, coarse = _edges(known, FINE), _edges(known, COARSE)
    edges = np.union1d(fine, coarse)
    at = np.searchsorted(edges, coarse)
    return Bins("number", tuple(edges.tolist()), tuple(int(place) for place in at))


def _edges(known: Weighted, levels: int) -> npt.NDArray[np.float64]:
    keys, counts = known
    if keys.size == 0:
        return keys
    ranks = -(-np.arange(1, levels) * known.total // levels) - 1
    atoms = keys[counts >= max(ATOM_COUNT_MIN, known.total / levels)]
    inner = np.unique(keys[np.searchsorted(counts.cumsum(), ranks[ranks >= 0], side="right")])
    inner = inner[inner < keys[-1]]  # above the largest value nothing has been seen yet
    return np.unique(np.concatenate([inner, atoms, np.nextafter(atoms, -np.inf)]))


def cut_categories(values: pl.Series) -> Bins:
    """Return a bin for each frequent value, at most 50; ties in the order of their names.

    >>> cut_categories(pl.Series(["JPEG"] * 9 + ["PNG"] * 6 + ["GIF"])).names
    ('JPEG', 'PNG')
    """
    return cut(values, "category")


def _cut_categories(values: Measured) -> Bins:
    least = max(ATOM_COUNT_MIN, values.total / NAME_SHARE)
    kept = sorted((-count, name) for name, count in values.names.items() if count >= least)
    return Bins("category", names=tuple(name for _, name in kept[:NAMES_MAX]))


def choose_kind(values: pl.Series) -> Kind | None:
    """Return how a column is cut; None for digests, nested values and texts that hardly repeat."""
    kind = values.dtype
    if kind == pl.UInt64 or kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Null):
        return None
    if kind.is_numeric():
        return "number"
    if kind == pl.Boolean:
        return "category"
    if kind not in (pl.String, pl.Categorical, pl.Enum):
        return None
    known = values.drop_nulls()
    few = max(NAMES_MAX, len(known) // 10)
    return "category" if known.n_unique() <= few else None


def cut(values: pl.Series | Measured, kind: Kind) -> Bins:
    """Return the bins of `values`."""
    told = measure(values, kind) if isinstance(values, pl.Series) else values
    return _cut_numbers(told.numbers) if kind == "number" else _cut_categories(told)


def plain(bins: Bins) -> dict[str, Any]:
    """Return `bins` as JSON-able data; `revive` reads it back, every edge the same float."""
    told = {"edges": list(bins.edges), "coarse": list(bins.coarse), "names": list(bins.names)}
    return {"kind": bins.kind, **{key: value for key, value in told.items() if value}}


def revive(told: Any) -> Bins:
    """Return the bins that `plain` stored.

    Raises:
        ValueError: they are none: a wrong type, edges that do not ascend, names that repeat.
    """
    try:
        kind, names = told["kind"], tuple(told.get("names", ()))
        edges = tuple(float(edge) for edge in told.get("edges", ()))
        coarse = tuple(int(at) for at in told.get("coarse", ()))
    except (TypeError, KeyError, AttributeError) as broken:
        raise ValueError("bins without a kind, or of a wrong type") from broken
    ascend = np.all(np.diff(edges) > 0) and np.all(np.isfinite(edges))
    sound = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    inside = list(coarse) == sorted(set(coarse)) and all(0 <= at < len(edges) for at in coarse)
    if kind not in ("number", "category") or not (ascend and sound and inside):
        raise ValueError(f"no bins of a {kind!r}")
    return Bins(kind, edges, coarse, names)
