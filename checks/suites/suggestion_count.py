"""Counts over all rows of a table: what stands together, and what breaks each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from checks.suites.contract_cells import Cells, cell, match_cells
from checks.suites.contract_file import Contract
from checks.suites.contract_keys import breaks_key, join_key
from checks.suites.contract_rules import Rule, compile_contract, hash_cells


def tally(rows: pl.LazyFrame, groups: Sequence[tuple[str, ...]]) -> list[pl.DataFrame]:
    """Return for each group of columns what stands together in rows, and in how many.

    Each frame has its group's columns under their places, "0", "1", ..., and # (UInt32), the rows.

    >>> tally(pl.LazyFrame({"#": ["a", "a"]}), [("#",)])[0].row(0)
    ('a', 2)
    """
    plans = [
        rows.select(pl.col(name).alias(str(i)) for i, name in enumerate(group))
        .group_by(pl.all()).agg(pl.len().alias("#"))
        for group in groups
    ]  # fmt: skip
    return pl.collect_all(plans, engine="streaming")


def count_broken(
    rows: pl.LazyFrame, contract: Contract, more: Mapping[str, pl.Expr] | None = None
) -> tuple[list[tuple[Rule, int | None]], dict[str, int]]:
    """Return how many of `rows` break each rule of `contract`, and each of `more`.

    One scan counts all of them, and one more each rule of uniqueness, which keeps 8 bytes of a
    row. A rule that only pandera can run is not counted: None.

    Args:
        rows: the table.
        contract: the rules.
        more: rows that break a rule of one's own, Boolean, over the cells that `cell` names.

    Raises:
        ContractError: the contract does not suit the table.
    """
    cells = match_cells(contract, rows.collect_schema())
    rules = compile_contract(contract, cells)
    typed = cells.add_to(rows)
    for i, rule in enumerate(rules):
        if rule.key is not None:
            typed = join_key(typed, i, rule.key, contract.base)
    flags = {str(i): flag for i, rule in enumerate(rules) if (flag := _flag(i, rule)) is not None}
    flags |= {f"+{name}": flag for name, flag in (more or {}).items()}
    sums = [flag.sum().cast(pl.Int64).alias(name) for name, flag in flags.items()]
    counts = typed.select(sums).collect(engine="streaming").row(0, named=True) if sums else {}
    told = [
        (rule, _count_repeats(rows, cells, rule) if rule.repeats else counts.get(str(i)))
        for i, rule in enumerate(rules)
    ]
    return told, {name: counts[f"+{name}"] for name in more or {}}


def _flag(i: int, rule: Rule) -> pl.Expr | None:
    return breaks_key(i, rule.key) if rule.key is not None else rule.broken


def _count_repeats(rows: pl.LazyFrame, cells: Cells, rule: Rule) -> int:
    """Rows whose cells another row has too, by their hash."""
    typed = rows.with_columns(cells.read(name).alias(cell(name).meta.output_name())
                              for name in rule.repeats)  # fmt: skip
    hashed = typed.select(hash_cells(rule.repeats).alias("hash")).collect(engine="streaming")
    ordered = hashed.to_series().sort()
    same = ordered == ordered.shift()
    follows = same.fill_null(value=False)
    return int((follows | follows.shift(-1).fill_null(value=False)).sum())
