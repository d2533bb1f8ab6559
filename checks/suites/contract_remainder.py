"""The checks that only pandera can run: batch by batch, on full data, never dropping a row.

A check is called by itself and not through a schema: a schema formats every failure case, numbers
them in 32 bits, and raises where a type (Duration) has no text form.
"""

from __future__ import annotations

import polars as pl

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
    beside = [cell(name) for name in plan.carried]
    masks = []
    for batch in scans.batches(batch_rows) if own else ():
        typed = plan.cells.add_to(batch.lazy()).collect()
        cells = typed.select(cell(name).alias(name) for name in plan.cells.types)
        answers = [
            (_break(plan.contract.where, cells, own[i]) if i in own else pl.lit(value=False)).alias(
                name_flag(i)
            )
            for i in range(len(plan.rules))
        ]
        judged = typed.select(*plan.keys, *beside, *answers)
        broken = judged.filter(pl.any_horizontal(FLAGS_PATTERN))
        masks.append(broken.select(*plan.keys, *pack_flags(len(plan.rules)), *beside))
    return masks


def _break(where: str, cells: pl.DataFrame, rule: Rule) -> pl.Series:
    """The rows of a batch that break the rule, Boolean."""
    try:
        result = rule.check(cells.lazy(), rule.column)
        fits: pl.Series = result.check_output.collect().to_series()
    except Exception as broken:
        told = f"its check {rule.name} raised {type(broken).__name__}: {broken}"
        raise ContractError(where, " ".join(told.split())[:300]) from broken
    if len(fits) == cells.height and result.failure_cases is not None:
        return ~fits
    return (pl.int_range(cells.height, eager=True) == 0) & (not fits.all())
