"""The checks that only pandera can run: batch by batch, on full data, never dropping a row."""

from __future__ import annotations

import copy
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrors

from checks.core.errors import ContractError
from checks.suites.contract_cells import cell
from checks.suites.contract_mask import FLAGS_PATTERN, name_flag, pack_flags
from checks.suites.contract_rules import Plan, Rule
from checks.suites.contract_scan import Scans


def mask_remainder(scans: Scans, plan: Plan, batch_rows: int) -> list[pl.DataFrame]:
    """Return masks of the rows that break one of the rules that carry a pandera check.

    Each is as `contract_scan.mask_rows` returns it. A check that answers for a batch as a whole
    breaks at the batch's first row. Nothing is read where no rule carries a check.

    Raises:
        ContractError: a check raised.
    """
    own = {i: rule for i, rule in enumerate(plan.rules) if rule.check is not None}
    if not own:
        return []
    schema, beside = _build_schema(own), [cell(name) for name in plan.carried]
    masks = []
    for batch in scans.batches(batch_rows):
        typed = plan.cells.add_to(batch.lazy()).collect()
        flags = _flag_batch(plan, typed, schema)
        if flags:
            answers = [
                flags.get(i, pl.lit(value=False)).alias(name_flag(i))
                for i in range(len(plan.rules))
            ]
            broken = typed.select(*plan.keys, *beside, *answers).filter(
                pl.any_horizontal(FLAGS_PATTERN)
            )
            masks.append(broken.select(*plan.keys, *pack_flags(len(plan.rules)), *beside))
    return masks


def _build_schema(rules: dict[int, Rule]) -> Any:
    """A schema of nothing but these checks, each named by its rule's number.

    A warning is made an error here: its severity is the rule's, and pandera only tells errors.
    """
    columns: dict[str, list[Any]] = {}
    whole: list[Any] = []
    for i, rule in rules.items():
        check = copy.copy(rule.check)
        check.raise_warning, check.n_failure_cases, check.error = False, None, None
        check.name = str(i)
        (whole if rule.column is None else columns.setdefault(rule.column, [])).append(check)
    return pa.DataFrameSchema(
        {name: pa.Column(None, checks=own, nullable=True) for name, own in columns.items()},
        checks=whole,
    )


def _flag_batch(plan: Plan, typed: pl.DataFrame, schema: Any) -> dict[int, pl.Series]:
    """By rule, the rows of the batch that break it; rules that all rows keep are not in it."""
    batch = typed.select(cell(name).alias(name) for name in plan.cells.types)
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(batch, lazy=True)
    except SchemaErrors as broken:
        where = plan.contract.where
        return dict(_read_error(where, error, batch.height) for error in broken.schema_errors)
    return {}


def _read_error(where: str, error: Any, rows: int) -> tuple[int, pl.Series]:
    if error.reason_code is not None and error.reason_code.name == "CHECK_ERROR":
        raise ContractError(where, "one of its checks raised", got=str(error)[:200])
    answers = error.check_output.to_series()
    if isinstance(error.failure_cases, pl.DataFrame) and len(answers) == rows:
        return int(error.check.name), ~answers
    return int(error.check.name), pl.int_range(rows, eager=True) == 0
