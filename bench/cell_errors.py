"""Errors of known kinds, planted in a clean table: each in its share of the cells it can befall."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

Draw = np.random.Generator
Place = tuple[int, str]
WORDS = ("N/A", "NULL", "nan", "-", "?", "unknown", "missing", "--", "#N/A", "undefined", "(null)",
         "tbd", "not available", "???")  # fmt: skip
SENTINELS = ("-1", "999", "9999", "-999", "99999")
FACTORS = (10.0, 100.0, 1000.0, 1.609344, 2.54, 2.20462262, 0.001, 0.01)
SUFFIXES = (" kg", " EUR", " km", "%", " pcs")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Target:
    """The table that errors go into: its cells as text, and which columns are of what sort."""

    cells: dict[str, list[str | None]]
    words: Sequence[str]
    numbers: Sequence[str]
    dates: Sequence[str]
    fixed: Mapping[str, tuple[str, ...]]
    swaps: Sequence[tuple[str, str]]


Change = Callable[[str, Draw], str | None]
Kind = Callable[[Target, Draw, float], dict[Place, str | None]]


def target_of(
    frame: pl.DataFrame, fixed: Mapping[str, tuple[str, ...]], swaps: Sequence[tuple[str, str]]
) -> Target:
    """Return a table as text, sorted into columns of words, numbers and dates."""
    numbers = [n for n, t in frame.schema.items() if t.is_numeric()]
    dates = [n for n, t in frame.schema.items() if t.is_temporal()]
    texts = [n for n, t in frame.schema.items() if t == pl.String]
    spelt = {n: int(frame[n].str.contains(r"[a-z]{3}").sum()) * 10 for n in texts}
    few = [n for n in texts if frame[n].n_unique() * 5 <= frame.height]
    words = [n for n in few if spelt[n] > 9 * frame[n].count()]
    cells: dict[str, list[Any]] = {n: frame[n].cast(pl.String).to_list() for n in frame.columns}
    return Target(cells, words, numbers, dates, fixed, swaps)


def plant(
    target: Target, kinds: Mapping[str, Kind], share: float, seed: int
) -> tuple[pl.DataFrame, dict[Place, tuple[str, str | None]]]:
    """Return the table as text with errors of every kind, and for each cell (kind, clean value).

    A cell is spoilt once; where two kinds meet, the first stands.
    """
    rng = np.random.default_rng(seed)
    truth: dict[Place, tuple[str, str | None]] = {}
    dirty = {name: list(values) for name, values in target.cells.items()}
    for name, kind in kinds.items():
        for (row, column), value in kind(target, rng, share).items():
            clean = target.cells[column][row]
            if value != clean and (row, column) not in truth:
                truth[row, column] = (name, clean)
                dirty[column][row] = value
    return pl.DataFrame(dirty, schema=dict.fromkeys(dirty, pl.String)), truth


def _spoil(
    target: Target, columns: Sequence[str], rng: Draw, share: float,
    change: Callable[[str], Change],
) -> dict[Place, str | None]:  # fmt: skip
    """Change `share` of the filled cells of each column by what `change(column)` returns.

    Zeros stay: with a sign, a factor or one more nought they would be what they were.
    """
    spoilt: dict[Place, str | None] = {}
    for column in columns:
        cells = target.cells[column]
        filled = [i for i, cell in enumerate(cells) if cell not in (None, "0", "0.0")]
        one = change(column)
        for row in rng.choice(filled, max(1, round(share * len(filled))), replace=False):
            spoilt[int(row), column] = one(str(cells[int(row)]), rng)
    return spoilt


def typo(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """One edit in a word: a letter replaced, dropped, added, or exchanged with its neighbour."""
    return _spoil(target, target.words, rng, share, lambda _: _edit)


def _edit(word: str, rng: Draw) -> str:
    if len(word) < 3:  # noqa: PLR2004
        return word
    at, letter = int(rng.integers(1, len(word) - 1)), LETTERS[int(rng.integers(26))]
    way = int(rng.integers(4))
    tails = (letter + word[at + 1 :], word[at + 1 :], letter + word[at:],
             word[at + 1] + word[at] + word[at + 2 :])  # fmt: skip
    return word[:at] + tails[way]


def placeholder(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """A word that stands for nothing, another one for each column: a disguise, no convention."""
    columns = [*target.words, *target.numbers, *target.dates]
    order = rng.permutation(len(WORDS))
    word = {name: WORDS[order[i % len(WORDS)]] for i, name in enumerate(columns)}
    return _spoil(target, columns, rng, share, lambda name: _always(word[name]))


def _always(value: str | None) -> Change:
    return lambda _, __: value


def extra_digit(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """A digit struck twice, or a decimal point left out."""
    return _spoil(target, target.numbers, rng, share, lambda _: _strike)


def _strike(number: str, rng: Draw) -> str:
    if "." in number and not number.endswith(".0"):
        return number.replace(".", "")
    number = number.removesuffix(".0")
    at = int(rng.integers(number.startswith("-"), len(number)))
    return number[: at + 1] + number[at:]


def sentinel(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """A lost sign in every second number, a sentinel of the column's own in the others."""

    def change(_: str) -> Change:
        word = str(rng.choice(SENTINELS))
        ways = (lambda _: word, lambda value: f"-{value}".replace("--", ""))
        return lambda value, draw: ways[int(draw.integers(2))](value)

    return _spoil(target, target.numbers, rng, share, change)


