"""Names for columns and files that are safe wherever they stand."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping

import pandera.polars as pa

from checks.suites.suggestion_rule import Rule
from checks.suites.suggestion_schema import CUSTOM

_TAKEN = {"pa", "pl", "dt", "str", "int", "float", "bool", "allow", "GAPS", "TRIMMED", "Config"}
_LONGEST = 40


def name_attributes(columns: Iterable[str]) -> dict[str, str]:
    """Return for each column the attribute of a model that stands for it, each only once.

    A name that is an identifier stands for itself, unless Python or pandera give it a meaning.

    >>> names = ["age", "class", "unit price", "unit_price", "_x", "größe"]
    >>> list(name_attributes(names).values())
    ['age', 'class_', 'unit_price_2', 'unit_price', 'x', 'gr_e']
    """
    columns = list(columns)
    found = {name: name for name in columns if _is_safe(name)}
    used = set(found.values())
    for name in columns:
        if name not in found:
            found[name] = _find_free(_shape(name), used)
            used.add(found[name])
    return {name: found[name] for name in columns}


def _is_safe(name: str) -> bool:
    return (name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
            and not name.startswith("_") and name not in _TAKEN
            and not hasattr(pa.DataFrameModel, name))  # fmt: skip


def _shape(name: str) -> str:
    word = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_LONGEST] or "column"
    word = word if not word[0].isdigit() else f"column_{word}"
    return word if _is_safe(word) else f"{word}_"


def _find_free(word: str, used: set[str]) -> str:
    number, told = 1, word
    while told in used:
        number += 1
        told = f"{word}_{number}"
    return told


def name_checks(rules: Iterable[Rule], attributes: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Return the names of the checks that are written in Python, by `Proposal.key`.

    attributes: what `name_attributes` returned; no check has a column's name.
    """
    used = set(attributes.values())
    found = {}
    for rule in rules:
        if rule.proposal.word in CUSTOM:
            *firsts, last = [attributes[name] for name in rule.proposal.columns]
            word = "_".join(
                [*firsts, rule.proposal.word, last] if firsts else [last, "never_falls"]
            )
            found[rule.proposal.key] = _find_free(word, used)
            used.add(found[rule.proposal.key])
    return found


def name_model(source: str) -> str:
    """Return a class name after the name of a source.

    >>> name_model("data/adult/train.csv"), name_model("123")
    ('Train', 'Table123')
    """
    stem = source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].split(".")[0]
    word = "".join(part.capitalize() for part in re.findall(r"[A-Za-z0-9]+", stem))[:_LONGEST]
    word = word if word[:1].isalpha() else f"Table{word}"
    return word if _is_safe(word) else f"{word}Rows"


def name_lookup(folder: str, columns: Iterable[str], used: set[str]) -> str:
    """Return a path for the values of `columns`, unlike all in `used`, and add it to these.

    >>> name_lookup("values", ["City", "Zip code"], set())
    'values/city_zip_code.parquet'
    """
    word = re.sub(r"[^a-z0-9]+", "_", "_".join(list(columns)[:2]).lower()).strip("_")[:_LONGEST]
    told = _find_free(word or "values", used)
    used.add(told)
    return f"{folder}/{told}.parquet"
