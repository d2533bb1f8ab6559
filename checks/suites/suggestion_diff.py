"""What a suggestion would change in the contract in use, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from checks.core.errors import ContractError
from checks.suites.contract_file import Contract, name_check
from checks.suites.contract_keys import open_table
from checks.suites.contract_settings import ForeignKey, Settings
from checks.suites.contract_words import ALIASES, WORDS
from checks.suites.suggestion_count import count_broken
from checks.suites.suggestion_names import name_attributes, name_checks
from checks.suites.suggestion_odds import percent
from checks.suites.suggestion_rule import Lookup, Rule, Suggestion, look_ahead
from checks.suites.suggestion_schema import CUSTOM
from checks.suites.suggestion_words import shorten, tell_evidence

Key = tuple[str, ...]
ALARMING, WIDER_MAX, WIDER_SHARE = 0.1, 3.0, 0.01
SHORT = {long: short for short, long in ALIASES.items()}
_CHECK, _SHOWN, _FACTOR = "check", 3, 2


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that the suggestion has, has not, or has otherwise.

    rule, columns: which. in_use, suggested: what each says; None where it has no such rule.
    """

    kind: Literal["new", "gone", "changed"]
    rule: str
    columns: tuple[str, ...]
    in_use: str | None
    suggested: str | None
    why: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule as the two sides are compared by. told: its value in words. name: when compiled."""

    columns: tuple[str, ...]
    value: Any
    told: str
    settings: Settings
    name: str = ""


def compare_contracts(in_use: Contract, suggestion: Suggestion, rows: pl.LazyFrame) -> list[Change]:
    """Return what `suggestion` would change in the contract in use; the changed ones first.

    What still does is left as it is: a tolerance that no row or nine of ten clean batches keep to
    and that is not three times as wide as they need, a guessed limit that the rows keep to and
    that is tighter or within a factor of 2, a list that has all of the values that were seen. Each
    rule of the contract in use is counted on `rows`, which tells why.

    Args:
        in_use: the contract.
        suggestion: made from `rows`.
        rows: the table.
    """
    ours = {_key(rule, suggestion): rule for rule in suggestion.rules}
    theirs = dict(_list_rules(in_use))
    broken = _count_in_use(in_use, rows)
    changes = []
    for key, entry in theirs.items():
        counted = (entry.name, *entry.columns[-1:]) if entry.name else key
        told = _tell_broken(broken.get(counted), suggestion.rows)
        rule, failures = ours.get(key), broken.get(counted)
        if key[0] == "dtype" and (own := str(suggestion.types.get(key[1], ""))):
            if own != entry.value:
                changes.append(Change("changed", "dtype", entry.columns, entry.told, own, told))
        elif rule is None:
            changes.append(Change("gone", _word(key), entry.columns, _tell(entry), None, told))
        elif (difference := _differ(entry, rule, failures)) is not None:
            why = f"{difference}; {told}; suggested: {tell_evidence(rule)}"
            changes.append(Change("changed", _word(key), entry.columns, _tell(entry),
                                  _tell(_entry_of(rule)), why))  # fmt: skip
    changes += [
        Change("new", _word(key), rule.proposal.columns, None, _tell(_entry_of(rule)),
               tell_evidence(rule))
        for key, rule in ours.items() if key not in theirs
    ]  # fmt: skip
    order = ("changed", "new", "gone")
    return sorted(changes, key=lambda one: order.index(one.kind))


def _word(key: Key) -> str:
    return key[1] if key[0] == _CHECK else SHORT.get(key[0], key[0])


def _key(rule: Rule, suggestion: Suggestion) -> Key:
    proposal = rule.proposal
    if proposal.word in CUSTOM:
        names = name_checks(suggestion.rules, name_attributes(suggestion.types))
        return (_CHECK, names[proposal.key])
    if proposal.word == "implies":
        return ("implies", _tell_implied(proposal.value))
    return (ALIASES.get(proposal.word, proposal.word), *proposal.columns)


def _tell_implied(told: Mapping[str, Any]) -> str:
    sides = (told["if"], told["then"])
    words = ({k: str(v) for k, v in one.items() if k != "column"} for one in sides)
    return " -> ".join(f"{one['column']} {own}" for one, own in zip(sides, words, strict=True))


def _list_rules(contract: Contract) -> Iterator[tuple[Key, _Entry]]:
    """The rules of a contract by what is the same in two contracts."""
    for name, column in contract.schema.columns.items():
        settings = contract.column_settings(name)
        if column.dtype is not None:
            told = str(column.dtype)
            yield ("dtype", name), _Entry((name,), told, told, settings["dtype"])
        if not column.nullable:
            yield ("not_null", name), _Entry((name,), None, "", settings["not_null"])
            if column.dtype is not None and column.dtype.type.is_float():
                yield ("not_nan", name), _Entry((name,), None, "", settings["not_nan"])
        if column.unique:
            yield ("unique", name), _Entry((name,), None, "", settings["unique"])
        for check in column.checks:
            word = name_check(check)
            if word not in WORDS:
                yield (_CHECK, word), _Entry((name,), None, "", settings[word])
                continue
            value = {key: one for key, one in check.statistics.items() if one is not None}
            yield (word, name), _value_entry((name,), value, settings[word])
    yield from _list_whole(contract)


def _list_whole(contract: Contract) -> Iterator[tuple[Key, _Entry]]:
    settings = contract.table_settings()
    told = contract.schema.unique or []
    for group in [told] if told and all(isinstance(n, str) for n in told) else told:
        yield ("unique", *group), _Entry(tuple(group), None, "", settings["unique"])
    for check in contract.schema.checks:
        word = name_check(check)
        yield (_CHECK, word), _Entry((), None, "", settings[word])
    for one in contract.implications:
        first, last = one.given[0], one.then[0]
        told = _tell_implied({"if": {"column": first.column, **first.words},
                              "then": {"column": last.column, **last.words}})  # fmt: skip
        yield ("implies", told), _Entry((first.column, last.column), None, told,
                                          one.settings, one.name)  # fmt: skip
    for key in contract.foreign_keys:
        yield ("foreign_key", *key.columns), _key_entry(contract, key)


def _value_entry(columns: tuple[str, ...], value: Any, settings: Settings) -> _Entry:
    plain = next(iter(value.values())) if isinstance(value, Mapping) and len(value) == 1 else value
    if isinstance(plain, list | tuple | set | frozenset):
        held = frozenset(plain)
        return _Entry(columns, held, f"{len(held)} values", settings)
    return _Entry(columns, plain, str(plain), settings)


def _key_entry(contract: Contract, key: ForeignKey) -> _Entry:
    table = open_table(contract.base / key.table).select(key.key).unique().collect()
    return _Entry(
        key.columns, _rows_of(table), f"{table.height:,} rows of {key.table}", key.settings
    )


def _rows_of(table: pl.DataFrame) -> frozenset[Any]:
    return frozenset(table.select(pl.all().cast(pl.String)).iter_rows())


def _entry_of(rule: Rule) -> _Entry:
    value, columns = rule.proposal.value, rule.proposal.columns
    settings = Settings(rule.tolerance, rule.severity)  # type: ignore[arg-type]
    word = rule.proposal.word
    if isinstance(value, Lookup):
        told = f"{value.frame.height:,} rows of {value.name}"
        return _Entry(columns, _rows_of(value.frame), told, settings)
    if word == "dtype":
        return _Entry(columns, str(value), str(value), settings)
    if value is None or word in CUSTOM:
        return _Entry(columns, None, "", settings)
    if word == "implies":
        return _Entry(columns, None, _tell_implied(value), settings)
    return _value_entry(columns, value, settings)


def _tell(entry: _Entry) -> str:
    share = f"tolerance {entry.settings.tolerance:g}" if entry.settings.tolerance else ""
    return ", ".join(one for one in (shorten(entry.told, 60), share) if one) or "yes"


def _differ(entry: _Entry, rule: Rule, failures: int | None) -> str | None:
    """How the rule in use differs from the suggested one; None where it may stay."""
    ours, theirs = _entry_of(rule).value, entry.value
    if isinstance(ours, frozenset) and isinstance(theirs, frozenset):
        if ours - theirs:
            return f"+ {_name(ours - theirs)}"
    elif ours != theirs:
        kept = failures is not None and failures <= entry.settings.tolerance * rule.rows
        return None if kept and _may_stay(rule, ours, theirs) else "another value"
    ahead = look_ahead(rule.proposal, rule.failures, rule.rows, rule.batch_rows)
    share = entry.settings.tolerance
    if rule.failures and (alarms := ahead.chance(share)) > ALARMING:
        return f"clean batches break it ({percent(alarms)})"
    wide = share > WIDER_MAX * rule.tolerance and share - rule.tolerance > WIDER_SHARE
    return "its tolerance is wider than it need be" if wide else None


def _may_stay(rule: Rule, ours: Any, theirs: Any) -> bool:
    """Whether a limit that the rows keep to is tighter than ours, or near one that is guessed."""
    numbers = isinstance(ours, int | float) and isinstance(theirs, int | float)
    if numbers and {"ge": theirs > ours, "le": theirs < ours}.get(rule.proposal.word):
        return True
    if not numbers or not rule.proposal.guessed:
        return rule.proposal.guessed and type(ours) is type(theirs)
    small, large = sorted((abs(ours), abs(theirs)))
    return bool((ours < 0) == (theirs < 0) and large <= _FACTOR * small)


def _name(values: frozenset[Any]) -> str:
    first = sorted(map(_show, values))
    more = f" and {len(first) - _SHOWN:,} more" if len(first) > _SHOWN else ""
    return ", ".join(first[:_SHOWN]) + more


def _show(value: Any) -> str:
    return shorten("/".join(map(str, value)) if isinstance(value, tuple) else repr(value), 30)


def _count_in_use(contract: Contract, rows: pl.LazyFrame) -> dict[Key, int | None]:
    """How many rows break each rule in use; nothing where it does not suit the table."""
    try:
        told = count_broken(rows, contract)
    except ContractError:
        return {}
    found: dict[Key, int | None] = {}
    for rule, failures in told:
        columns = rule.repeats or (rule.key.columns if rule.key else (str(rule.column),))
        found[rule.name, *columns] = failures
    return found


def _tell_broken(failures: int | None, rows: int) -> str:
    if failures is None:
        return "not counted"
    return f"{failures:,} of {rows:,} rows break the one in use"
