"""A suggestion as a contract in memory, the same that its files say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl

from checks.suites.contract_file import OWN_KEY, Contract
from checks.suites.contract_settings import FOREIGN_KEYS, IMPLIES
from checks.suites.suggestion_rule import WHOLE_TABLE, Lookup, Proposal, Rule, Suggestion

OWN_WORDS = ("dtype", "not_null", "not_nan", "unique", *WHOLE_TABLE)
CUSTOM = ("never_falls", "joins", "fixes")  # checks written in Python


def set_rule(rule: Rule) -> dict[str, Any]:
    """Return what a contract's metadata says of a rule; nothing where that is the usual."""
    told: dict[str, Any] = {}
    if rule.tolerance:
        told["tolerance"] = rule.tolerance
    if rule.severity != "error":
        told["severity"] = rule.severity
    return told


def build_contract(suggestion: Suggestion, folder: Path) -> Contract:
    """Return the contract of `suggestion`, but for the checks written in Python.

    folder: where its lookups lie, as `write_lookups` puts them.
    """
    columns = {}
    for name, dtype in suggestion.types.items():
        rules = suggestion.of(name)
        words = {rule.proposal.word for rule in rules}
        told = {rule.proposal.word: told for rule in rules
                if rule.proposal.word not in CUSTOM and (told := set_rule(rule))}  # fmt: skip
        columns[name] = pa.Column(
            dtype, checks=[_check(rule.proposal) for rule in rules if _is_check(rule.proposal)],
            nullable="not_null" not in words, unique="unique" in words,
            metadata={OWN_KEY: told} if told else None,
        )  # fmt: skip
    schema = pa.DataFrameSchema(columns, unique=tell_unique(suggestion) or None)
    return Contract("suggested", schema, {OWN_KEY: tell_whole(suggestion, {})}, folder)


def tell_unique(suggestion: Suggestion) -> list[str]:
    """Return the columns that no two rows share together; at most one group is suggested."""
    groups = [r.proposal.columns for r in suggestion.wide if r.proposal.word == "unique"]
    return list(groups[0]) if groups else []


def tell_whole(suggestion: Suggestion, checks: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    """Return the metadata of the whole contract: settings, conditional and cross-table rules.

    checks: the names of checks written in Python, by `Proposal.key`; without one it is left out.
    """
    told: dict[str, Any] = {}
    names = name_implications(suggestion.rules)
    for rule in suggestion.wide:
        own, proposal = set_rule(rule), rule.proposal
        if proposal.word == "unique" and own:
            told["unique"] = own
        elif proposal.word == "implies":
            told.setdefault(IMPLIES, []).append({"name": next(names), **proposal.value, **own})
        elif proposal.word == "foreign_key":
            key = {"column": list(proposal.columns), "table": proposal.value.name}
            told.setdefault(FOREIGN_KEYS, []).append({**key, **own})
        elif own and proposal.key in checks:
            told[checks[proposal.key]] = own
    return told


def name_implications(rules: Iterable[Rule]) -> Iterator[str]:
    """Yield a name for each conditional rule, in their order."""
    number = 0
    for rule in rules:
        if rule.proposal.word == "implies":
            number += 1
            yield f"implied_{number}"


def write_lookups(lookups: Iterable[Lookup], folder: Path) -> None:
    """Write the other tables of the foreign keys as Parquet below `folder`."""
    for one in lookups:
        path = folder / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        one.frame.write_parquet(path)


def _is_check(proposal: Proposal) -> bool:
    return proposal.word not in (*OWN_WORDS, *CUSTOM)


def _check(proposal: Proposal) -> Any:
    value = proposal.value
    make = getattr(pa.Check, proposal.word)
    if isinstance(value, Mapping):
        return make(**value)
    return make(list(value) if isinstance(value, tuple) else value)


def breaks_custom(proposal: Proposal, read: Mapping[str, pl.Expr]) -> pl.Expr:
    """Return the rows that break a check written in Python, Boolean.

    Args:
        proposal: a rule of `CUSTOM`.
        read: the cells of each column, in the contract's types.
    """
    cells = [read[name] for name in proposal.columns]
    if proposal.word == "never_falls":
        return (cells[0] < cells[0].shift()).fill_null(value=False)
    first, second, whole = (one.cast(pl.String) for one in cells)
    joined = pl.concat_str([first, second], separator=proposal.value)
    return (joined != whole).fill_null(value=False)
