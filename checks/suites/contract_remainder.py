"""The checks that only pandera can run: batch by batch, on full data, never dropping a row."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrors, SchemaWarning

from checks.core.errors import ContractError
from checks.suites.contract_cells import CELL, Cells
from checks.suites.contract_rules import Rule
from checks.suites.contract_scan import FLAG, Scans, pack_bits


def mask_remainder(
    where: str, scans: Scans, cells: Cells, rules: Sequence[Rule], keys: Sequence[str],
    batch_rows: int, carried: Sequence[str] = (),
) -> list[pl.DataFrame]:  # fmt: skip
    """Return masks of the rows that break one of the `rules` that carry a pandera check.

    Each is as `contract_scan.mask_rows` returns it. A check that answers for a batch as a whole
    breaks at the batch's first row. Nothing is read where no rule carries a check.

    Raises:
        ContractError: a check raised.
    """
    own = {i: rule for i, rule in enumerate(rules) if rule.check is not None}
    if not own:
        return []
    schema = _build_schema(own, cells)
    masks = []
    for batch in scans.batches(batch_rows):
        typed = batch.select(pl.col(keys), *(cells.read(n).alias(f"{CELL}{n}") for n in cells.types))
        flags = _flag_batch(where, typed, schema, own, cells)
        if flags:
            kept = typed.select(pl.col(keys), *(f"{CELL}{name}" for name in carried))
            absent = [
                pl.lit(value=False).alias(f"{FLAG}{i}") for i in range(len(rules)) if i not in flags
            ]
            masked = kept.with_columns(*absent, *(s.alias(f"{FLAG}{i}") for i, s in flags.items()))
            broken = masked.filter(pl.any_horizontal(f"{FLAG}{i}" for i in flags))
            names = [f"{CELL}{name}" for name in carried]
            masks.append(broken.select(pl.col(keys), *pack_bits(len(rules)), *names))
    return masks


def _build_schema(rules: dict[int, Rule], cells: Cells) -> Any:
    """A schema of nothing but these checks, each named by its rule's number.

    A warning is made an error here: its severity is the rule's, and pandera only tells errors.
    """
    columns: dict[str, list[Any]] = {}
    whole = []
    for i, rule in rules.items():
        check = copy.copy(rule.check)
        check.raise_warning, check.n_failure_cases, check.error = False, None, None
        check.name = str(i)
        (whole if rule.column is None else columns.setdefault(rule.column, [])).append(check)
    return pa.DataFrameSchema(
        {name: pa.Column(None, checks=own, nullable=True) for name, own in columns.items()},
        checks=whole,
    )


def _flag_batch(
    where: str, typed: pl.DataFrame, schema: Any, rules: dict[int, Rule], cells: Cells
) -> dict[int, pl.Series]:
    """By rule, the rows of the batch that break it; rules that all rows keep are not in it."""
    batch = typed.select(pl.col(f"{CELL}{name}").alias(name) for name in cells.types)
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(batch, lazy=True)
    except SchemaErrors as broken:
        return dict(_read_error(where, error, batch, rules) for error in broken.schema_errors)
    return {}


def _read_error(
    where: str, error: Any, batch: pl.DataFrame, rules: dict[int, Rule]
) -> tuple[int, pl.Series]:
    if error.reason_code is not None and error.reason_code.name == "CHECK_ERROR":
        raise ContractError(where, "one of its checks raised", got=str(error)[:200])
    answers = error.check_output.to_series()
    if isinstance(error.failure_cases, pl.DataFrame):
        return int(error.check.name), ~answers
    first = pl.int_range(batch.height, eager=True) == 0
    return int(error.check.name), first
