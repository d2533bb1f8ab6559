"""Words, numbers and marks that stand for something else: placeholders, units, broken encodings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

# Never a value of its own, in any column.
PLACEHOLDERS = (
    "n/a", "#n/a", "n.a.", "nan", "null", "(null)", "<na>", "na", "?", "??", "???", "-", "--",
    "---", ".", "..", "#ref!", "#value!", "#null!", "#name?", "#div/0!", "not available",
)  # fmt: skip
# A word that some columns hold in earnest ("None" of a list of veneers, "unknown" of a poll):
# a placeholder only where numbers or dates are expected.
DOUBTFUL_PLACEHOLDERS = (
    "none", "nil", "unknown", "missing", "undefined", "tbd", "tba", "empty", "not applicable",
)  # fmt: skip
BOOLEAN_WORDS = ("true", "false", "yes", "no", "t", "f", "y", "n")
SHAPE_LENGTH = 64  # characters of a text that its shape tells of
# Of these, the ones that name a gap in a column of words too, if few of its rows hold them.
GAP_WORDS = ("unknown", "missing", "undefined", "tbd", "tba", "nil")
SENTINELS = (
    -1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0,
)  # fmt: skip
NUMBER_WITH_UNIT = (
    r"^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z%°µ$€£][A-Za-z%°µ$€£./]{0,11})$"
)
ISO_DATE = r"^\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?$"
SLASH_DATE = r"^\d{1,2}/\d{1,2}/\d{4}$"
MOJIBAKE = r"(?:[ÂÃ][\u0080-\u00BF])|(?:Ã[†-™ŒœŠšŸŽž€‚ƒ„…ˆ‰‹‘’“”•–—˜›])|(?:â€.)|\uFFFD"  # noqa: RUF001

_LENGTH = {
    "mm": 0.001, "cm": 0.01, "m": 1.0, "km": 1000.0, "in": 0.0254, "inch": 0.0254,
    "inches": 0.0254, "ft": 0.3048, "feet": 0.3048, "mi": 1609.344, "mile": 1609.344,
    "miles": 1609.344,
}  # fmt: skip
_MASS = {"mg": 1e-6, "g": 0.001, "kg": 1.0, "lb": 0.45359237, "lbs": 0.45359237,
         "oz": 0.028349523125, "ounce": 0.028349523125, "ounces": 0.028349523125}  # fmt: skip
_VOLUME = {"ml": 0.001, "cl": 0.01, "l": 1.0, "gal": 3.785411784}
_TIME = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hr": 3600.0, "hrs": 3600.0}
# name -> (what it measures, how many base units it holds)
UNITS: Mapping[str, tuple[str, float]] = MappingProxyType({
    name: (quantity, factor)
    for quantity, table in (
        ("length", _LENGTH), ("mass", _MASS), ("volume", _VOLUME), ("time", _TIME)
    )
    for name, factor in table.items()
})  # fmt: skip
# Ratios of units that people mix up; each also the other way round.
FACTORS: Mapping[float, str] = MappingProxyType({
    1.609344: "kilometres for miles", 2.54: "centimetres for inches",
    3.280839895: "feet for metres", 2.20462262: "pounds for kilograms",
    28.349523125: "grams for ounces", 3.785411784: "litres for gallons",
    10.0: "10 times", 100.0: "100 times", 1000.0: "1000 times", 60.0: "60 times",
})  # fmt: skip


def is_placeholder(text: pl.Expr, *, strict: bool = False) -> pl.Expr:
    """Say which stripped texts are placeholder words; `strict` adds the doubtful ones.

    >>> pl.select(is_placeholder(pl.lit("N/A"))).item()
    True
    """
    words = (*PLACEHOLDERS, *DOUBTFUL_PLACEHOLDERS) if strict else PLACEHOLDERS
    return text.str.to_lowercase().is_in(words).fill_null(value=False)


def is_gap_word(text: pl.Expr) -> pl.Expr:
    """Say which stripped texts are words for a gap that some columns of words hold in earnest.

    >>> pl.select(is_gap_word(pl.lit("Unknown"))).item()
    True
    """
    return text.str.to_lowercase().is_in(GAP_WORDS).fill_null(value=False)


def shape_of(text: pl.Expr) -> pl.Expr:
    """Return a text's shape: runs of digits become 9, of capitals A, of small letters a.

    >>> pl.select(shape_of(pl.lit("N619aa-7"))).item()
    'A9a-9'
    """
    short = text.str.slice(0, SHAPE_LENGTH).str.replace_all(r"\d+", "9")
    return short.str.replace_all(r"\p{Lu}+", "A").str.replace_all(r"\p{Ll}+", "a")


def _broken_pairs() -> dict[str, str]:
    """Every character that UTF-8 read as Windows-1252 or Latin-1 spoils, with what it was."""
    marks = "–—‘’“”•…€™"  # noqa: RUF001
    pairs: dict[str, str] = {}
    for character in [*map(chr, range(0xA0, 0x180)), *marks]:
        for codec in ("latin-1", "cp1252"):
            try:
                spoilt = character.encode().decode(codec)
            except UnicodeDecodeError:
                continue
            pairs[spoilt] = character
    return pairs


BROKEN_PAIRS: Mapping[str, str] = MappingProxyType(_broken_pairs())


def repair_mojibake(text: pl.Expr) -> pl.Expr:
    """Return the text as it was before UTF-8 was read as Latin-1 or Windows-1252.

    >>> pl.select(repair_mojibake(pl.lit("cafÃ©"))).item()
    'café'
    """
    found, meant = list(BROKEN_PAIRS), list(BROKEN_PAIRS.values())
    return text.str.replace_many(found, meant, leftmost=True)
