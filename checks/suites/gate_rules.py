"""The rules of the quality gate: defaults, what `[gate]` may change, and their expectations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from checks.core.errors import CheckError, UnknownNameError
from checks.suites.metric_table import DRIFTED, WHOLE

Severity = Literal["error", "warning", "info"]
TO_GX: Mapping[Severity, str] = {"error": "critical", "warning": "warning", "info": "info"}
BETWEEN = "expect_column_values_to_be_between"
BOUNDS: Mapping[str, tuple[str, str]] = {
    "rows_min": ("row_count", "min"),
    "classes_min": ("class_count", "min"),
    "unreadable_frac_max": ("unreadable_frac", "max"),
    "missing_label_frac_max": ("missing_label_frac", "max"),
    "leak_rate_max": ("leak_rate", "max"),
    "drift_max": (DRIFTED, "max"),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """Bounds of one column of the metric table; a null is never judged.

    min, max: inclusive, None for open. severity: only `error` closes the gate. each_batch: judge
    every batch by itself, else the row of the whole set. mostly: least share of the judged
    batches that must hold, 0..1.
    """

    min: float | None = None
    max: float | None = None
    severity: Severity = "error"
    each_batch: bool = False
    mostly: float = 1.0


@dataclass(frozen=True, slots=True)
class GateRules:
    """What a data set must be before anything is trained on it; every value is a key of `[gate]`.

    rows_min: least samples in the set. classes_min: least classes in a labelled set.
    unreadable_frac_max, missing_label_frac_max: largest share of the set; a single batch above
    it is a warning that names the batch. leak_rate_max: largest share of train samples that
    also are in test. drift_max: most columns with large drift from the approved baseline; judged
    only where there is one. warn_only: rules that are told but never close the gate. off: rules
    that are not judged. columns: further limits by column of the metric table, as
    `[gate.columns.age__null_frac]` with max = 0.1 (keys of `Limit`).

    Source: rows_min and classes_min are the least that a paired comparison can use; the shares
    are ours, wide enough for every demo set: a set beyond them is broken, not dirty.
    """

    rows_min: float = 50
    classes_min: float = 2
    unreadable_frac_max: float = 0.10
    missing_label_frac_max: float = 0.20
    leak_rate_max: float = 0.05
    drift_max: float = 0
    warn_only: tuple[str, ...] = ("leak_rate_max", "drift_max")
    off: tuple[str, ...] = ()
    columns: Mapping[str, Limit] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def read(cls, rules: Mapping[str, Any]) -> GateRules:
        """Return the defaults changed by the mapping `[gate]`.

        Raises:
            UnknownNameError: a key, a rule in `off` or `warn_only`, or a key of a limit is none.
            CheckError: a bound is no number, or a severity is none.
        """
        known = [one.name for one in fields(cls)]
        _refuse_strangers("rule of the gate", rules, known)
        values = dict(rules)
        for name in ("warn_only", "off"):
            if name in values:
                values[name] = tuple(values[name])
                _refuse_strangers("rule of the gate", values[name], BOUNDS)
        for name in BOUNDS:
            _refuse_non_number(f"gate.{name}", values.get(name))
        columns = values.pop("columns", {})
        limits = {name: _read_limit(name, limit) for name, limit in columns.items()}
        return cls(**values, columns=MappingProxyType(limits))

    def limits(self) -> Iterator[tuple[str, str, Limit]]:
        """Yield (rule, column, limit) of every rule that is on."""
        for name, (column, side) in BOUNDS.items():
            if name in self.off:
                continue
            bound = float(getattr(self, name))
            low, high = (bound, None) if side == "min" else (None, bound)
            yield name, column, Limit(low, high, self._severity(name))
            if column.endswith("_frac"):
                yield f"{name}:each", column, Limit(low, high, "warning", each_batch=True)
        for column, limit in self.columns.items():
            yield column, column, limit

    def _severity(self, name: str) -> Severity:
        return "warning" if name in self.warn_only else "error"


def plan_expectations(rules: GateRules, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the expectation of each rule as Great Expectations stores it.

    Args:
        rules: the rules.
        columns: the columns of the metric table.

    Raises:
        UnknownNameError: a rule of the user's names no column.
    """
    _refuse_strangers("column of the metric table", rules.columns, columns)
    column_is = {"column": {"name": "batch"}, "parameter": WHOLE, "type": "comparison"}
    for rule, column, limit in rules.limits():
        if column == DRIFTED and column not in columns:
            continue  # no baseline, no rule
        bounds = {"min_value": limit.min, "max_value": limit.max, "mostly": limit.mostly}
        kwargs = {key: float(value) for key, value in bounds.items() if value is not None}
        where = column_is | {"operator": "!=" if limit.each_batch else "=="}
        yield {
            "type": BETWEEN,
            "kwargs": {"column": column, "row_condition": where, **kwargs},
            "meta": {"rule": rule},
            "severity": TO_GX[limit.severity],
        }


def _read_limit(name: str, told: Any) -> Limit:
    where = f"gate.columns.{name}"
    if not isinstance(told, Mapping):
        raise CheckError(where, "no table of limits", got=told, allowed="Give min, max or both.")
    _refuse_strangers(f"limit of {name}", told, [one.name for one in fields(Limit)])
    for key in ("min", "max", "mostly"):
        _refuse_non_number(f"{where}.{key}", told.get(key))
    limit = Limit(**told)
    if limit.min is None and limit.max is None:
        raise CheckError(where, "has neither min nor max")
    if limit.severity not in TO_GX:
        raise UnknownNameError(f"severity of {where}", limit.severity, TO_GX)
    if not 0.0 <= limit.mostly <= 1.0:
        raise CheckError(f"{where}.mostly", "no fraction", got=limit.mostly, allowed="0..1.")
    return limit


def _refuse_strangers(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    every = list(known)
    for name in names:
        if name not in every:
            raise UnknownNameError(kind, name, every)


def _refuse_non_number(where: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise CheckError(where, "no number", got=value)
