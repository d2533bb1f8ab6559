"""Counts over all rows of a table: what stands together, and what breaks each rule."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from checks.core.cells import BATCH_ROWS
from checks.suites.contract_cells import Cells, cell, match_cells
from checks.suites.contract_file import Contract
from checks.suites.contract_keys import breaks_key, join_key
from checks.suites.contract_rules import Rule, compile_contract, hash_cells

HEAD_ROWS, HOPELESS, PARTS_MAX = 10_000, 0.01, 16


def tally(rows: pl.LazyFrame, groups: Sequence[tuple[str, ...]]) -> list[pl.DataFrame]:
    """Return for each group of columns what stands together in rows, and in how many.

    Each frame has its group's columns under their places, "0", "1", ..., and # (Int64), the rows.
    One scan of a table that has rows, folded batch by batch.

    >>> tally(pl.LazyFrame({"#": ["a", "a"]}), [("#",)])[0].row(0)
    ('a', 2)
    """
    named = [[pl.col(name).alias(str(i)) for i, name in enumerate(group)] for group in groups]
    parts: list[list[pl.DataFrame]] = [[] for _ in groups]
    needed = list(dict.fromkeys(name for group in groups for name in group))
    if not needed:
        return []
    for batch in rows.select(needed).collect_batches(chunk_size=BATCH_ROWS, engine="streaming"):
        for columns, held in zip(named, parts, strict=True):
            one = batch.select(columns)
            held.append(one.group_by(pl.all()).agg(pl.len().cast(pl.Int64).alias("#")))
            if len(held) > PARTS_MAX:
                held[:] = [_add(held)]
    return [_add(held) for held in parts]


def _add(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).group_by(pl.exclude("#")).agg(pl.sum("#"))


def count_broken(rows: pl.LazyFrame, contract: Contract) -> list[tuple[Rule, int | None]]:
    """Return how many of `rows` break each rule of `contract`.

    One scan counts all of them, and one more each rule of uniqueness, which keeps 8 bytes of a
    row. A rule that only pandera can run is not counted: None.

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
    sums = [flag.sum().cast(pl.Int64).alias(name) for name, flag in flags.items()]
    counts = typed.select(sums).collect(engine="streaming").row(0, named=True) if sums else {}
    return [
        (rule, _count_repeats(rows, cells, rule) if rule.repeats else counts.get(str(i)))
        for i, rule in enumerate(rules)
    ]


def count_flagged(rows: pl.LazyFrame, flag: pl.Expr) -> int | None:
    """Return how many of `rows` are flagged, or None where more than 1 % of the first ones are.

    A flag may look at the row before, which no scan of other columns as well would stream: `rows`
    should have the columns that it reads and no other.
    """
    first = rows.head(HEAD_ROWS).select(flag.sum(), rows=pl.len()).collect().row(0)
    if first[0] > HOPELESS * first[1]:
        return None
    return int(rows.select(flag.sum()).collect(engine="streaming").item())


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
