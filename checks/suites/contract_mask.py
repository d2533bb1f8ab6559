"""The mask of a row: bit i of the words mask_0, mask_1, ... (UInt64) is rule i of a contract."""

from __future__ import annotations

import polars as pl

WORD_BITS = 64
WORD, FLAG = "mask_", "\x1fflag:"
WORDS_PATTERN, FLAGS_PATTERN = rf"^{WORD}\d+$", f"^{FLAG}.*$"


def name_flag(i: int) -> str:
    """Return the column in which rule `i` says yes or no of a row."""
    return f"{FLAG}{i}"


def pack_flags(count: int) -> list[pl.Expr]:
    """Return the words that hold the flags of `count` rules.

    >>> flags = pl.DataFrame({name_flag(0): [True, False], name_flag(1): [True, True]})
    >>> flags.select(pack_flags(2)).rows()
    [(3,), (2,)]
    """
    words = []
    for first in range(0, count, WORD_BITS):
        bits = [
            pl.col(name_flag(i)).cast(pl.UInt64) * bit(i)
            for i in range(first, min(first + WORD_BITS, count))
        ]
        words.append(pl.sum_horizontal(bits).alias(f"{WORD}{first // WORD_BITS}"))
    return words


def word(i: int) -> pl.Expr:
    """Return the word that holds rule `i`."""
    return pl.col(f"{WORD}{i // WORD_BITS}")


def bit(i: int) -> pl.Expr:
    """Return the bit of rule `i` in its word."""
    return pl.lit(1 << i % WORD_BITS, pl.UInt64)


def has_bit(i: int) -> pl.Expr:
    """Return where a masked row breaks rule `i`."""
    return (word(i) & bit(i)) != 0


def has_any_bit() -> pl.Expr:
    """Return where a masked row breaks any rule."""
    return pl.any_horizontal(pl.col(WORDS_PATTERN) != 0)
