"""Errors of eleven kinds, planted in a share of the cells of one column."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from bench.suggest_tables import CleanTable

Draw = np.random.Generator
SHARE, COLUMNS_MAX, OWN_ERRORS = 0.01, 6, 0.002


@dataclass(frozen=True, slots=True)
class Planting:
    """One kind of error: the columns that it fits, and what becomes of their cells.

    spoil: from (draw, the cells to spoil, the whole clean column) to the spoilt cells, of which
    none equals what it was.
    """

    fits: Callable[[CleanTable], list[str]]
    spoil: Callable[[Draw, pl.Series, pl.Series], pl.Series]


def plant(frame: pl.DataFrame, name: str, kind: str, rng: Draw) -> pl.DataFrame:
    """Return `frame` with one cell in 100 of the column `name` spoilt, rounded up, none empty."""
    column = frame[name]
    places = pl.select(pl.arg_where(column.is_not_null())).to_series().to_numpy()
    count = min(places.size, int(np.ceil(SHARE * frame.height)))
    rows = np.sort(rng.choice(places, count, replace=False))
    spoilt = KINDS[kind].spoil(rng, column[rows], column)
    if spoilt.dtype != column.dtype:
        column, spoilt = column.cast(pl.String), spoilt.cast(pl.String)
    return frame.with_columns(column.scatter(rows, spoilt).alias(name))


def fitting(table: CleanTable, kind: str, rng: Draw) -> list[str]:
    """Return at most six columns that an error of `kind` fits, drawn if there are more."""
    names = KINDS[kind].fits(table)
    drawn = rng.permutation(len(names))[:COLUMNS_MAX]
    return [names[i] for i in sorted(drawn)]


def _numbers(cells: pl.Series) -> pl.Series:
    return cells.cast(pl.Float64, strict=False)


def _texts(table: CleanTable) -> list[str]:
    """Columns of text in which a blank or a capital letter makes another value."""
    told = table.frame.select(pl.col(pl.String).drop_nulls().unique().implode())
    return [n for n in told.columns if n not in table.numbers and not _is_typed(told[n][0])]


def _is_typed(values: pl.Series) -> bool:
    truth = values.str.to_lowercase().is_in(["true", "false"]).all()
    return bool(truth or _numbers(values).null_count() == 0)


def _full(table: CleanTable) -> list[str]:
    frame = table.frame
    return [n for n in frame.columns if frame[n].null_count() <= 0.05 * frame.height]


def _signed(table: CleanTable) -> list[str]:
    """Numbers of which most are not 0, and none negative but for a table's own few errors."""
    found = []
    for name in table.numbers:
        told = _numbers(table.frame[name]).drop_nulls()
        if (told < 0).sum() <= OWN_ERRORS * told.len() and (told == 0).sum() <= told.len() / 10:
            found.append(name)
    return found


def _replace(make: Callable[[Draw, str], str]) -> Callable[[Draw, pl.Series, pl.Series], pl.Series]:
    def spoil(rng: Draw, cells: pl.Series, _whole: pl.Series) -> pl.Series:
        told = [make(rng, text) for text in cells.cast(pl.String).to_list()]
        return pl.Series(cells.name, told, pl.String)

    return spoil


def _misspell(rng: Draw, text: str) -> str:
    """One letter is left out, doubled, replaced or swapped with the next: never the same text."""
    place = int(rng.integers(0, max(len(text), 1)))
    other = string.ascii_lowercase[int(rng.integers(0, 26))]
    head, sign, tail = text[:place], text[place : place + 1], text[place + 1 :]
    options = [head + tail, head + sign + sign + tail, head + other + tail,
               head + tail[:1] + sign + tail[1:]]  # fmt: skip
    told = options[int(rng.integers(0, len(options)))]
    return told if told not in (text, "") else f"{text}{other}"


def _break(rng: Draw, text: str) -> str:
    """A sign of a code is lost, or a strange one is put in."""
    place = int(rng.integers(0, max(len(text), 1)))
    lost = text[:place] + text[place + 1 :]
    return lost if rng.random() < 0.5 and lost else f"{text[:place]}#{text[place:]}"  # noqa: PLR2004


def _far(_rng: Draw, cells: pl.Series, whole: pl.Series) -> pl.Series:
    """Ten times the largest of the usual values, the 99 % that are nearest to 0."""
    sizes = _numbers(whole).drop_nulls().abs().sort()
    value = 10 * max(float(sizes[int(0.99 * (sizes.len() - 1))]), 1.0)
    if whole.dtype == pl.String:
        return pl.Series(cells.name, [f"{value:.0f}"] * cells.len())
    return pl.Series(cells.name, [value] * cells.len()).cast(whole.dtype)


def _flip(_rng: Draw, cells: pl.Series, _whole: pl.Series) -> pl.Series:
    if cells.dtype == pl.String:
        return ("-" + cells).alias(cells.name)
    return (-cells.cast(pl.Float64)).cast(cells.dtype).alias(cells.name)


def _other(rng: Draw, cells: pl.Series, whole: pl.Series) -> pl.Series:
    """Another value of the column, drawn as often as it stands."""
    known = whole.drop_nulls()
    told = []
    for cell in cells.to_list():
        value = cell
        while value == cell:
            value = known[int(rng.integers(0, known.len()))]
        told.append(value)
    return pl.Series(cells.name, told, cells.dtype)


def _case(rng: Draw, text: str) -> str:
    told = text.upper() if rng.random() < 0.5 else text.lower()  # noqa: PLR2004
    return told if told != text else text.swapcase()


def _lettered(table: CleanTable) -> list[str]:
    frame, texts = table.frame, _texts(table)
    return [n for n in table.words if n in texts
            and (frame[n].drop_nulls().str.contains("[A-Za-z]{2}")).all()]  # fmt: skip


KINDS: Mapping[str, Planting] = {
    "null": Planting(_full, lambda _rng, cells, _whole: pl.Series(
        cells.name, [None] * cells.len(), cells.dtype)),
    "placeholder": Planting(lambda t: [n for n in _texts(t) if n in _full(t)],
                            _replace(lambda _rng, _text: "N/A")),
    "out of range": Planting(lambda t: list(t.numbers), _far),
    "flipped sign": Planting(_signed, _flip),
    "misspelt category": Planting(lambda t: list(t.words), _replace(_misspell)),
    "letter case": Planting(_lettered, _replace(_case)),
    "broken pattern": Planting(lambda t: list(t.codes), _replace(_break)),
    "unit in a number": Planting(lambda t: list(t.numbers), _replace(lambda _rng, t: f"{t} kg")),
    "word for a number": Planting(lambda t: list(t.numbers), _replace(lambda _rng, _t: "twelve")),
    "repeated key": Planting(lambda t: list(t.keys), _other),
    "broken dependency": Planting(lambda t: list(t.fixed), _other),
    "blank at an end": Planting(_texts, _replace(lambda _rng, text: f" {text}")),
}  # fmt: skip
