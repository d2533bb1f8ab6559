"""A contract compiled: each of its rules as a yes or no for every row of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import polars as pl

from checks.core.errors import ContractError
from checks.suites.contract_cells import Cells, cell
from checks.suites.contract_file import Contract, name_check
from checks.suites.contract_settings import Condition, ForeignKey, Implication, Settings
from checks.suites.contract_words import WORDS, apply_word

MISSING = ("not_null", "not_nan")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a contract on one column.

    name: unique within the column's rules but for checks of one name. told: what a finding says.
    broken: rows that break it, Boolean; None where a row alone does not tell. Then one of these
    does: repeats, columns that no two rows may share; key, another table; check, pandera's.
    reads_number: a finding carries the cell as its value.
    """

    name: str
    column: str | None
    told: str
    settings: Settings
    broken: pl.Expr | None = None
    repeats: tuple[str, ...] = ()
    key: ForeignKey | None = None
    check: Any = None
    reads_number: bool = False
    threshold: float | None = None

    @property
    def dimension(self) -> str:
        """The dimension of its findings."""
        return "missing" if self.name in MISSING else "incorrect"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a table: the rules, in the order of their bits, and the cells they read.

    keys: columns that name a row. carried: columns whose cells are kept beside a broken row.
    """

    contract: Contract
    cells: Cells
    rules: tuple[Rule, ...]
    keys: tuple[str, ...]
    carried: tuple[str, ...] = ()


def compile_contract(contract: Contract, cells: Cells) -> tuple[Rule, ...]:
    """Return every rule of `contract`, those of a column first, in the contract's order.

    `nullable=False` is two rules, since NaN is not null: `not_null`, and for fractions `not_nan`.

    Raises:
        ContractError: a rule names a column that is not there, or cannot be judged on its type.
    """
    rules = [rule for name in cells.columns for rule in _compile_column(contract, cells, name)]
    rules += _compile_groups(contract, cells)
    rules += [_compile_implication(contract.where, one, cells) for one in contract.implications]
    rules += [_compile_key(contract.where, one, cells) for one in contract.foreign_keys]
    settings = contract.table_settings()
    for check in contract.schema.checks:
        name = name_check(check)
        rules.append(Rule(name, None, f"breaks {name}", settings[name], check=check))
    _refuse_misfits(contract.where, rules, cells)
    return tuple(rules)


def _compile_column(contract: Contract, cells: Cells, name: str) -> Iterator[Rule]:
    column, settings = cells.columns[name], contract.column_settings(cells.own_names[name])
    dtype, misfit = cells.dtype(name), cells.misfit(name)
    if misfit is not None:
        yield Rule("dtype", name, f"no {column.dtype}", settings["dtype"], misfit)
    if not column.nullable:
        told = "empty, and must not be"
        yield Rule("not_null", name, told, settings["not_null"], ~cells.held(name))
        if dtype.is_float():
            yield Rule("not_nan", name, "not a number, and must not be", settings["not_nan"],
                       _surely(cell(name).is_nan()))  # fmt: skip
    if column.unique:
        told = "the same value as another row, and must be unique"
        yield Rule("unique", name, told, settings["unique"], repeats=(name,))
    for check in column.checks:
        own = settings[name_check(check)]
        if not _is_declared(check):
            told = f"breaks {check.error or name_check(check)}"
            yield Rule(name_check(check), name, told, own, check=check,
                       reads_number=dtype.is_numeric())  # fmt: skip
            continue
        given = {key: value for key, value in check.statistics.items() if value is not None}
        limits = [v for v in given.values() if isinstance(v, int | float) and len(given) == 1]
        yield Rule(
            check.name, name, f"breaks {check.error}", own,
            _surely(~WORDS[check.name](cell(name), **given)),
            reads_number=dtype.is_numeric(), threshold=float(limits[0]) if limits else None,
        )  # fmt: skip


def _is_declared(check: Any) -> bool:
    plain = check.ignore_na and check.groupby is None and not check.element_wise
    return check.name in WORDS and bool(check.statistics) and plain


def _compile_groups(contract: Contract, cells: Cells) -> Iterator[Rule]:
    told = contract.schema.unique or []
    groups = [told] if all(isinstance(name, str) for name in told) else told
    for group in groups if told else ():
        names = tuple(group)
        cells.require(contract.where, names)
        evidence = f"the same {', '.join(names)} as another row"
        settings = contract.table_settings()["unique"]
        yield Rule("unique", names[0], evidence, settings, repeats=names)


def _compile_implication(where: str, one: Implication, cells: Cells) -> Rule:
    place = f"{where}: {one.name}"
    cells.require(place, [condition.column for condition in (*one.given, *one.then)])
    given = pl.all_horizontal([_surely(fits) for fits in _apply(place, one.given)])
    breaks = reduce(or_, [_surely(~fits) for fits in _apply(place, one.then)])
    must, where_all = (" and ".join(map(str, told)) for told in (one.then, one.given))
    evidence = f"breaks {must}, where {where_all}"
    return Rule(one.name, one.then[0].column, evidence, one.settings, given & breaks)


def _apply(where: str, conditions: tuple[Condition, ...]) -> Iterator[pl.Expr]:
    for one in conditions:
        for word, told in one.words.items():
            yield apply_word(where, word, told, cell(one.column))


def _compile_key(where: str, key: ForeignKey, cells: Cells) -> Rule:
    cells.require(f"{where}: foreign_keys", key.columns)
    told = f"stands nowhere in {', '.join(key.key)} of {key.table}"
    return Rule("foreign_key", key.columns[0], told, key.settings, key=key)


def _surely(flag: pl.Expr) -> pl.Expr:
    return flag.fill_null(value=False)


def _refuse_misfits(where: str, rules: list[Rule], cells: Cells) -> None:
    """Try the rules on no rows: a pattern may be none, a limit may be of another type."""
    nothing = cells.add_to(pl.LazyFrame(schema=cells.types))
    tried = {i: expr for i, rule in enumerate(rules) if (expr := _try(rule)) is not None}
    try:
        nothing.select(expr.alias(str(i)) for i, expr in tried.items()).collect()
    except pl.exceptions.PolarsError:
        for i, expr in tried.items():
            _refuse_misfit(where, rules[i], cells, nothing.select(expr))
        raise


def _try(rule: Rule) -> pl.Expr | None:
    return hash_cells(rule.repeats) if rule.repeats else rule.broken


def _refuse_misfit(where: str, rule: Rule, cells: Cells, trial: pl.LazyFrame) -> None:
    try:
        trial.collect()
    except pl.exceptions.PolarsError as broken:
        told = f"{rule.name} of {rule.column!r} cannot be judged: {broken}"
        advice = f"The cells are {cells.dtype(str(rule.column))}."
        raise ContractError(where, " ".join(told.split())[:300], advice=advice) from broken


def hash_cells(names: tuple[str, ...]) -> pl.Expr:
    """Return one number for the cells of `names` in a row: equal cells have equal numbers."""
    return cell(names[0]).hash() if len(names) == 1 else pl.struct(map(cell, names)).hash()
