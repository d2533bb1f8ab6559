"""Cells that are empty exactly where another column says so: rules of the form if a, then b."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.suites.suggestion_rule import Proposal

ROWS_MIN = 20  # with a gap, and without one, before a column takes part
MISFIT_MAX = 0.001  # of the rows
VALUES_MAX, COLUMNS_MAX = 20, 200
_EMPTY_MIN = 0.98  # of the rows with a value, for which the other cell is then empty


def propose_gaps(cells: pl.DataFrame) -> Iterator[Proposal]:
    """Yield, for each column with gaps, when it is empty and when it is not.

    Args:
        cells: sampled rows, in the contract's types.

    A column may be empty exactly where another one is, or where another one has some of its at
    most 20 values. All but 0.1 % of the rows must agree; a column follows one other at most.

    >>> rows = pl.DataFrame({"end": ["x", None] * 50, "state": ["off", "on"] * 50})
    >>> for one in propose_gaps(rows):
    ...     print(one.value["if"], one.value["then"])
    {'column': 'state', 'isin': ['on']} {'column': 'end', 'is_null': True}
    {'column': 'state', 'notin': ['on']} {'column': 'end', 'not_null': True}
    """
    names = [n for n in cells.columns if not cells[n].dtype.is_nested()][:COLUMNS_MAX]
    gaps = {n: cells[n].is_null().to_numpy() for n in names}
    rows = cells.height
    gapped = [n for n in names if ROWS_MIN <= gaps[n].sum() <= rows - ROWS_MIN]
    codes = {n: found for n in names if (found := _code(cells[n])) is not None} if gapped else {}
    done: list[str] = []
    for name in gapped:
        twin = next((n for n in done if _differ(gaps[n], gaps[name]) <= MISFIT_MAX), None)
        if twin is not None:
            yield from _pair(name, twin, ({"is_null": True}, {"not_null": True}))
            continue
        done.append(name)
        told = _find_values(gaps[name], {n: c for n, c in codes.items() if n != name})
        if told is not None:
            other, values = told
            yield from _pair(name, other, ({"isin": values}, {"notin": values}))


def _differ(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    return float((left != right).mean())


def _code(cells: pl.Series) -> tuple[NDArray[np.int64], list[object]] | None:
    """Each cell's place in the few values of a column, and these; null has none."""
    if not (cells.dtype.is_integer() or cells.dtype in (pl.String, pl.Boolean)):
        return None
    values = cells.unique().drop_nulls().sort()
    if not 1 < values.len() <= VALUES_MAX:
        return None
    ranks = cells.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    return ranks, values.to_list()


def _find_values(
    gap: NDArray[np.bool_], codes: Mapping[str, tuple[NDArray[np.int64], list[object]]]
) -> tuple[str, list[object]] | None:
    best: tuple[float, int, str, list[object]] | None = None
    for name, (ranks, values) in codes.items():
        filled = ranks >= 0
        rows = np.bincount(ranks[filled], minlength=len(values))
        empty = np.bincount(ranks[filled], weights=gap[filled], minlength=len(values))
        chosen = empty >= _EMPTY_MIN * rows
        misfits = float((chosen[ranks] != gap)[filled].sum() / gap.size)
        met = int(rows[chosen].sum()) >= ROWS_MIN and not chosen.all()
        if met and misfits <= MISFIT_MAX and filled.mean() >= 1 - MISFIT_MAX:
            told = [value for value, one in zip(values, chosen, strict=True) if one]
            best = min(
                best or (2.0, 0, "", []), (misfits, len(told), name, told), key=lambda t: t[:3]
            )
    return None if best is None else (best[2], best[3])


def _pair(name: str, other: str, given: Sequence[Mapping[str, object]]) -> Iterator[Proposal]:
    for words, then in zip(given, ("is_null", "not_null"), strict=True):
        told = {"if": {"column": other, **words}, "then": {"column": name, then: True}}
        yield Proposal((other, name), "implies", told, f"{name} is empty where {other} says so",
                       may_never=False)  # fmt: skip
