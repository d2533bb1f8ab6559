"""The contract of a check and the registry that finds every one of them.

A check is one decorated function in one file; its id is the function's name. Three kinds:

row     (**params) -> pl.Expr                    over metric columns; Boolean, never null
cell    (profile, **params) -> list[CellRule]    over the columns of a table
set     (tables, **params) -> Judged             over whole tables: duplicates, labels, outliers

Parameters become config keys; documentation, catalogue, config schema and law tests all come
from the `Check` object. Nothing here decides: a check says what it saw, the policy acts.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Literal

import polars as pl

from checks.core.errors import CheckError, UnknownNameError

Kind = Literal["row", "cell", "set"]
Modality = Literal["image", "table", "any"]
FAMILIES = ("checks.image", "checks.tabular", "checks.labels", "checks.sets")


@dataclass(frozen=True, slots=True)
class Example:
    """A sample with its verdict. `among`: the other samples, for checks relative to the set."""

    sample: Mapping[str, object]
    flagged: bool
    among: Mapping[str, Sequence[object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellExample:
    """A small table and the cells of it, as (row, column), that the check must flag: no others."""

    table: Mapping[str, Sequence[object]]
    flagged: frozenset[tuple[int, str]]
    label: str | None = None


@dataclass(frozen=True, slots=True)
class SetExample:
    """Small input tables by name and the sample ids that the check must flag: no others."""

    tables: Mapping[str, Mapping[str, Sequence[object]]]
    flagged: frozenset[str]


@dataclass(frozen=True, slots=True)
class CellRule:
    """One column's rule: which cells are flagged, what they measure, what they might be instead.

    flagged: Boolean, never null. value: Float64 or None. suggestion: String (null where there is
    no unique proposal) or None. evidence: what a reader is told, the same for the whole rule.
    """

    column: str
    flagged: pl.Expr
    evidence: str
    value: pl.Expr | None = None
    threshold: float | None = None
    suggestion: pl.Expr | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What a set check saw.

    findings: sample_id, value (Float64), evidence, and optionally column, threshold, suggestion.
    scores: sample_id, one Float64 column named `Check.score` and those of `Check.more_scores`, for
    EVERY sample (null where it could not be measured); None for checks that do not rank.
    facts: small JSON-able facts for the report (calibration, caps reached, groups).
    """

    findings: pl.DataFrame
    scores: pl.DataFrame | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A named yes/no rule with all that is known about it."""

    id: str
    kind: Kind
    modality: Modality
    dimension: str
    severity: str
    action: str
    needs: tuple[str, ...]
    params: Mapping[str, object]
    examples: tuple[Example | CellExample | SetExample, ...]
    doc: str
    function: Callable[..., Any]
    score: str | None = None
    more_scores: tuple[str, ...] = ()
    relative: bool = False
    version: int = 1

    @property
    def summary(self) -> str:
        """The first sentence of the documentation."""
        return self.doc.split("\n", 1)[0]

    def configured(self, **changes: object) -> Check:
        """Return this check with other parameters, severity or action.

        Raises:
            UnknownNameError: for a key that it does not have.
            CheckError: for a value of another type than the default's.
        """
        own = {key: changes.pop(key) for key in ("severity", "action") if key in changes}
        params = dict(self.params)
        for key, value in changes.items():
            if key not in params:
                raise UnknownNameError(f"parameter of {self.id}", key, [*params, *own])
            params[key] = _fit(self.id, key, value, params[key])
        return replace(self, params=MappingProxyType(params), **own)  # type: ignore[arg-type]

    def __call__(self, *tables: object) -> Any:
        """Apply the check with its parameters."""
        return self.function(*tables, **self.params)


def _fit(check_id: str, key: str, value: object, default: object) -> object:
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if default is not None and type(value) is not type(default):
        allowed = f"It must be {type(default).__name__}, as its default {default!r} is."
        raise CheckError(f"checks.{check_id}.{key}", "wrong type", got=value, allowed=allowed)
    return value


_REGISTRY: dict[str, Check] = {}


def row_check(
    *, modality: Modality = "image", needs: tuple[str, ...], **facts: Any
) -> Callable[[Callable[..., pl.Expr]], Check]:
    """Declare a row check: `(**params) -> pl.Expr` over the metric columns in `needs`.

    A name that ends in "?" is optional: a null column where it is not there, and not told in the
    evidence unless the rule as configured reads it (`label?`, which the runner joins, for rules
    within a class).
    `facts`: dimension, severity, action, examples, relative (its threshold depends on the set);
    every other keyword is a parameter with its default. The first of `needs` is the value that a
    finding reports, the first numeric parameter its threshold.
    """
    return _declare("row", modality, needs, facts)


def cell_check(**facts: Any) -> Callable[[Callable[..., list[CellRule]]], Check]:
    """Declare a check on the cells of a table: `(profile, **params) -> list[CellRule]`."""
    return _declare("cell", "table", ("table",), facts)


def set_check(
    *, modality: Modality = "any", needs: tuple[str, ...], **facts: Any
) -> Callable[[Callable[..., Judged]], Check]:
    """Declare a check on whole tables: `(tables: Mapping[str, pl.LazyFrame], **params) -> Judged`.

    `needs` names the tables: samples, metrics, features, probabilities, dynamics, reviews, scores
    (of the checks that ran before), and of a table of values rows and columns. A name that ends in
    "?" is optional and may be absent. `score` names the column that it writes for every sample,
    `more_scores` what it tells of each beside that, such as the label that it would give. A finding
    about a whole column names the column and one row that shows it: a column is not as many
    findings as the table has rows.
    """
    return _declare("set", modality, needs, facts)


def _declare(
    kind: Kind, modality: Modality, needs: tuple[str, ...], facts: dict[str, Any]
) -> Callable[[Callable[..., Any]], Check]:
    own = {
        key: facts.pop(key)
        for key in (
            "dimension",
            "severity",
            "action",
            "score",
            "more_scores",
            "relative",
            "version",
        )
        if key in facts
    }
    examples = tuple(facts.pop("examples", ()))
    params = MappingProxyType(dict(facts))

    def register(function: Callable[..., Any]) -> Check:
        check = Check(
            id=function.__name__, kind=kind, modality=modality, needs=needs, params=params,
            examples=examples, doc=inspect.getdoc(function) or "", function=function,
            **{"severity": "warning", "action": "review", **own},
        )  # fmt: skip
        known = _REGISTRY.get(check.id)
        if known is not None and known.function.__module__ != function.__module__:
            places = f"{known.function.__module__} and {function.__module__}"
            raise CheckError(places, "two checks have one name", got=check.id)
        _REGISTRY[check.id] = check
        return check

    return register


def load_checks(modules: Iterable[str] = ()) -> dict[str, Check]:
    """Return every check by id: our families, installed entry points, and `modules`.

    Args:
        modules: paths of Python files or importable names, as the user's config gives them.

    Raises:
        CheckError: two checks share a name, or a module cannot be found.

    >>> "too_dark" in load_checks()
    True
    """
    for family in FAMILIES:
        package = importlib.import_module(family)
        for found in pkgutil.iter_modules(package.__path__, f"{family}."):
            importlib.import_module(found.name)
    for point in entry_points(group="gristmill.checks"):
        point.load()
    for name in modules:
        _load_module(name)
    return dict(sorted(_REGISTRY.items()))


def _load_module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    if not path.is_file():
        raise CheckError(name, "no such file of checks", got=str(path))
    stem = f"gristmill_user_checks_{path.stem}"
    spec = importlib.util.spec_from_file_location(stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    spec.loader.exec_module(module)
    return module


def select_checks(
    checks: Mapping[str, Check], modality: str, disabled: Iterable[str] = (),
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> list[Check]:  # fmt: skip
    """Return the checks that apply to `modality`, configured, in the order of their ids.

    Raises:
        UnknownNameError: `disabled` or `settings` names a check or a parameter that is not there.
    """
    settings = settings or {}
    for name in (*disabled, *settings):
        if name not in checks:
            raise UnknownNameError("check", name, checks)
    off = set(disabled)
    chosen = (c for c in checks.values() if c.id not in off and c.modality in (modality, "any"))
    return [check.configured(**settings.get(check.id, {})) for check in chosen]
