"""The scans of a contract: one for what needs the whole table, one that masks every broken row.

A row that breaks nothing leaves no trace, so memory is bounded by the broken rows, and by 8 bytes
a row for each rule of uniqueness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from checks.suites.contract_cells import Cells, cell
from checks.suites.contract_keys import breaks_key, join_key
from checks.suites.contract_mask import (
    FLAGS_PATTERN,
    WORDS_PATTERN,
    bit,
    has_any_bit,
    has_bit,
    name_flag,
    pack_flags,
    word,
)
from checks.suites.contract_rules import Plan, Rule, hash_cells

TWIN = "\x1ftwin:"


@dataclass(slots=True)
class Scans:
    """Every reading of a table goes through here. count: how often it was read."""

    table: pl.LazyFrame
    count: int = 0

    def collect(self, plan: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        """Read the table once, streaming, and return what `plan` makes of it."""
        self.count += 1
        return plan(self.table).collect(engine="streaming")

    def batches(self, rows: int) -> Iterator[pl.DataFrame]:
        """Read the table once, `rows` rows at a time and in order."""
        self.count += 1
        return self.table.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming")


def find_repeats(scans: Scans, plan: Plan) -> tuple[int, dict[int, pl.Series]]:
    """Return the rows of the table, and by rule of uniqueness the hashes that stand twice.

    Equal cells have equal hashes, so none is missed; `mask_rows` looks at the cells themselves.
    """
    named = ((str(i), rule.repeats) for i, rule in enumerate(plan.rules) if rule.repeats)
    hashes = [hash_cells(names).alias(i) for i, names in named]
    if not hashes:
        return int(scans.collect(lambda table: table.select(pl.len())).item()), {}
    hashed = scans.collect(lambda table: plan.cells.add_to(table).select(hashes))
    found = {}
    for one in hashed:
        ordered = one.sort()
        again = ordered.filter(ordered == ordered.shift()).unique()
        if len(again):
            found[int(one.name)] = again
    return hashed.height, found


def mask_rows(scans: Scans, plan: Plan, repeats: Mapping[int, pl.Series]) -> pl.DataFrame:
    """Return the rows that break any rule: their keys, their mask, the carried cells.

    Args:
        scans: the table.
        plan: a rule that only pandera can run has bit 0 everywhere.
        repeats: what `find_repeats` returned.

    Raises:
        ContractError: another table cannot be read or lacks its key.
    """
    rules, cells = plan.rules, plan.cells
    flags = [_flag(i, rule, repeats, cells).alias(name_flag(i)) for i, rule in enumerate(rules)]
    beside = [cell(name) for name in plan.carried]
    twins = [
        pl.when(flags[i]).then(cell(name)).alias(f"{TWIN}{i}:{name}")
        for i in repeats
        for name in rules[i].repeats
    ]

    def mask(table: pl.LazyFrame) -> pl.LazyFrame:
        typed = cells.add_to(table)
        for i, rule in enumerate(rules):
            if rule.key is not None:
                typed = join_key(typed, i, rule.key, plan.contract.base)
        judged = typed.select(*plan.keys, *flags, *beside, *twins)
        broken = judged.filter(pl.any_horizontal(FLAGS_PATTERN))
        return broken.select(*plan.keys, *pack_flags(len(rules)), *beside, f"^{TWIN}.*$")

    masked = scans.collect(mask)
    for i in repeats:
        masked = _clear_strangers(masked, i)
    masked = masked.filter(has_any_bit()) if repeats else masked
    return masked.select(*plan.keys, WORDS_PATTERN, *beside)


def _flag(i: int, rule: Rule, repeats: Mapping[int, pl.Series], cells: Cells) -> pl.Expr:
    if rule.key is not None:
        return breaks_key(i, rule.key)
    if i in repeats:
        found = hash_cells(rule.repeats).is_in(repeats[i].implode())
        misfits = [misfit for name in rule.repeats if (misfit := cells.misfit(name)) is not None]
        return found & ~pl.any_horizontal(misfits) if misfits else found
    return pl.lit(value=False) if rule.broken is None else rule.broken


def _clear_strangers(masked: pl.DataFrame, i: int) -> pl.DataFrame:
    """Take bit `i` from the rows whose cells no other row has: they shared no more than a hash."""
    places = masked.select(has_bit(i).arg_true()).to_series()
    twins = masked.select(f"^{TWIN}{i}:.*$")[places]
    lost = places.filter(twins.is_unique())
    if lost.is_empty():
        return masked
    clear = pl.int_range(pl.len(), dtype=pl.UInt32).is_in(lost.implode())
    return masked.with_columns(pl.when(clear).then(word(i) - bit(i)).otherwise(word(i)))
