"""Cell checks over a table: one pass in batches of bounded memory, findings with their column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from checks.core.check import CellRule, Check

BATCH_ROWS = 131_072
KEY = ("sample_id", "check_id", "column")
FINDING_SCHEMA = {
    "sample_id": pl.String, "check_id": pl.String, "column": pl.String, "dimension": pl.String,
    "severity": pl.String, "value": pl.Float64, "threshold": pl.Float64, "evidence": pl.String,
    "suggestion": pl.String,
}  # fmt: skip


def run_cell_checks(
    scan: pl.LazyFrame, ids: pl.DataFrame, profile: Any, checks: Sequence[Check],
    *, batch_rows: int = BATCH_ROWS,
) -> pl.DataFrame:  # fmt: skip
    """Apply every cell check to every row and return the findings, sorted by key.

    Args:
        scan: uri, row, then the data columns.
        ids: uri, row, sample_id; rows of `scan` without an id are passed over.
        profile: the table's profile (checks.metrics.tabular.TableProfile).
        checks: checks of other kinds are passed over.
        batch_rows: rows in memory at a time; the findings do not depend on it.

    Where a check has several rules for one column, a cell is found once, by the first that flags.
    """
    rules = [(check, rule) for check in checks if check.kind == "cell" for rule in check(profile)]
    found = [pl.DataFrame(schema=FINDING_SCHEMA)]
    if rules:
        keys = ids.select("uri", "row", "sample_id")
        batches = scan.collect_batches(
            chunk_size=batch_rows, maintain_order=True, engine="streaming"
        )
        for batch in batches:
            known = batch.join(keys, on=["uri", "row"], how="inner", maintain_order="left")
            found.extend(_judge(known, rules))
    findings = pl.concat(found).unique(KEY, keep="first", maintain_order=True)
    return findings.sort(KEY, nulls_last=False)


def _judge(batch: pl.DataFrame, rules: Sequence[tuple[Check, CellRule]]) -> list[pl.DataFrame]:
    """Evaluate each rule on the distinct values that it reads: most columns repeat theirs."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, (_, rule) in enumerate(rules):
        groups.setdefault(tuple(sorted(set(rule.flagged.meta.root_names()))), []).append(i)
    found: dict[int, pl.DataFrame] = {}
    for roots, members in groups.items():
        cells = _distinct(batch, roots)
        flags = cells.with_columns(rules[i][1].flagged.alias(f"\x1f{i}") for i in members)
        for i in members:
            hits = cells.filter(flags.get_column(f"\x1f{i}"))
            if not hits.height:
                continue
            if cells is not batch:
                hits = batch.join(hits, on=list(roots), how="semi", nulls_equal=True)
            found[i] = _describe(hits, *rules[i])
    return [found[i] for i in sorted(found)]


def _distinct(batch: pl.DataFrame, roots: tuple[str, ...]) -> pl.DataFrame:
    """The distinct values of `roots`, or the batch itself where that is hardly less."""
    if not roots or any(batch.schema[name].is_nested() for name in roots):
        return batch
    cells = batch.select(roots).unique()
    return cells if cells.height * 2 < batch.height else batch


def _describe(hits: pl.DataFrame, check: Check, rule: CellRule) -> pl.DataFrame:
    value = pl.lit(None) if rule.value is None else rule.value
    suggestion = pl.lit(None) if rule.suggestion is None else rule.suggestion
    return hits.select(
        pl.col("sample_id"),
        check_id=pl.lit(check.id), column=pl.lit(rule.column), dimension=pl.lit(check.dimension),
        severity=pl.lit(check.severity), value=value.cast(pl.Float64),
        threshold=pl.lit(rule.threshold, dtype=pl.Float64), evidence=pl.lit(rule.evidence),
        suggestion=suggestion.cast(pl.String),
    )  # fmt: skip