def scale(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """Another unit: the number times one factor for each column."""

    def change(_: str) -> Change:
        factor = float(rng.choice(FACTORS))
        return lambda value, _: f"{float(value) * factor:.6g}"

    return _spoil(target, target.numbers, rng, share, change)


def suffix(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """A unit written behind a number, one for each column."""

    def change(_: str) -> Change:
        unit = str(rng.choice(SUFFIXES))
        return lambda value, _: value + unit

    return _spoil(target, target.numbers, rng, share, change)


def stray_letter(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """A letter for a digit."""

    def change(value: str, draw: Draw) -> str:
        at = int(draw.integers(len(value)))
        return value[:at] + "xOlIS"[int(draw.integers(5))] + value[at + 1 :]

    return _spoil(target, target.numbers, rng, share, lambda _: change)


def swapped(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """Two cells of a row exchanged."""
    spoilt: dict[Place, str | None] = {}
    rows = len(next(iter(target.cells.values())))
    for one, two in target.swaps:
        for row in rng.choice(rows, max(1, round(share * rows)), replace=False).tolist():
            left, right = target.cells[one][row], target.cells[two][row]
            if left != right and left is not None and right is not None:
                spoilt[row, one], spoilt[row, two] = right, left
    return spoilt


def merged(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """A cell that has swallowed its neighbour, which is left empty."""
    spoilt: dict[Place, str | None] = {}
    rows = len(next(iter(target.cells.values())))
    for one, two in target.swaps:
        if not {one, two} <= set(target.words):
            continue
        for row in rng.choice(rows, max(1, round(share * rows)), replace=False).tolist():
            left, right = target.cells[one][row], target.cells[two][row]
            if left is not None and right is not None:
                spoilt[row, one], spoilt[row, two] = f"{left} {right}", None
    return spoilt


def spelling(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """The same word in other capitals, or with white space too many."""

    def change(value: str, draw: Draw) -> str:
        ways = (value.upper(), value.swapcase(), f" {value}", f"{value} ", value.replace(" ", "  "))
        changed = [way for way in ways if way != value]
        return changed[int(draw.integers(len(changed)))]

    return _spoil(target, target.words, rng, share, lambda _: change)


def mojibake(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """UTF-8 read as Windows-1252, in words with letters beyond ASCII."""
    spoilt = _spoil(target, target.words, rng, 5 * share, lambda _: _misread)
    return {place: value for place, value in spoilt.items() if value is not None}


def _misread(value: str, _: Draw) -> str | None:
    return None if value.isascii() else value.encode().decode("cp1252", errors="replace")


def other_value(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """Another value of the column, where the row's other cells fix which one it is."""

    def change(column: str) -> Change:
        pool = sorted({cell for cell in target.cells[column] if cell is not None})
        return lambda _, draw: pool[int(draw.integers(len(pool)))]

    return _spoil(target, list(target.fixed), rng, share, change)


def lost(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """Nothing, where the row's other cells fix a value: elsewhere a gap is no error to find."""
    return _spoil(target, list(target.fixed), rng, share, lambda _: _always(None))


def false_date(target: Target, rng: Draw, share: float) -> dict[Place, str | None]:
    """A filler, a century slipped, a day that no month has, or a date moved by some years."""

    def change(value: str, draw: Draw) -> str:
        year, month, day = value[:4], value[5:7], value[8:10]
        ways = ("1900-01-01", "1970-01-01", f"{int(year) - 100}-{month}-{day}",
                f"{year}-02-3{int(day) % 2}", f"{int(year) - 9}-{month}-{day}")  # fmt: skip
        return ways[int(draw.integers(len(ways)))]

    return _spoil(target, target.dates, rng, share, lambda _: change)


ADULT_KINDS: Mapping[str, Kind] = {
    "typo": typo, "placeholder": placeholder, "extra_digit": extra_digit, "sentinel": sentinel,
    "scale": scale, "swapped": swapped, "spelling": spelling, "other_value": other_value,
}  # fmt: skip
KINDS: Mapping[str, Kind] = {
    **ADULT_KINDS, "suffix": suffix, "stray_letter": stray_letter, "mojibake": mojibake,
    "lost": lost, "false_date": false_date,
    "merged": merged,
}  # fmt: skip
