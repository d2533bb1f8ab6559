"""Foreign keys: whether the cells of a row stand together in another table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from checks.core.errors import ContractError
from checks.suites.contract_cells import CELL, cell, convert
from checks.suites.contract_settings import ForeignKey
from checks.suites.contract_words import advise

FOUND = "\x1ffound:"
SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")


def join_key(typed: pl.LazyFrame, number: int, key: ForeignKey, base: Path) -> pl.LazyFrame:
    """Return `typed` with a mark, for `breaks_key`, of the rows whose cells the key has.

    The other table is read once, in the types of the cells; what does not fit them is no key.

    Raises:
        ContractError: the other table cannot be read or has no such column.
    """
    types = typed.collect_schema()
    own = [f"{CELL}{name}" for name in key.columns]
    other = open_table(base / key.table)
    known_types = other.collect_schema()
    for name in key.key:
        if name not in known_types:
            raise ContractError(str(base / key.table), "the table has no such column", got=name,
                                advice=advise(name, list(known_types)))  # fmt: skip
    theirs = [
        convert(pl.col(name), known_types[name], types[at]).alias(f"{FOUND}{at}")
        for name, at in zip(key.key, own, strict=True)
    ]
    mark = pl.lit(value=True).alias(f"{FOUND}{number}")
    known = other.select(theirs).drop_nulls().unique().with_columns(mark)
    return typed.join(known, left_on=own, right_on=[f"{FOUND}{at}" for at in own], how="left")


def breaks_key(number: int, key: ForeignKey) -> pl.Expr:
    """Return where the key lacks the cells of a row, none of which is null."""
    there = pl.all_horizontal([cell(name).is_not_null() for name in key.columns])
    return there & pl.col(f"{FOUND}{number}").is_null()


def open_table(path: Path) -> pl.LazyFrame:
    """Return the table at `path`, lazily: Parquet, or CSV as text.

    Raises:
        ContractError: it is of another kind, or cannot be read.
    """
    if path.suffix not in (*PARQUET, *SEPARATORS):
        raise ContractError(str(path), "no table of a known kind", got=path.suffix,
                            allowed="It is .parquet, .csv or .tsv.")  # fmt: skip
    try:
        if path.suffix in PARQUET:
            table = pl.scan_parquet(path, glob=False)
        else:
            table = pl.scan_csv(path, separator=SEPARATORS[path.suffix], infer_schema=False,
                                glob=False)  # fmt: skip
        table.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as broken:
        told = " ".join(str(broken).split())[:200]
        raise ContractError(str(path), f"the other table cannot be read: {told}") from broken
    return table
