"""The type in which a contract should read a column: what its texts turn out to be."""

from __future__ import annotations

import polars as pl

from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_words import is_placeholder
from checks.suites.contract_cells import convert

CODE_DIGITS_MIN = 5  # whole numbers of one length from here on are codes, not quantities
_FITTING_MIN = 0.9  # of the cells that hold something
_RARELY, _FRACTIONS_MAX = 0.01, 0.001
_FLOAT = pl.Float64()


def choose_type(column: ColumnProfile, sample: pl.Series) -> pl.DataType:
    """Return the type that the cells of `column` should be read in.

    A typed column keeps its type. Text becomes a number, a truth value or a time where its kind
    and nine of ten of its sampled cells say so; digits with leading zeros, or five and more of
    one length, are codes and stay text, as do numbers with a unit.

    >>> from checks.metrics.tabular import profile_table
    >>> cells = pl.DataFrame({"born": ["2001-02-03"] * 9 + ["2004-05-06"], "code": ["01234"] * 10})
    >>> told = profile_table(cells.lazy(), label=None)
    >>> [str(choose_type(told.column(name), cells[name])) for name in cells.columns]
    ['Date', 'String']
    """
    if sample.dtype != pl.String:
        return sample.dtype
    cells = _held(sample)
    if cells.is_empty():
        return pl.String()
    return next((one for one in _candidates(column, cells) if _fits(cells, one)), pl.String())


def _held(sample: pl.Series) -> pl.Series:
    """The stripped texts of a sample that are no gap."""
    text = pl.col("text").str.strip_chars()
    told = pl.DataFrame({"text": sample}).select(text).drop_nulls()
    return told.filter(text != "", ~is_placeholder(text, strict=True)).to_series()


def _candidates(column: ColumnProfile, cells: pl.Series) -> list[pl.DataType]:
    if column.kind == "boolean":
        return [pl.Boolean()] if not cells.str.contains(r"\d").any() else []
    if column.kind == "datetime" and column.date_format == "iso":
        return [pl.Date(), pl.Datetime("us")]
    if column.kind not in ("number", "identifier"):
        return []
    return [] if _is_code(cells) else [pl.Int64(), pl.Float64()]


def _is_code(cells: pl.Series) -> bool:
    if (cells.str.contains(r"^0\d")).sum() > _RARELY * cells.len():
        return True
    long = cells.str.contains(rf"^\d{{{CODE_DIGITS_MIN},}}$")
    same = cells.str.len_chars() == cells.str.len_chars().mode()[0]
    return int((long & same).sum()) >= (1 - _RARELY) * cells.len()


def _fits(cells: pl.Series, wanted: pl.DataType) -> bool:
    fit = _count_read(cells, wanted)
    if wanted == pl.Int64:  # if more than one number in a thousand has a fraction, all may
        return fit >= max(
            _FITTING_MIN * cells.len(), (1 - _FRACTIONS_MAX) * _count_read(cells, _FLOAT)
        )
    return fit >= _FITTING_MIN * cells.len()


def _count_read(cells: pl.Series, wanted: pl.DataType) -> int:
    read = cells.to_frame("text").select(convert(pl.col("text"), pl.String(), wanted))
    return int(read.to_series().count())
