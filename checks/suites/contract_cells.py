"""The cells that a contract judges: its columns in the table, read in the contract's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from checks.core.errors import ContractError
from checks.suites.contract_file import Contract
from checks.suites.contract_words import advise

CELL = "\x1fcell:"
TIMES = ("%H:%M:%S%.f", "%H:%M")


@dataclass(frozen=True, slots=True)
class Cells:
    """The table of a contract.

    types: of the data columns as they are stored. columns: the pandera columns that the table
    has. own_names: the name of each in the contract, which may be a pattern.
    """

    types: Mapping[str, pl.DataType]
    columns: Mapping[str, Any]
    own_names: Mapping[str, str]

    def dtype(self, name: str) -> Any:
        """Return the type in which the cells of `name` are judged."""
        column = self.columns.get(name)
        return self.types[name] if column is None or column.dtype is None else column.dtype.type

    def read(self, name: str) -> pl.Expr:
        """Return the cells of `name` in their type; null where they do not fit it."""
        return convert(pl.col(name), self.types[name], self.dtype(name))

    def held(self, name: str) -> pl.Expr:
        """Return where `name` holds anything; an empty text is nothing, but in a text column."""
        raw = pl.col(name)
        if self.types[name] == pl.String and self.dtype(name) != pl.String:
            return (raw.str.strip_chars() != "").fill_null(value=False)
        return raw.is_not_null()

    def misfit(self, name: str) -> pl.Expr | None:
        """Return where a cell holds what its type cannot, or None where no cell can."""
        wanted, dtype = self.dtype(name), self.types[name]
        if wanted == dtype:
            return None
        found = self.held(name) & cell(name).is_null()
        if dtype.is_float() and wanted.is_integer():
            found |= (pl.col(name) != cell(name)).fill_null(value=False)
        return found

    def add_to(self, scan: pl.LazyFrame) -> pl.LazyFrame:
        """Return `scan` with the cells of every column, as `cell` names them."""
        return scan.with_columns(self.read(name).alias(f"{CELL}{name}") for name in self.types)

    def require(self, where: str, names: Iterable[str]) -> None:
        """Refuse a rule on a column that the table does not have.

        Raises:
            ContractError: with the nearest name.
        """
        for name in names:
            if name not in self.types:
                raise ContractError(where, "the table has no such column", got=name,
                                    advice=advise(name, list(self.types)))  # fmt: skip


def convert(raw: pl.Expr, dtype: pl.DataType, wanted: Any) -> pl.Expr:
    """Return `raw` of type `dtype` as type `wanted`; null where it does not fit.

    Text is stripped; a time in text is ISO 8601, the parts of a day from the hour on optional.
    """
    if wanted == dtype:
        return raw
    if dtype != pl.String:
        return raw.cast(wanted, strict=False)
    return _read_text(raw.str.strip_chars(), wanted)


def _read_text(text: pl.Expr, wanted: Any) -> pl.Expr:
    if wanted == pl.Boolean:
        words = {"true": True, "false": False, "1": True, "0": False}
        lower = text.str.to_lowercase()
        return lower.replace_strict(words, default=None, return_dtype=pl.Boolean)
    if wanted == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    if wanted == pl.Time:
        return pl.coalesce(text.str.to_time(one, strict=False) for one in TIMES)
    if wanted == pl.Datetime:
        return _read_datetime(text, wanted)
    return text.cast(wanted, strict=False)


def _read_datetime(text: pl.Expr, wanted: Any) -> pl.Expr:
    unit: Any = getattr(wanted, "time_unit", "us")
    zone: str | None = getattr(wanted, "time_zone", None)
    clocks = [f"%Y-%m-%d{mark}{one}" for mark in ("T", " ") for one in TIMES]
    formats = [f"{one}%#z" for one in clocks] if zone else [*clocks, "%Y-%m-%d"]
    return pl.coalesce(
        text.str.to_datetime(one, time_unit=unit, time_zone=zone, strict=False) for one in formats
    )


def cell(name: str) -> pl.Expr:
    """Return the cells of column `name`, in the contract's type."""
    return pl.col(f"{CELL}{name}")


def match_cells(contract: Contract, types: Mapping[str, pl.DataType]) -> Cells:
    """Return the columns of `contract` in a table of these `types`.

    Raises:
        ContractError: the table lacks a required column, or has one that a strict contract lacks.
    """
    columns, own_names = dict[str, Any](), dict[str, str]()
    for name, column in contract.schema.columns.items():
        present = _match(name, column, list(types))
        if not present and column.required:
            raise ContractError(contract.where, "the table lacks a required column", got=name,
                                advice=advise(name, list(types)))  # fmt: skip
        columns |= dict.fromkeys(present, column)
        own_names |= dict.fromkeys(present, name)
    stranger = next((name for name in types if name not in columns), None)
    if contract.schema.strict is True and stranger is not None:
        problem = "it is strict, and the table has a column that it does not name"
        raise ContractError(contract.where, problem, got=stranger,
                            advice=advise(stranger, list(columns)))  # fmt: skip
    return Cells(types, columns, own_names)


def _match(name: str, column: Any, names: Sequence[str]) -> list[str]:
    if not column.regex:
        return [name] if name in names else []
    return pl.DataFrame(schema=names).select(pl.col(column.selector)).columns
