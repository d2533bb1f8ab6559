"""What a contract says beyond pandera: tolerance, severity, conditional and cross-table rules.

It stands under the key `gristmill` of pandera's own metadata, of a column or of the whole schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from checks.core.errors import ContractError
from checks.core.words import SEVERITIES
from checks.suites.contract_words import ALIASES, advise

IMPLIES, FOREIGN_KEYS = "implies", "foreign_keys"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a broken rule is taken. tolerance: share of the rows that may break it, 0..1."""

    tolerance: float = 0.0
    severity: Literal["info", "warning", "error"] = "error"


@dataclass(frozen=True, slots=True)
class Condition:
    """One column and the words that its cells must all fit."""

    column: str
    words: Mapping[str, Any]

    def __str__(self) -> str:
        told = (w if v is True else f"{w} {_shorten(v)}" for w, v in self.words.items())
        return f"{self.column} {' and '.join(told)}"


@dataclass(frozen=True, slots=True)
class Implication:
    """Where all of `given` hold, all of `then` must."""

    name: str
    given: tuple[Condition, ...]
    then: tuple[Condition, ...]
    settings: Settings


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Cells of `columns` that must stand together in the columns `key` of another table."""

    columns: tuple[str, ...]
    table: str
    key: tuple[str, ...]
    settings: Settings


def read_settings(
    where: str, told: Any, names: Sequence[str], warned: Sequence[str] = ()
) -> dict[str, Settings]:
    """Return the settings of each rule in `names`.

    Args:
        where: begins the sentence of an error.
        told: tolerance and severity, for all of the rules or, under a rule's name, for that one.
        names: the rules' names.
        warned: rules that are a warning unless `told` says another severity.

    Raises:
        ContractError: an unknown key, with the nearest, or a value that is none.

    >>> read_settings("c", {"tolerance": 0.1, "ge": {"severity": "info"}},
    ...               ["not_null", "greater_than_or_equal_to"])["greater_than_or_equal_to"]
    Settings(tolerance=0.1, severity='info')
    """
    common, single = dict[str, Any](), dict[str, Any]()
    for key, value in _read_mapping(where, told).items():
        name = ALIASES.get(key, key)
        if key in _own_keys():
            common[key] = value
        elif name in names:
            single[name] = value
        else:
            known = [*_own_keys(), *names]
            raise ContractError(where, "no setting or rule", got=key, advice=advise(key, known))
    found = {}
    for name in names:
        usual = Settings(severity="warning") if name in warned else Settings()
        usual = _change(where, usual, common)
        found[name] = _change(f"{where}.{name}", usual, single.get(name))
    return found


def read_implications(where: str, told: Any) -> Iterator[Implication]:
    """Yield the conditional rules in `told`, a list of {if, then, name, tolerance, severity}.

    `if` and `then` are {column, word: value, ...} or a list of these that must all hold.

    Raises:
        ContractError: anything that cannot be read so.
    """
    rules = _read_rules(f"{where}: {IMPLIES}", told, ("if", "then"), ("name",))
    for number, (place, rule, settings) in enumerate(rules, start=1):
        name = rule.get("name", IMPLIES if number == 1 else f"{IMPLIES}_{number}")
        if not isinstance(name, str) or not name.isidentifier():
            raise ContractError(place, "a rule's name is one word", got=name)
        given, then = (_read_conditions(f"{place}.{key}", rule[key]) for key in ("if", "then"))
        yield Implication(name, given, then, settings)


def read_foreign_keys(where: str, told: Any) -> Iterator[ForeignKey]:
    """Yield the cross-table rules in `told`, a list of {column, table, key, tolerance, severity}.

    `column` and `key` are a name, or equally long lists of names; `key` is `column` if not given.

    Raises:
        ContractError: anything that cannot be read so.
    """
    rules = _read_rules(f"{where}: {FOREIGN_KEYS}", told, ("column", "table"), ("key",))
    for place, rule, settings in rules:
        columns = _read_names(f"{place}.column", rule["column"])
        key = _read_names(f"{place}.key", rule.get("key", rule["column"]))
        if len(columns) != len(key):
            raise ContractError(place, "column and key differ in length", got=rule.get("key"))
        if not isinstance(rule["table"], str):
            raise ContractError(f"{place}.table", "no path", got=rule["table"])
        yield ForeignKey(columns, rule["table"], key, settings)


def _read_rules(
    where: str, told: Any, needed: Sequence[str], more: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any], Settings]]:
    """Yield where each rule of a list stands, its keys, and how it is taken when it is broken."""
    for number, one in enumerate(_read_list(where, told), start=1):
        place = f"{where}[{number}]"
        rule = _read_mapping(place, one, allowed=[*needed, *more, *_own_keys()], needed=needed)
        own = {key: rule[key] for key in _own_keys() if key in rule}
        yield place, rule, _change(place, Settings(), own)


def _own_keys() -> list[str]:
    return [one.name for one in fields(Settings)]


def _change(where: str, usual: Settings, told: Any) -> Settings:
    own = _read_mapping(where, told, allowed=_own_keys())
    changed = replace(usual, **own)
    share = changed.tolerance
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ContractError(f"{where}.tolerance", "no share of the rows", got=share,
                            allowed="0..1.")  # fmt: skip
    if changed.severity not in SEVERITIES:
        advice = advise(str(changed.severity), list(SEVERITIES))
        raise ContractError(f"{where}.severity", "no severity", got=changed.severity, advice=advice)
    return replace(changed, tolerance=float(share))


def _read_mapping(
    where: str, told: Any, *, allowed: Sequence[str] | None = None, needed: Sequence[str] = ()
) -> dict[str, Any]:
    if told is None:
        told = {}
    if not isinstance(told, Mapping) or not all(isinstance(key, str) for key in told):
        raise ContractError(where, "no mapping of names", got=told)
    for key in told:
        if allowed is not None and key not in allowed:
            raise ContractError(where, "no such key", got=key, advice=advise(key, list(allowed)))
    for key in needed:
        if key not in told:
            raise ContractError(where, f"has no {key!r}", got=sorted(told))
    return dict(told)


def _read_list(where: str, told: Any) -> Sequence[Any]:
    if not isinstance(told, Sequence) or isinstance(told, str):
        raise ContractError(where, "no list", got=told)
    return told


def _read_names(where: str, told: Any) -> tuple[str, ...]:
    names = (told,) if isinstance(told, str) else tuple(_read_list(where, told))
    if not names or not all(isinstance(name, str) for name in names):
        raise ContractError(where, "no name of a column", got=told)
    return names


def _read_conditions(where: str, told: Any) -> tuple[Condition, ...]:
    every = [told] if isinstance(told, Mapping) else _read_list(where, told)
    if not every:
        raise ContractError(where, "no condition", got=told)
    return tuple(_read_condition(where, one) for one in every)


def _read_condition(where: str, told: Any) -> Condition:
    words = _read_mapping(where, told, needed=("column",))
    column = words.pop("column")
    if not isinstance(column, str) or not words:
        raise ContractError(where, "needs a column and a rule", got=told)
    return Condition(column, words)


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - one line of evidence
