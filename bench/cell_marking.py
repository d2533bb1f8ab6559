"""Twenty rows marked from the truth, as a person would mark them, and what that does to F1."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import polars as pl

from bench.cell_calibration import find
from bench.cell_scores import Place, score
from checks.core.cells import run_cell_checks
from checks.core.check import load_checks
from checks.metrics.cell_labels import apply_weights, learn_marks, loosen, tell_signals
from checks.metrics.cell_marks import ROWS, propose_rows
from checks.metrics.cell_verdicts import WRONG_MIN, judge_cells
from checks.metrics.tabular import profile_table


def mark_proposed(table: pl.DataFrame, wrong: AbstractSet[Place], seed: int) -> float:
    """Return F1 over the other rows, with marks on the proposed ones; `seed` breaks their ties."""
    names = _names(table, seed)
    ids, findings = _find(table, names)
    verdicts = judge_cells(findings, ids)
    asked = propose_rows(_cells(findings, findings.head(0), verdicts), ids)
    return _learn(table, wrong, ids, findings, asked["sample_id"].to_list())


def mark_random(table: pl.DataFrame, wrong: AbstractSet[Place], seed: int) -> float:
    """Return the same with marks on rows drawn by `seed`."""
    names = _names(table, seed)
    ids, findings = _find(table, names)
    rows = np.random.default_rng(seed).choice(table.height, ROWS, replace=False)
    return _learn(table, wrong, ids, findings, [names[int(row)] for row in rows])


def _names(table: pl.DataFrame, seed: int) -> list[str]:
    order = np.random.default_rng(seed).permutation(table.height)
    return [f"{int(at):06}-0" for at in order]


def _find(table: pl.DataFrame, names: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    ids = pl.DataFrame({"row": range(table.height), "sample_id": names}).select(
        pl.lit("t").alias("uri"), pl.col("row").cast(pl.Int64), "sample_id"
    )
    found = find(table).drop("sample_id").join(ids.drop("uri"), on="row", how="left").drop("row")
    return ids, found


def _cells(findings: pl.DataFrame, hints: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    sure = verdicts.select("sample_id", "column", "confidence")
    return tell_signals(findings, hints).join(sure, on=["sample_id", "column"], how="left")


def _learn(
    table: pl.DataFrame, wrong: AbstractSet[Place], ids: pl.DataFrame, findings: pl.DataFrame,
    asked: Sequence[str],
) -> float:  # fmt: skip
    keyed = table.select(pl.lit("t").alias("uri"), pl.int_range(pl.len()).alias("row"), pl.all())
    profile = profile_table(keyed.lazy(), label=None)
    hints = run_cell_checks(keyed.lazy(), ids, profile, loosen(list(load_checks().values())))
    cells = _cells(findings, hints, judge_cells(findings, ids))
    row_of = dict(zip(ids["sample_id"], ids["row"], strict=True))
    chosen = {row_of[name]: name for name in asked}
    named = [(chosen[row], column) for row, column in sorted(wrong) if row in chosen]
    none = [(name, None) for row, name in chosen.items() if all(row != r for r, _ in wrong)]
    schema = {"sample_id": pl.String, "column": pl.String}
    marks = pl.DataFrame([*named, *none], schema=schema, orient="row")
    learnt = apply_weights(cells, learn_marks(marks, cells, table.columns))
    sure = learnt.filter(pl.col("confidence") >= WRONG_MIN).select("sample_id", "column")
    called = {(row_of[name], column) for name, column in sure.iter_rows()}
    rest = {place for place in wrong if place[0] not in chosen}
    return score({place for place in called if place[0] not in chosen}, rest).f1
