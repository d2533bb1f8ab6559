"""The rules of one column, after its kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from checks.metrics.tabular_profile import ColumnProfile, text_of
from checks.metrics.tabular_words import is_placeholder
from checks.suites.contract_cells import convert
from checks.suites.suggestion_limits import Numbers, propose_limits, propose_period
from checks.suites.suggestion_patterns import propose_pattern
from checks.suites.suggestion_rule import Proposal
from checks.suites.suggestion_values import LOOKUP_MAX, propose_list, propose_words

LISTED = ("category", "boolean", "constant")
REPEATED_MAX = 0.002  # of the rows of a key
_AGREEING_MIN, _SLACK = 20, 0.05  # the slack: three standard errors of an estimated count
_ORDERED_MIN = 20  # different times before their order says something
_FAR = 2.0  # times the middle 98 % of all times: farther out is an error


def wants_counts(column: ColumnProfile, wanted: pl.DataType) -> bool:
    """Say whether the values of a column are to be counted for a list."""
    words = wanted in (pl.String, pl.Categorical) and column.kind in LISTED
    truth = wanted.is_integer() and column.kind == "boolean"
    return (words or truth) and column.exact and 0 < column.distinct_count <= LOOKUP_MAX


def propose_column(
    column: ColumnProfile, wanted: pl.DataType, sample: pl.Series, counts: pl.DataFrame | None,
    lookup: str,
) -> Iterator[Proposal]:  # fmt: skip
    """Yield what a column alone should keep to.

    Args:
        column: its profile.
        wanted: the type that the contract reads it in.
        sample: some of its cells, as they are stored.
        counts: of its values, where `wants_counts`.
        lookup: the name of a table of its values.
    """
    name = (column.name,)
    if wanted != sample.dtype:
        yield Proposal(name, "dtype", wanted, "stored as text")
    yield Proposal(name, "not_null")
    if wanted.is_float():
        yield Proposal(name, "not_nan")
    if _is_key(column, wanted):
        yield Proposal(name, "unique", why="a key")
    cells = sample.to_frame().select(convert(pl.col(column.name), sample.dtype, wanted)).to_series()
    if wanted.is_numeric() and counts is None:
        yield from _limit_numbers(column, cells, whole=wanted.is_integer())
    elif wanted.is_temporal() and column.kind == "datetime":
        yield from _limit_times(column, wanted, cells)
    elif wanted == pl.String:
        yield from _limit_texts(column, sample, counts, lookup)
    elif counts is not None:
        yield from propose_list(column, counts, lookup)


def _is_key(column: ColumnProfile, wanted: pl.DataType) -> bool:
    """Whether a column's values are different because they name rows.

    Whole numbers that were drawn from their range would agree in `_AGREEING_MIN` pairs of rows
    and more, were they no key.
    """
    if column.kind == "identifier":
        return wanted == pl.String or wanted.is_integer()
    if not wanted.is_integer() or column.min is None or column.max is None:
        return False
    rows = column.number_count
    agreeing = rows * (rows - 1) / 2 / (column.max - column.min + 1)
    near = (1 - REPEATED_MAX) if column.exact else 1 - _SLACK
    return agreeing >= _AGREEING_MIN and column.distinct_count >= near * rows


def _limit_numbers(column: ColumnProfile, cells: pl.Series, *, whole: bool) -> Iterator[Proposal]:
    finite = cells.cast(pl.Float64).drop_nulls()
    finite = finite.filter(finite.is_finite()).sort()
    if finite.is_empty():
        return
    low, high = column.min, column.max
    if low is None or high is None:
        low, high = float(finite[0]), float(finite[-1])
    limits = propose_limits(column.name, Numbers(finite.to_numpy(), low, high, whole))
    key = column.kind == "identifier"
    yield from (one for one in limits if not key or (one.word == "ge" and one.value in (0, 1)))


def _limit_times(
    column: ColumnProfile, wanted: pl.DataType, cells: pl.Series
) -> Iterator[Proposal]:  # fmt: skip
    if column.min is None or column.max is None:
        return
    early, late = column.quantiles["p01"], column.quantiles["p99"]
    reach = _FAR * (late - early)
    low = column.min if early - column.min <= reach else early
    high = column.max if column.max - late <= reach else late
    yield from propose_period(column.name, wanted, low, high)
    if cells.n_unique() >= _ORDERED_MIN:
        yield Proposal((column.name,), "never_falls", why="the rows stand in its order")


def _limit_texts(
    column: ColumnProfile, sample: pl.Series, counts: pl.DataFrame | None, lookup: str
) -> Iterator[Proposal]:
    said = list(propose_list(column, counts, lookup)) if counts is not None else []
    if not said:
        bare = text_of(column.name, "String")
        filled = (bare != "") & ~is_placeholder(bare)
        texts = sample.to_frame().filter(filled).to_series()
        said = list(propose_pattern(column.name, texts))
        if not said:
            yield from _limit_lengths(column, texts)
    yield from said
    yield from propose_words(
        column, closed=any(one.word != "str_length" and not one.guessed for one in said)
    )


def _limit_lengths(column: ColumnProfile, texts: pl.Series) -> Iterator[Proposal]:
    """The length of free text, characters, with margins."""
    lengths = np.sort(texts.str.len_chars().to_numpy().astype(np.float64))
    low, high = column.length_min, column.length_max
    if not lengths.size or low is None or high is None:
        return
    found = {one.word: one for one in propose_limits(
        column.name, Numbers(lengths, float(max(low, 1)), float(high), whole=True))}  # fmt: skip
    if "le" not in found:
        return
    least = max(1, int(found["ge"].value)) if "ge" in found else 1
    told = {"min_value": least, "max_value": int(found["le"].value)}
    why = f"{low:,} to {high:,} characters were seen"
    yield Proposal((column.name,), "str_length", told, why, guessed=True, may_never=False)
