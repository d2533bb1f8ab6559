"""Columns that join two others by a mark (`al_hf-1` of `al` and `hf-1`): found, then counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.dtypes import StringDType
from numpy.typing import NDArray

from checks.metrics.tabular_pairs import Candidate
from checks.metrics.tabular_profile import Dependency

_ROWS, _COLUMNS = 300, 64  # of the sample that is looked at
_FITS_MIN = 0.8  # of the sampled rows; all rows are counted later
_VIOLATION_MAX = 0.15

Texts = np.ndarray[Any, Any]  # of StringDType
Bools = NDArray[np.bool_]


@dataclass(slots=True)
class Joined(Candidate):
    """Two columns that another one seems to join, with the rows in which it does."""

    mark: str = ""
    texts: Mapping[str, pl.Expr] = field(default_factory=dict, repr=False)
    row_count: int = 0
    fit_count: int = 0

    def add(self, cells: pl.DataFrame) -> None:
        """Count one more batch of key cells."""
        one, two, whole = (self.texts[n] for n in (*self.determinants, self.dependent))
        fits = pl.concat_str([one, pl.lit(self.mark), two]) == whole
        told = cells.select(rows=fits.count(), fit=fits.sum()).row(0)
        self.row_count, self.fit_count = self.row_count + told[0], self.fit_count + told[1]

    @property
    def mark_of_counts(self) -> str:
        """What tells this candidate's counts from another's."""
        return repr((self.determinants, self.dependent, self.mark))

    def counts(self) -> pl.DataFrame | None:
        """Return the rows that were looked at and those that fit."""
        return pl.DataFrame({"rows": [self.row_count], "fit": [self.fit_count]})

    def absorb(self, counts: pl.DataFrame | None) -> None:
        """Add what `counts` of the same candidate returned for other rows."""
        if counts is not None:
            rows, fit = counts.row(0)
            self.row_count, self.fit_count = self.row_count + rows, self.fit_count + fit

    def confirm(self) -> Dependency | None:
        """Return the dependency if at most 15 % of all rows with the three cells contradict it."""
        against = self.row_count - self.fit_count
        if not self.row_count or against > _VIOLATION_MAX * self.row_count:
            return None
        return Dependency(self.determinants, self.dependent, self.row_count, against, 0,
                          (), (), (), (), self.mark)  # fmt: skip


def find_joined(sample: pl.DataFrame, texts: Mapping[str, pl.Expr]) -> list[Joined]:
    """Return the columns that are two others joined by a mark, at least on most of `sample`.

    Args:
        sample: rows of the table; the first 300 are looked at.
        texts: each column's cells as String, as expressions over `sample`; at most 64 are tried.

    Both parts must vary.

    >>> rows = pl.DataFrame({"a": ["x", "y"] * 9, "b": ["1", "2", "3"] * 6})
    >>> rows = rows.with_columns(c=pl.concat_str("a", "b", separator="-"))
    >>> [(j.determinants, j.mark) for j in find_joined(rows, {n: pl.col(n) for n in "abc"})]
    [(('a', 'b'), '-')]
    """
    head = sample.head(_ROWS).select(e.alias(n) for n, e in list(texts.items())[:_COLUMNS])
    kept = {n: [v or "" for v in head[n].to_list()] for n in head.columns}
    packed = {n: np.array(cells, StringDType()) for n, cells in kept.items()}
    parts = [n for n, cells in kept.items() if len(set(cells)) > 1]
    found = []
    for whole in parts:
        cells = kept[whole]
        others = [n for n in parts if n != whole]
        firsts = [n for n in others if _fits(packed[whole], packed[n], np.strings.startswith)]
        lasts = [n for n in others if _fits(packed[whole], packed[n], np.strings.endswith)]
        pairs = [(a, b) for a in firsts for b in lasts if a != b]
        for one, two in pairs:
            mark = _mark(cells, kept[one], kept[two])
            if mark is not None:
                found.append(Joined((one, two), whole, mark=mark, texts=texts))
                break
    return found


def _fits(wholes: Texts, parts: Texts, begins: Callable[[Texts, Texts], Bools]) -> bool:
    """Whether most of `wholes` begin (or end) with their part; an empty part fits nothing."""
    length = np.strings.str_len(parts)
    fit = (length > 0) & (length < np.strings.str_len(wholes)) & begins(wholes, parts)
    return int(fit.sum()) >= _FITS_MIN * len(wholes)


def _mark(wholes: Sequence[str], ones: Sequence[str], twos: Sequence[str]) -> str | None:
    """What stands between the two parts in most rows, if it is no letter or digit."""
    middles = Counter(
        w[len(a) : len(w) - len(b)]
        for w, a, b in zip(wholes, ones, twos, strict=True)
        if len(a) + len(b) <= len(w) and w.startswith(a) and w.endswith(b)
    )
    mark, count = middles.most_common(1)[0] if middles else ("", 0)
    plain = not any(c.isalnum() for c in mark)
    return mark if plain and count >= _FITS_MIN * len(wholes) else None
