"""Rules on single values: the ones that a column may hold, the words that it must not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import polars as pl

from checks.metrics.tabular_profile import ClosePair, ColumnProfile
from checks.metrics.tabular_words import GAP_WORDS, PLACEHOLDERS, is_placeholder
from checks.suites.suggestion_odds import percent
from checks.suites.suggestion_rule import Lookup, Proposal

LISTED_MAX, LOOKUP_MAX = 100, 5_000
NEW_MAX = 0.005  # of the rows: beyond, new values are so common that no list is the whole
OFTEN_MIN, OFTEN_SHARE, OFTEN_COVERED = 3, 0.001, 0.9
SETTLED_MIN = 10  # rows of the rarest value, from where no rarer one is to be expected
TWIN_FACTOR, RARE = 20, 0.01
FORBIDDEN = tuple(
    dict.fromkeys(
        spelt for word in (*PLACEHOLDERS, *GAP_WORDS)
        for spelt in (word, word.upper(), word.capitalize())
    )
)  # fmt: skip
TRIMMED = r"^\S(?s:.*\S)?$"


def propose_list(column: ColumnProfile, counts: pl.DataFrame, lookup: str) -> Iterator[Proposal]:
    """Yield `isin`, or a foreign key where more than 100 values are too many to read.

    Args:
        column: a column all of whose values are counted.
        counts: as `suggestion_count.tally` returns them for the column.
        lookup: the name of the table for a foreign key.

    Left out of the list are placeholder words in less than 1 % of the rows, and values beside
    which one that differs by a letter or a blank is 20 times as frequent. Where new values are
    common (about as many rows as hold a value that no other row has: Good 1953), only values in
    3 rows and 0.1 % of them are listed, if these have 90 % of the rows.

    Source: Deequ's CategoricalRangeRule and FractionalCategoricalRangeRule.
    """
    told = counts.rename({"0": "value"}).drop_nulls()
    told = told.sort("#", "value", descending=[True, False])
    kept = told.filter(~_is_slip(column.close_pairs, told))
    rows, single = int(told["#"].sum()), int((kept["#"] == 1).sum())
    name = (column.name,)
    if kept.is_empty():
        return
    settled = bool((kept["#"] >= SETTLED_MIN).all())
    if single <= NEW_MAX * rows and kept.height <= LOOKUP_MAX:
        new = f"; {single:,} of them in one row only" if single else ""
        why = f"{_count(kept.height)}{_tell_slips(told, kept)}{new}"
        if kept.height <= LISTED_MAX:
            yield Proposal(name, "isin", _ordered(kept), why, may_never=settled,
                           unseen_count=single)  # fmt: skip
        else:
            table = kept.select(pl.col("value").sort()).rename({"value": column.name})
            yield Proposal(name, "foreign_key", Lookup(lookup, table), why, may_never=settled,
                           unseen_count=single, failures=rows - int(kept["#"].sum()))  # fmt: skip
        return
    least = max(OFTEN_MIN, math.ceil(OFTEN_SHARE * rows))
    often = kept.filter(pl.col("#") >= least)
    covered = int(often["#"].sum())
    nearly = int(often.filter(pl.col("#") == least)["#"].sum())  # one row less, and left out
    if often.height <= LISTED_MAX and covered >= OFTEN_COVERED * rows:
        why = f"the {often.height} values that {percent(covered / rows)} of the filled rows hold"
        yield Proposal(name, "isin", _ordered(often), why, guessed=True, may_never=False,
                       unseen_count=nearly)  # fmt: skip


def _count(values: int) -> str:
    return "one value" if values == 1 else f"{values:,} values"


def _ordered(kept: pl.DataFrame) -> tuple[object, ...]:
    return tuple(kept["value"].sort().to_list())


def _is_slip(close: Sequence[ClosePair], told: pl.DataFrame) -> pl.Series:
    """The values that are more likely errors than values, Boolean."""
    if told["value"].dtype != pl.String:
        return pl.repeat(value=False, n=told.height, eager=True)
    pairs = [p for p in close if p.frequent_count >= TWIN_FACTOR * p.rare_count]
    rare = [pair.rare for pair in pairs]
    bare, rows = pl.col("value").str.strip_chars(), int(told["#"].sum())
    core = pl.col("value").str.replace_all(r"\s", "")
    twin = told.select(core=core, rows="#").group_by("core").agg(pl.max("rows"))
    known = told.with_columns(core=core).join(twin, on="core", how="left", maintain_order="left")
    is_small = pl.col("#") < RARE * rows
    spaced = pl.col("rows") >= TWIN_FACTOR * pl.col("#")
    word = (is_placeholder(bare) | (bare == "")) & is_small
    return known.select(word | spaced | (bare.is_in(rare) & is_small)).to_series()


def _tell_slips(told: pl.DataFrame, kept: pl.DataFrame) -> str:
    lost = told.join(kept, on="value", how="anti", maintain_order="left")
    if lost.is_empty():
        return ""
    first = ", ".join(repr(value) for value in lost["value"].head(3).to_list())
    more = f" and {lost.height - 3} more" if lost.height > 3 else ""  # noqa: PLR2004
    return f", without {first}{more}"


def propose_words(column: ColumnProfile, *, closed: bool) -> Iterator[Proposal]:
    """Yield the rules of a text that is no list: no placeholder words, no blanks at its ends.

    closed: another rule lets no text pass but what it knows. Then a word that it knows may still
    become more frequent, and is forbidden beyond its share; nothing else is left to say.
    """
    name, rows = (column.name,), column.row_count
    words = column.placeholder_count
    if not closed or words >= RARE * rows:
        yield Proposal(name, "notin", FORBIDDEN, "words that stand for a gap",
                       may_never=not words)  # fmt: skip
    odd = column.untrimmed_count + column.blank_count + column.empty_count
    if not closed and odd < RARE * rows:
        yield Proposal(name, "str_contains", TRIMMED, "text, with no blank at either end")
