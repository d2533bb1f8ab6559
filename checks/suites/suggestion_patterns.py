"""Patterns of texts: a regular expression from the few shapes that nearly all texts have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from checks.metrics.tabular_words import NUMBER_WITH_UNIT, SHAPE_LENGTH, shape_of
from checks.suites.suggestion_rule import Proposal

COVERED_MIN, SHAPES_MAX, SHAPE_SHARE, SHAPE_ROWS = 0.98, 4, 0.01, 10
UNITS_MAX, HEX_SHARE = 4, 0.9
_END_SHARE, _END_ROWS, _FIRM_SHARE = 0.01, 10, 0.995  # of the texts of a shape
_LITERAL_ROWS, _HEX_MIN = 200, 8
_RUNS = {"9": r"(\d+)", "A": r"(\p{Lu}+)", "a": r"(\p{Ll}+)"}
_SIGNS = {"9": r"\d", "A": "[A-Z]", "a": "[a-z]"}
_LETTER = r"[^\W\d_]"  # of any script, as both Python and polars read it
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


Found = tuple[str, str, float]  # a pattern, what speaks for it, the share of texts it covers


def _escape(text: str) -> str:
    """`text` as a regular expression; re.escape would mark blanks and hyphens too."""
    return "".join(f"\\{sign}" if sign in _SPECIAL else sign for sign in text)


def propose_pattern(name: str, texts: pl.Series) -> Iterator[Proposal]:
    r"""Yield `str_matches` if at most four shapes cover 98 % of `texts`.

    Args:
        name: the column.
        texts: sampled cells as they came, no nulls and no placeholders.

    A run of digits or letters has the lengths that 1 % of a shape's texts and more have, and those
    beside them, if only one text in 200 has another, else any; what is the same in all texts stands
    as it is. Numbers with a unit are told apart first, then hexadecimal digits of one length.

    >>> codes = pl.Series([f"AB-{i}" for i in range(1000, 2000)])
    >>> [one.value for one in propose_pattern("code", codes)]
    ['^AB-\\d{4}$']
    >>> sizes = pl.Series(["12 oz", "8.5 oz"] * 50)
    >>> [one.value for one in propose_pattern("size", sizes)]
    ['^[-+]?\\d+(?:\\.\\d+)? oz$']
    """
    if texts.is_empty():
        return
    found = _find(texts)
    if found is not None:
        pattern, why, covered = found
        surprises = _surprise(texts)
        rigid = not any(sign in pattern for sign in "+,|")  # one shape, and runs of one length
        yield Proposal((name,), "str_matches", pattern, why, guessed=covered < _FIRM_SHARE,
                       may_never=rigid and not surprises and covered == 1.0,
                       unseen_share=surprises)  # fmt: skip


def _find(texts: pl.Series) -> Found | None:
    return next((one for find in (_find_units, _find_digest, _find_shapes)
                 if (one := find(texts)) is not None), None)  # fmt: skip


def _surprise(texts: pl.Series) -> float:
    """The share of texts that the pattern of every other text does not know."""
    misfits = 0
    for own, other in ((0, 1), (1, 0)):
        half, rest = texts.gather_every(2, own), texts.gather_every(2, other)
        found = _find(half) if half.len() else None
        if found is None:
            return 1 - COVERED_MIN
        misfits += int((~rest.str.contains(found[0])).sum())
    return misfits / texts.len()


def _find_units(texts: pl.Series) -> Found | None:
    bare = texts.str.strip_chars()
    units = bare.str.extract(NUMBER_WITH_UNIT, 2).rename("unit")
    if units.count() < COVERED_MIN * texts.len():
        return None
    counts = (
        units.drop_nulls().value_counts(sort=True).sort("count", "unit", descending=[True, False])
    )
    common = counts.filter(pl.col("count") >= SHAPE_SHARE * texts.len())["unit"].to_list()
    if not 0 < len(common) <= UNITS_MAX:
        return None
    blank = bare.filter(units.is_not_null()).str.contains(r"\s")
    gap = " " if blank.all() else " ?" if blank.any() else ""
    told = _choose([_escape(unit) for unit in common])
    rows = int(units.is_in(common).sum())
    why = f"{rows:,} of {texts.len():,} sampled texts are numbers in {', '.join(common)}"
    return rf"^[-+]?\d+(?:\.\d+)?{gap}{told}$", why, rows / texts.len()


def _find_digest(texts: pl.Series) -> Found | None:
    length = texts.str.len_chars().mode().sort()[0]
    mixed = texts.str.contains(r"^[0-9a-f]+$") & texts.str.contains("[a-f]")
    fits = texts.str.contains(rf"^[0-9a-f]{{{length}}}$")
    if length < _HEX_MIN or not mixed.any() or fits.mean() < COVERED_MIN:  # type: ignore[operator]
        return None
    if (fits & texts.str.contains(r"\d")).mean() < HEX_SHARE:  # type: ignore[operator]
        return None  # words
    return rf"^[0-9a-f]{{{length}}}$", f"{length} hexadecimal digits", int(fits.sum()) / texts.len()


def _find_shapes(texts: pl.Series) -> Found | None:
    told = pl.DataFrame({"text": texts}).with_columns(shape=shape_of(pl.col("text")))
    told = told.filter(pl.col("text").str.len_chars() <= SHAPE_LENGTH)
    least = max(SHAPE_ROWS, SHAPE_SHARE * texts.len())
    shapes = told.group_by("shape").len().filter(pl.col("len") >= least)
    shapes = shapes.sort("len", "shape", descending=[True, False]).head(SHAPES_MAX)
    covered = int(shapes["len"].sum())
    if covered < COVERED_MIN * texts.len():
        return None
    parts = [_tell_shape(shape, told.filter(pl.col("shape") == shape)["text"])
             for shape in shapes["shape"].to_list()]  # fmt: skip
    pattern = f"^{_choose(list(dict.fromkeys(parts)))}$"
    why = f"{covered:,} of {texts.len():,} sampled texts have {_count(shapes.height)}"
    return pattern, why, covered / texts.len()


def _count(shapes: int) -> str:
    return "one shape" if shapes == 1 else f"one of {shapes} shapes"


def _choose(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _tell_shape(shape: str, texts: pl.Series) -> str:
    """The regular expression of the texts of one shape, without anchors."""
    places = [place for place, sign in enumerate(shape) if sign in _RUNS]
    whole = "".join(_RUNS.get(sign, _escape(sign)) for sign in shape)
    frame = texts.to_frame("text").select(
        pl.col("text").str.extract(f"^{whole}$", i + 1).alias(str(place))
        for i, place in enumerate(places)
    )
    runs = {place: _tell_run(shape[place], frame[str(place)].rename("text")) for place in places}
    return "".join(runs.get(place, _escape(sign)) for place, sign in enumerate(shape))


def _tell_run(kind: str, runs: pl.Series) -> str:
    if runs.n_unique() == 1 and runs.len() >= _LITERAL_ROWS:
        return _escape(runs[0])
    plain = kind == "9" or not runs.str.contains("[^A-Za-z]").any()
    sign = _SIGNS[kind] if plain else _LETTER
    lengths = runs.str.len_chars().value_counts(name="rows").sort("text")
    least = max(_END_ROWS, _END_SHARE * runs.len())
    usual = [n for n, rows in lengths.iter_rows() if rows >= least]
    counts = dict(lengths.iter_rows())
    low, high = (
        (_go_on(counts, end, step) for end, step in ((min(usual), -1), (max(usual), 1)))
        if usual
        else (0, -1)
    )
    if sum(rows for n, rows in counts.items() if low <= n <= high) < _FIRM_SHARE * runs.len():
        return f"{sign}+"
    return f"{sign}{_repeat(low, high)}"


def _go_on(counts: Mapping[int, int], length: int, step: int) -> int:
    """The farthest length from `length` on, without a gap, that any run has."""
    while length + step in counts:
        length += step
    return length


def _repeat(low: int, high: int) -> str:
    if low == high:
        return "" if low == 1 else f"{{{low}}}"
    return f"{{{low},{high}}}"
