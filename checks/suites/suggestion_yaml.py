"""A suggestion in pandera's own YAML form, with its metadata and the evidence as comments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from checks.suites.contract_file import OWN_KEY
from checks.suites.contract_words import ALIASES
from checks.suites.suggestion_literal import fill
from checks.suites.suggestion_rule import Rule, Suggestion
from checks.suites.suggestion_schema import CUSTOM, OWN_WORDS, set_rule, tell_unique, tell_whole
from checks.suites.suggestion_values import FORBIDDEN
from checks.suites.suggestion_words import WIDTH, comment, make_plain, shorten, tell_header

_ENDLESS = 1 << 30


def write_yaml(suggestion: Suggestion, source: str) -> str:
    """Return the text of a YAML file that `load_contract` reads.

    Checks written in Python have no place in it; a comment names them.

    Args:
        suggestion: the rules.
        source: the data that they come from, as a person calls it.
    """
    lines = [f"# {line}".rstrip() for line in tell_header(suggestion, source)]
    lines += ["schema_type: polars_dataframe", "api: polars", "columns:"]
    known: set[str] = set()
    for column, dtype in suggestion.types.items():
        rules = suggestion.of(column)
        title = shorten(make_plain(f"{column}: {suggestion.titles[column]}"), WIDTH - 4)
        lines += [f"  # {title}", *comment(rules, 2), f"  {_flow(column)}:"]
        lines += _write_pairs(_tell_column(str(dtype), rules), known)
    lost = [rule for rule in suggestion.rules if rule.proposal.word in CUSTOM]
    if lost:
        lines += ["# Left out, for they need Python:", *comment(lost, 0, wide=True)]
    lines += comment((rule for rule in suggestion.wide if rule not in lost), 0, wide=True)
    whole: dict[str, Any] = {}
    if together := tell_unique(suggestion):
        whole["unique"] = together
    if told := tell_whole(suggestion, {}):
        whole["metadata"] = {OWN_KEY: told}
    ending = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True) if whole else ""
    return "\n".join([*lines, ending])


def _tell_column(dtype: str, rules: Iterable[Rule]) -> dict[str, Any]:
    told: dict[str, Any] = {"dtype": dtype, "nullable": True}
    settings = {}
    for rule in rules:
        word, value = rule.proposal.word, rule.proposal.value
        if word == "not_null":
            del told["nullable"]
        elif word == "unique":
            told["unique"] = True
        elif word not in (*OWN_WORDS, *CUSTOM):
            told[ALIASES.get(word, word)] = value
        if word not in CUSTOM and (own := set_rule(rule)):
            settings[word] = own
    return {**told, "metadata": {OWN_KEY: settings}} if settings else told


def _write_pairs(told: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    """The lines of a column. known: names of what an earlier column wrote, for another to use."""
    for key, value in told.items():
        if value == FORBIDDEN and "gaps" in known:
            yield f"    {key}: *gaps"
            continue
        name = "&gaps " if value == FORBIDDEN else ""
        known |= {"gaps"} if name else set()
        line = f"    {key}: {name}{_flow(value)}"
        if len(line) <= WIDTH or not isinstance(value, tuple):
            yield line
            continue
        yield f"    {key}: {name}["
        yield from (f"      {row}" for row in fill([_flow(one) for one in value], WIDTH - 6))
        yield "    ]"


def _flow(value: Any) -> str:
    """`value` in one line, as it may stand in a list."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    odd = isinstance(value, str) and not value.isprintable()  # would be folded over lines
    told = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=_ENDLESS,
                          default_style='"' if odd else None)  # fmt: skip
    return str(told).strip()[1:-1]
