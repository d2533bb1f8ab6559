"""One verdict for each cell: what its findings say together, and how sure that is.

A signal is a check with or without a proposal of its own. Its precision was fitted to errors
planted in made tables (`python -m bench.cells --calibrate`), never to a table that is scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from checks.metrics.tabular_missing import OWN_MARKER

WRONG_MIN = 0.5  # the confidence from which a cell is called wrong: more likely than not
CELL_DIMENSIONS = ("missing", "incorrect", "low_quality")
CELL_SCHEMA: Mapping[str, pl.DataType] = MappingProxyType({
    "sample_id": pl.String(), "uri": pl.String(), "row": pl.Int64(), "column": pl.String(),
    "detectors": pl.List(pl.String), "dimension": pl.String(), "confidence": pl.Float64(),
    "suggestion": pl.String(),
})  # fmt: skip
# How often a signal alone is right. "+" says that the check proposes what the cell should hold.
PRECISION: Mapping[str, float] = MappingProxyType({
    "dependency_violation": 0.65,
    "dependency_violation+": 0.66,
    "group_outlier": 0.77,
    "implausible_date": 0.98,
    "implausible_date+": 0.98,  # none was planted: that a reading is unique makes no date right
    "impossible_value": 0.98,
    "impossible_value+": 0.98,
    "inconsistent_dates": 0.87,
    "merged_fields+": 0.98,
    "missing_value": 0.08,
    "missing_value+": 0.98,
    "mixed_unit": 0.98,
    "mixed_unit+": 0.98,
    "mojibake+": 0.98,
    "number_as_text": 0.98,
    "number_as_text+": 0.98,
    "numeric_outlier": 0.88,
    "numeric_outlier+": 0.98,
    "own_marker": 0.02,
    "pattern_outlier": 0.65,
    "pattern_outlier+": 0.61,
    "placeholder_value": 0.98,
    "placeholder_value+": 0.98,
    "rare_typo": 0.86,
    "rare_typo+": 0.98,
    "swapped_fields+": 0.98,
    "untrimmed_text+": 0.98,
})  # fmt: skip
# A gap is plain, a lost value is not: a missing label was in no table made for calibration.
OPEN_GAPS = MappingProxyType({"missing_label": PRECISION["missing_value"]})
UNKNOWN_PRECISION = 0.8  # of a check that was not calibrated: a user's own, or a contract's rule
_MICRO = 1_000_000


def signal_of() -> pl.Expr:
    """Return a finding's signal: its check, "+" where it proposes a value, `own_marker` apart."""
    proposes = (pl.col("suggestion") != "").fill_null(value=False)
    named = pl.col("check_id") + pl.when(proposes).then(pl.lit("+")).otherwise(pl.lit(""))
    own = (pl.col("evidence") == OWN_MARKER) & ~proposes
    return pl.when(own).then(pl.lit("own_marker")).otherwise(named)


def judge_cells(findings: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """Return a verdict for every cell that some check flags, sorted by sample_id and column.

    Args:
        findings: tables.Findings; those without a column or of another dimension are left out.
        ids: uri, row, sample_id.

    Columns: sample_id, uri, row, column, detectors (the checks that fired, sorted), dimension,
    confidence (0..1, that the cell does not hold what it should), suggestion (null where the
    checks propose several values or none; an empty text where it had better be missing).
    A cell is `missing` if one of its checks says so: then the confidence is that a value was lost,
    not that there is none, which is plain.

    Source: noisy-or (Pearl 1988): each signal alone would be right with its own precision.
    Whoever needs yes or no takes `WRONG_MIN`.
    """
    cells = findings.filter(
        pl.col("column").is_not_null(), pl.col("dimension").is_in(CELL_DIMENSIONS)
    )
    sure = signal_of().replace_strict(
        {**PRECISION, **OPEN_GAPS}, default=UNKNOWN_PRECISION, return_dtype=pl.Float64
    )
    # whole micro-nats: a sum that no order of the findings changes
    doubt = ((1 - sure).log() * _MICRO).round().cast(pl.Int64)
    proposed = pl.col("suggestion").filter(pl.col("suggestion") != "").drop_nulls().unique()
    blank = (pl.col("suggestion") == "").any()
    value = pl.when(proposed.len() == 1).then(proposed.first())
    told = cells.sort("check_id").with_columns(sure=sure, doubt=doubt)
    verdicts = told.group_by("sample_id", "column").agg(
        detectors=pl.col("check_id").unique().sort(),
        dimension=pl.when((pl.col("dimension") == "missing").any())
        .then(pl.lit("missing"))
        .otherwise(
            pl.col("dimension").sort_by("sure", descending=True, maintain_order=True).first()
        ),
        confidence=(1 - (pl.col("doubt").sum() / _MICRO).exp()).round(4),
        suggestion=pl.when(blank & (proposed.len() == 0)).then(pl.lit("")).otherwise(value),
    )
    placed = verdicts.join(ids.select("sample_id", "uri", "row"), on="sample_id", how="left")
    return placed.select(pl.col(n).cast(t) for n, t in CELL_SCHEMA.items()).sort(
        "sample_id", "column"
    )


def mark_cells(
    verdicts: pl.DataFrame, learnt: pl.DataFrame, hints: pl.DataFrame, marks: pl.DataFrame,
    ids: pl.DataFrame,
) -> pl.DataFrame:  # fmt: skip
    """Return the verdicts with what a person's marks say of them.

    Args:
        verdicts: of `judge_cells`.
        learnt: sample_id, column, confidence as the marks give it, for every cell with a signal.
        hints: findings of checks with looser thresholds; their cells join if they are called wrong.
        marks: sample_id, column of each wrong cell; column is null for a row without one.
        ids: uri, row, sample_id.

    In a marked row the person's word stands: 1 for the cells that were named, 0 for the others.
    """
    key, seen = ["sample_id", "column"], marks.select("sample_id").unique()
    sure = learnt.select(*key, "confidence").join(seen, on="sample_id", how="anti")
    named = marks.drop_nulls("column").with_columns(confidence=pl.lit(1.0))
    new = pl.concat([sure.filter(pl.col("confidence") >= WRONG_MIN), named])
    added = new.join(verdicts, on=key, how="anti")
    told = judge_cells(hints.join(added, on=key, how="semi"), ids)
    bare = added.join(told, on=key, how="anti").join(ids, on="sample_id").select(
        "sample_id", "uri", "row", "column", detectors=pl.lit([], dtype=pl.List(pl.String)),
        dimension=pl.lit("incorrect"), confidence="confidence",
        suggestion=pl.lit(None, dtype=pl.String),
    )  # fmt: skip
    every = pl.concat([verdicts, told, bare]).join(
        pl.concat([sure, named]).rename({"confidence": "learnt"}), on=key, how="left"
    )
    marked = pl.col("sample_id").is_in(seen["sample_id"].implode())
    told_sure = pl.coalesce("learnt", pl.when(marked).then(0.0), "confidence")
    return every.with_columns(confidence=told_sure).select(list(CELL_SCHEMA)).sort(key)
