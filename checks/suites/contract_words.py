"""The words in which a contract declares a rule: pandera's names and meaning, as expressions.

Each word gives true where a cell fits and null where the cell is null, which breaks no rule.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import polars as pl

from checks.core.errors import ContractError

ALIASES: Mapping[str, str] = MappingProxyType({
    "eq": "equal_to", "ne": "not_equal_to", "gt": "greater_than", "ge": "greater_than_or_equal_to",
    "lt": "less_than", "le": "less_than_or_equal_to", "between": "in_range",
})  # fmt: skip


def _in_range(
    cell: pl.Expr, min_value: Any, max_value: Any, *, include_min: bool = True,
    include_max: bool = True,
) -> pl.Expr:  # fmt: skip
    above = cell.ge(min_value) if include_min else cell.gt(min_value)
    return above & (cell.le(max_value) if include_max else cell.lt(max_value))


def _length(
    cell: pl.Expr, min_value: int = 0, max_value: int | None = None, exact_value: int | None = None
) -> pl.Expr:
    length = cell.str.len_chars()
    if exact_value is not None:
        return length == exact_value
    return length >= min_value if max_value is None else length.is_between(min_value, max_value)


def _matches(cell: pl.Expr, pattern: Any) -> pl.Expr:
    text = getattr(pattern, "pattern", pattern)
    return cell.str.contains(text if text.startswith("^") else f"^{text}")


# pandera's own meaning of each, pandera.backends.polars.builtin_checks 0.35
WORDS: Mapping[str, Callable[..., pl.Expr]] = MappingProxyType({
    "equal_to": lambda cell, value: cell == value,
    "not_equal_to": lambda cell, value: cell != value,
    "greater_than": lambda cell, min_value: cell > min_value,
    "greater_than_or_equal_to": lambda cell, min_value: cell >= min_value,
    "less_than": lambda cell, max_value: cell < max_value,
    "less_than_or_equal_to": lambda cell, max_value: cell <= max_value,
    "in_range": _in_range,
    "isin": lambda cell, allowed_values: cell.is_in(list(allowed_values)),
    "notin": lambda cell, forbidden_values: ~cell.is_in(list(forbidden_values)),
    "str_matches": _matches,
    "str_contains": lambda cell, pattern: cell.str.contains(getattr(pattern, "pattern", pattern)),
    "str_startswith": lambda cell, string: cell.str.starts_with(string),
    "str_endswith": lambda cell, string: cell.str.ends_with(string),
    "str_length": _length,
})  # fmt: skip
LISTED = ("isin", "notin")
# never null: only a condition names them, a column says `nullable`
NULL_WORDS: Mapping[str, Callable[[pl.Expr], pl.Expr]] = MappingProxyType(
    {"is_null": pl.Expr.is_null, "not_null": pl.Expr.is_not_null}
)


def apply_word(where: str, word: str, told: Any, cell: pl.Expr) -> pl.Expr:
    """Return where `cell` fits the `word` with what is `told` of it.

    Args:
        where: begins the sentence of an error.
        word: a name of WORDS, ALIASES or NULL_WORDS.
        told: a mapping of the word's parameters, or the value of its first; true for NULL_WORDS.
        cell: the cells that are judged.

    Raises:
        ContractError: no such word or parameter, with the nearest.

    >>> fits = apply_word("c", "ge", 2, pl.col("n"))
    >>> pl.DataFrame({"n": [1, 2, None]}).select(fits)["n"].to_list()
    [False, True, None]
    """
    name = ALIASES.get(word, word)
    if name in NULL_WORDS:
        if told is not True:
            raise ContractError(where, f"{word} is said or not", got=told, allowed="It is true.")
        return NULL_WORDS[name](cell)
    if name not in WORDS:
        known = [*WORDS, *ALIASES, *NULL_WORDS]
        raise ContractError(where, "no such rule", got=word, advice=advise(word, known))
    parameters = list(inspect.signature(WORDS[name]).parameters)[1:]
    given = dict(told) if isinstance(told, Mapping) else {parameters[0]: told}
    if name in LISTED and isinstance(given.get(parameters[0]), str):
        raise ContractError(where, f"{word} needs a list of values", got=given[parameters[0]])
    for key in given:
        if key not in parameters:
            advice = advise(str(key), parameters)
            raise ContractError(where, f"{word} has no such parameter", got=key, advice=advice)
    try:
        return WORDS[name](cell, **given)
    except (TypeError, AttributeError) as broken:
        raise ContractError(where, f"{word} cannot be read so: {broken}", got=told) from broken


def advise(name: str, known: list[str]) -> str:
    """Return the nearest known name as a question, or all of them."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known) or 'none'}."
