"""The scans of a contract: one for what needs the whole table, one that masks every broken row.

A row that breaks nothing leaves no trace, so memory is bounded by the broken rows, and by 8 bytes
a row for each rule of uniqueness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.core.errors import ContractError
from checks.suites.contract_cells import CELL, Cells, cell
from checks.suites.contract_rules import Rule, hash_cells
from checks.suites.contract_words import advise

WORD_BITS = 64
WORD, FLAG, KEY, TWIN = "mask_", "\x1fflag:", "\x1fkey:", "\x1ftwin:"
CSV_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")


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
        return self.table.collect_batches(
            chunk_size=rows, maintain_order=True, engine="streaming"
        )


def find_repeats(
    scans: Scans, cells: Cells, rules: Sequence[Rule]
) -> tuple[int, dict[int, NDArray[np.uint64]]]:
    """Return the rows of the table, and by rule of uniqueness the hashes that stand twice.

    Equal cells have equal hashes, so none is missed; `mask_rows` looks at the cells themselves.
    """
    wanted = {i: hash_cells(rule.repeats) for i, rule in enumerate(rules) if rule.repeats}
    hashes = [expr.alias(f"{FLAG}{i}") for i, expr in wanted.items()]
    if not hashes:
        return int(scans.collect(lambda table: table.select(pl.len())).item()), {}
    told = scans.collect(lambda table: cells.add_to(table).select(hashes))
    found = dict[int, NDArray[np.uint64]]()
    for i in wanted:
        ordered = np.sort(told.get_column(f"{FLAG}{i}").to_numpy())
        found[i] = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return told.height, found


def mask_rows(
    scans: Scans, cells: Cells, rules: Sequence[Rule], repeats: Mapping[int, NDArray[np.uint64]],
    keys: Sequence[str], base: Path, carried: Sequence[str] = (),
) -> pl.DataFrame:  # fmt: skip
    """Return the rows that break any rule: `keys`, their bits, the `carried` cells.

    Bit i of the words mask_0, mask_1, ... (UInt64) is rule i. A rule that only pandera can run
    has bit 0 everywhere.

    Args:
        scans: the table.
        cells: its columns.
        rules: what `compile_contract` returned.
        repeats: what `find_repeats` returned.
        keys: columns of the table that name a row.
        base: the folder that the paths of other tables start from.
        carried: columns whose cells are kept beside the bits, under their `CELL` names.

    `rules` holds at least one.

    Raises:
        ContractError: another table cannot be read or lacks its key.
    """
    flags = [_flag(i, rule, repeats, cells).alias(f"{FLAG}{i}") for i, rule in enumerate(rules)]
    twins = [(i, rule) for i, rule in enumerate(rules) if i in repeats and len(repeats[i])]
    held = dict.fromkeys([*carried, *(name for _, rule in twins for name in rule.repeats)])
    kept = [pl.col(f"{CELL}{name}") for name in held]

    def plan(table: pl.LazyFrame) -> pl.LazyFrame:
        typed = cells.add_to(table)
        for i, rule in enumerate(rules):
            if rule.key is not None:
                typed = _look_up(typed, f"{KEY}{i}", rule, base)
        judged = typed.select(*keys, *flags, *kept)
        broken = judged.filter(pl.any_horizontal(pl.col(f"^{FLAG}.*$")))
        return broken.select(*keys, *pack_bits(len(rules)), *kept)

    masked = scans.collect(plan)
    for i, rule in twins:
        masked = _clear_strangers(masked, i, rule)
    some = pl.any_horizontal(pl.col(f"^{WORD}.*$") != 0)
    return masked.filter(some).select(*keys, f"^{WORD}.*$", *(f"{CELL}{name}" for name in carried))


def pack_bits(count: int) -> list[pl.Expr]:
    """Return the words of `count` flags, `FLAG` and a number each."""
    words = []
    for first in range(0, count, WORD_BITS):
        bits = [
            pl.col(f"{FLAG}{i}").cast(pl.UInt64) * pl.lit(1 << (i - first), pl.UInt64)
            for i in range(first, min(first + WORD_BITS, count))
        ]
        words.append(pl.sum_horizontal(bits).alias(f"{WORD}{first // WORD_BITS}"))
    return words


def has_bit(i: int) -> pl.Expr:
    """Return where a row of a mask breaks rule `i`."""
    return (pl.col(f"{WORD}{i // WORD_BITS}") & pl.lit(1 << i % WORD_BITS, pl.UInt64)) != 0


def _flag(
    i: int, rule: Rule, repeats: Mapping[int, NDArray[np.uint64]], cells: Cells
) -> pl.Expr:
    if rule.key is not None:
        there = [cell(name).is_not_null() for name in rule.key.columns]
        return pl.all_horizontal(there) & pl.col(f"{KEY}{i}").is_null()
    if i in repeats and len(repeats[i]):
        found = hash_cells(rule.repeats).map_batches(
            partial(_stand_in, repeats[i]), return_dtype=pl.Boolean, is_elementwise=True
        )
        misfits = [misfit for name in rule.repeats if (misfit := cells.misfit(name)) is not None]
        return found & ~pl.any_horizontal(misfits) if misfits else found
    return pl.lit(value=False) if rule.broken is None else rule.broken


def _stand_in(ordered: NDArray[np.uint64], hashes: pl.Series) -> pl.Series:
    """Where a hash stands in `ordered`. A set would be built anew for each batch."""
    asked = hashes.to_numpy()
    place = np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)
    return pl.Series(ordered[place] == asked)


def _clear_strangers(masked: pl.DataFrame, i: int, rule: Rule) -> pl.DataFrame:
    """Take bit `i` from rows that share a hash and no cells."""
    twins = pl.struct(has_bit(i), *map(cell, rule.repeats)).is_duplicated()
    word = pl.col(f"{WORD}{i // WORD_BITS}")
    bit = pl.lit(1 << i % WORD_BITS, pl.UInt64)
    return masked.with_columns(pl.when(has_bit(i) & ~twins).then(word - bit).otherwise(word))


def _look_up(typed: pl.LazyFrame, mark: str, rule: Rule, base: Path) -> pl.LazyFrame:
    """Add the column `mark`: true where the cells stand in the other table, else null."""
    assert rule.key is not None
    types = typed.collect_schema()
    own = [f"{CELL}{name}" for name in rule.key.columns]
    other = _open_table(base / rule.key.table)
    names = other.collect_schema().names()
    for name in rule.key.key:
        if name not in names:
            raise ContractError(str(base / rule.key.table), "the table has no such column",
                                got=name, advice=advise(name, names))  # fmt: skip
    wanted = [
        pl.col(name).cast(types[at], strict=False).alias(f"{KEY}{at}")
        for name, at in zip(rule.key.key, own, strict=True)
    ]
    known = other.select(wanted).drop_nulls().unique().with_columns(pl.lit(value=True).alias(mark))
    right = [f"{KEY}{at}" for at in own]
    return typed.join(known, left_on=own, right_on=right, how="left", coalesce=True)


def _open_table(path: Path) -> pl.LazyFrame:
    try:
        if path.suffix in PARQUET:
            table = pl.scan_parquet(path, glob=False)
        elif path.suffix in CSV_SEPARATORS:
            separator = CSV_SEPARATORS[path.suffix]
            table = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False)
        else:
            raise ContractError(str(path), "no table of a known kind", got=path.suffix,
                                allowed="It is .parquet, .csv or .tsv.")  # fmt: skip
        table.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as broken:
        told = " ".join(str(broken).split())[:200]
        raise ContractError(str(path), f"the other table cannot be read: {told}") from broken
    return table
