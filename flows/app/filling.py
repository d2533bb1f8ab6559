"""Cells without a value: [fill] turned into findings that propose one, for the policy to decide on.

Nothing is changed here. What is proposed for train goes the way of every finding: caps, people and
small classes count, and each filled cell stands in the repairs with before and after. What empty
held-out cells are read as is kept beside the shards, which hold validation and test as they came;
a held-out value is never taken for wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from checks.core.check import Check
from checks.core.errors import UnknownNameError
from checks.core.policy_repairs import MISSING
from checks.metrics.fills import (
    FILLED,
    HOLE,
    SPLIT,
    FillRule,
    fill_table,
    fit_fills,
    lay_cells,
)
from checks.metrics.tabular_profile import ColumnProfile
from flows.app.config import Config
from flows.app.intake import read_table_profile
from flows.app.store import RunFolder

PREFIX = "fill:"
CELL = ["sample_id", "column"]
UNFILLED = ("identifier", "text")  # unless named: what differs in most rows has no usual value
WORDS = {
    "median": "the median of train", "mode": "the commonest value of train",
    "group": "what its group has in train", "knn": "the mean of its nearest rows of train",
    "iterative": "a regression on the other numbers",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Proposed:
    """findings: those of the checks, and one for each cell to fill or row to drop.

    actions: what the added ones ask for, by check_id. filled: `FILLED`, of all splits. facts: what
    was fitted, and how many cells have no value.
    """

    findings: pl.DataFrame
    actions: Mapping[str, str] = field(default_factory=dict)
    filled: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FILLED))
    facts: Mapping[str, Any] = field(default_factory=dict)

    def settle(self, repairs: pl.DataFrame) -> pl.DataFrame:
        """Return what the shards' readers need: key, split, column, value of each filled cell.

        Of train those that the policy let pass, with the value that it took; of validation and
        test all.
        """
        train, held = (
            self.filled.filter(split="train"),
            self.filled.filter(pl.col("split") != "train"),
        )
        after = repairs.select(*CELL, "after").drop_nulls("after")
        taken = train.join(after, on=CELL).with_columns(value="after").select(list(FILLED))
        both = pl.concat([taken, held])
        return both.select(pl.col("sample_id").alias("key"), "split", "column", "value")


def propose_fills(
    config: Config, run: RunFolder, source: Any, tables: Mapping[str, pl.DataFrame],
    checks: list[Check],
) -> Proposed:  # fmt: skip
    """Return the findings of `tables` with those that [fill] adds.

    Raises:
        UnknownNameError: [fill] names a column that is no feature of the table.
    """
    findings = tables["findings"]
    if source.modality != "table":
        return Proposed(findings)
    columns = [c for c in read_table_profile(run).features if c.name in source.content_columns]
    ways = choose_ways(config, columns)
    rules = [FillRule(c, *ways[c.name]) for c in columns if ways[c.name][0] not in ("keep", "drop")]
    drops = [FillRule(c, "mode") for c in columns if ways[c.name][0] == "drop"]
    if not rules and not drops:
        return Proposed(findings)
    actions = {check.id: check.action for check in checks}
    train = tables["samples"].filter(split="train").select("sample_id")
    wrong, known = _read_proposals(findings.join(train, on="sample_id", how="semi"), actions)
    ids = tables["samples"].lazy().select("uri", "row", "sample_id", pl.col("split").alias(SPLIT))
    rows = source.scan().join(ids, on=["uri", "row"], how="inner")
    cells = lay_cells(rows, columns, [*rules, *drops], wrong)
    own = config.fill
    fitted = fit_fills(cells, rules, rows_max=own.rows_max, seed=own.seed)
    filled = fill_table(cells, fitted) if rules else pl.DataFrame(schema=FILLED)
    added = [_ask_to_fill(filled, known), *(_ask_to_drop(cells, rule) for rule in drops)]
    asked = {f"{PREFIX}{r.name}": "repair" for r in rules}
    asked |= {f"{PREFIX}{r.name}": "drop" for r in drops}
    counts = filled.group_by("column", "split").len().sort("column", "split")
    facts = {
        "fitted": fitted.to_plain(),
        "cells": [dict(zip(counts.columns, row, strict=True)) for row in counts.iter_rows()],
        "indicator": own.indicator,
    }
    every = pl.concat([findings, *added], how="diagonal_relaxed")
    return Proposed(every.sort("sample_id", "check_id", "column"), asked, filled, facts)


def choose_ways(
    config: Config, columns: list[ColumnProfile]
) -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Return method and groups of each column.

    Raises:
        UnknownNameError: a column is named that is not there.
    """
    known = [c.name for c in columns]
    own = config.fill
    named = [*own.columns, *own.group_by, *(n for w in own.columns.values() for n in w.group_by)]
    for name in named:
        if name not in known:
            raise UnknownNameError("feature column of [fill]", name, known)
    ways: dict[str, tuple[Any, tuple[str, ...]]] = {}
    for column in columns:
        way = own.columns.get(column.name, own)
        left = column.kind in UNFILLED and column.name not in own.columns
        ways[column.name] = "keep" if left or not column.is_plain else way.method, way.group_by
    return ways


def _read_proposals(
    findings: pl.DataFrame, actions: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cells that a check would repair but knows no value for, and those that have proposals."""
    proposal = pl.col("suggestion").filter(pl.col("suggestion") != MISSING)
    asks = pl.col("check_id").replace_strict(actions, default="review", return_dtype=pl.String)
    cells = findings.drop_nulls("column").group_by(CELL).agg(
        told=proposal.min(), values=proposal.n_unique(), asked=(asks == "repair").any()
    )  # fmt: skip
    wrong = cells.filter("asked", pl.col("values") == 0).select(CELL)
    return wrong.sort(CELL), cells.filter(pl.col("values") > 0).select(*CELL, "told", "values")


def _ask_to_fill(filled: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """One finding for each train cell; the one value that checks propose goes before a fill."""
    train = filled.filter(split="train").join(known, on=CELL, how="left")
    sure = train.filter(pl.col("values").fill_null(1) == 1)
    evidence = pl.format("no value to rely on; filled by {}", pl.col("method").replace(WORDS))
    told = pl.when(pl.col("told").is_not_null()).then(pl.lit("no value; a check proposes one"))
    return sure.select(
        "sample_id", check_id=pl.lit(PREFIX) + pl.col("column"), column="column",
        dimension=pl.lit("missing"), severity=pl.lit("info"),
        evidence=told.otherwise(evidence), suggestion=pl.coalesce("told", "value"),
    )  # fmt: skip


def _ask_to_drop(cells: pl.LazyFrame, rule: FillRule) -> pl.DataFrame:
    """One finding for each train row without a value in the column."""
    gone = cells.filter(pl.col(f"{HOLE}{rule.name}"), pl.col(SPLIT) == "train")
    return gone.select(
        "sample_id", check_id=pl.lit(f"{PREFIX}{rule.name}"), column=pl.lit(rule.name),
        dimension=pl.lit("missing"), severity=pl.lit("info"), evidence=pl.lit("no value"),
    ).collect(engine="streaming")  # fmt: skip
