"""A user's contract for a table: a pandera model or its YAML form, as findings with row reasons.

What is declared is compiled into one polars scan that keeps a bit-mask of reasons for each broken
row, after at most one other for what needs the whole table; checks written in Python run in
pandera, batch by batch on full data. Rows are never dropped here.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.cells import BATCH_ROWS
from checks.core.check import Judged
from checks.suites.contract_cells import cell, match_cells
from checks.suites.contract_file import Contract, load_contract
from checks.suites.contract_mask import WORDS_PATTERN
from checks.suites.contract_remainder import mask_remainder
from checks.suites.contract_rules import Plan, compile_contract
from checks.suites.contract_scan import Scans, find_repeats, mask_rows
from checks.suites.contract_verdict import Verdict, count_failures, list_findings, tell_facts

__all__ = ["Contract", "judge_contract", "judge_table", "load_contract", "run_contract"]

PLACE, ROW = ("uri", "row"), "\x1frow"


def judge_table(
    table: pl.LazyFrame, contract: Contract, *, batch_rows: int = BATCH_ROWS
) -> Verdict:
    """Return which rows of `table` break which rules, a row named by its number from 0.

    The table is read once for what is declared and once for uniqueness or to count the rows; once
    more if the contract has checks written in Python, `batch_rows` rows at a time.

    Raises:
        ContractError: a required column is missing, a rule does not suit its column's type,
            another table cannot be read, or one of the contract's own checks raised.

    >>> import pandera.polars as pa
    >>> contract = Contract("ages", pa.DataFrameSchema({"age": pa.Column(int, pa.Check.ge(0))}))
    >>> judge_table(pl.LazyFrame({"age": [3, -1]}), contract).list_reasons().rows()
    [(1, 'contract:greater_than_or_equal_to', 'age')]
    """
    cells = match_cells(contract, table.collect_schema())
    plan = Plan(contract, cells, compile_contract(contract, cells), (ROW,))
    scans = Scans(table.with_row_index(ROW))
    rows, repeats = find_repeats(scans, plan)
    mask = _mask(scans, plan, repeats, batch_rows).rename({ROW: "row"})
    if not mask["row"].is_sorted():
        mask = mask.sort("row")
    return Verdict(mask, count_failures(mask, plan.rules, rows), scans.count)


def judge_contract(
    scan: pl.LazyFrame, ids: pl.DataFrame, contract: Contract, *, batch_rows: int = BATCH_ROWS
) -> Judged:
    """Return a finding for every cell (or row) that breaks the contract, and counts by rule.

    Args:
        scan: uri, row, then the data columns. Text columns are read as the contract's types, an
            empty text as null, so that a CSV and its Parquet twin are judged alike.
        ids: uri, row, sample_id; rows of `scan` without an id are passed over.
        contract: what `load_contract` returned.
        batch_rows: rows in memory at a time where pandera runs. A check written in Python sees
            one batch at a time; if it answers for a batch as a whole, the finding stands at the
            batch's first row.

    A rule within its tolerance gives no findings; the facts tell how many rows break it.

    Returns:
        findings sorted by key; facts by check id: `rules`, by column its severity, failures,
        rows, fraction, tolerance and passed.

    Raises:
        ContractError: as `judge_table`.
    """
    types = {name: t for name, t in scan.collect_schema().items() if name not in PLACE}
    cells = match_cells(contract, types)
    rules = compile_contract(contract, cells)
    carried = sorted({str(rule.column) for rule in rules if rule.reads_number})
    plan, scans = Plan(contract, cells, rules, PLACE, tuple(carried)), Scans(scan)
    some = any(rule.repeats for rule in rules)
    repeats = find_repeats(scans, plan)[1] if some else {}
    mask = _mask(scans, plan, repeats, batch_rows)
    known = mask.join(ids.select(*PLACE, "sample_id"), on=PLACE, how="inner")
    counts = count_failures(known, rules, ids.height)
    return Judged(list_findings(known, rules, counts), facts=tell_facts(counts))


def run_contract(
    scan: pl.LazyFrame, ids: pl.DataFrame, contract: Contract, *, batch_rows: int = BATCH_ROWS
) -> pl.DataFrame:
    """Return the findings of `judge_contract`."""
    return judge_contract(scan, ids, contract, batch_rows=batch_rows).findings


def _mask(
    scans: Scans, plan: Plan, repeats: Mapping[int, pl.Series], batch_rows: int
) -> pl.DataFrame:
    if not plan.rules:
        return scans.table.select(plan.keys).head(0).collect()
    masks = [mask_rows(scans, plan, repeats), *mask_remainder(scans, plan, batch_rows)]
    if len(masks) == 1:
        return masks[0]
    together = pl.concat(masks).group_by(plan.keys)
    beside = [cell(name).first() for name in plan.carried]
    return together.agg(pl.col(WORDS_PATTERN).bitwise_or(), *beside)
