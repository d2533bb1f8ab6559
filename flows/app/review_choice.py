"""Which labels a person should look at, the most valuable first, and by what chance each is asked.

Flags alone would tell nothing of the wrong labels that nobody flagged: a thin random draw of the
others is asked about too, so that verdicts can be weighed by the chance that each had.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from checks.core.policy_ambiguous import mark_ambiguous

FLAGGED, AMBIGUOUS, BORDERLINE, RANDOM = "flagged", "ambiguous", "borderline", "random"
BORDER_FRAC, RANDOM_FRAC = 0.2, 0.2
TOLD = {"suggestion": pl.String, "suspicion": pl.Float64, "evidence": pl.String}


def choose_samples(
    samples: pl.DataFrame, findings: pl.DataFrame, scores: pl.DataFrame, *,
    count: int, seed: int = 0, done: pl.DataFrame | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Return at most `count` labels to be reviewed: flagged ones, then borderline, then random.

    Args:
        samples: tables.Samples; those without a label are not asked about.
        findings: tables.Findings; flagged are labels that some check doubts, in every split.
        scores: sample_id, and as far as they are there `label_suspicion` (0..1) and what
            `mark_ambiguous` reads.
        count: a fifth of it is drawn at random, a fifth is kept for ambiguous and other labels
            just below the cut, the rest is flagged: the surest half for certain, the other half at
            random. What flags do not need goes to the cut.
        seed: of the draws.
        done: sample_id of those that need not be asked about again.

    Returns:
        sample_id, reason, drawn_prob (0..1, the chance of being asked), suggestion, suspicion,
        evidence; in the order in which they are worth looking at.
    """
    told = _tell(samples, findings, scores)
    if done is not None:
        told = told.join(done, on="sample_id", how="anti")
    surest = ["suspicion", "sample_id"]
    flagged = told.filter("flagged").sort(surest, descending=[True, False], nulls_last=True)
    others = told.filter(~pl.col("flagged")).sort(
        "ambiguous", *surest, descending=[True, True, False], nulls_last=True
    )
    drawn = min(round(count * RANDOM_FRAC), others.height)
    border = min(round(count * BORDER_FRAC), others.height - drawn)
    own = min(count - drawn - border, flagged.height)
    border = min(count - drawn - own, others.height - drawn)
    sure = own if own == flagged.height else (own + 1) // 2
    parts = [
        _mark(flagged.head(sure), FLAGGED, 1.0),
        _draw(flagged.slice(sure), own - sure, FLAGGED, seed),
        _mark(others.head(border), None, 1.0),
        _draw(others.slice(border), drawn, RANDOM, seed + 1),
    ]
    return pl.concat(parts).select("sample_id", "reason", "drawn_prob", *TOLD)


def _tell(samples: pl.DataFrame, findings: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """One row for each labelled sample: flagged, ambiguous, suggestion, suspicion, evidence."""
    about_label = (pl.col("dimension") == "incorrect") & pl.col("column").is_null()
    doubts = findings.filter(about_label).sort("sample_id", "check_id")
    found = doubts.group_by("sample_id", maintain_order=True).agg(
        found=pl.col("suggestion").drop_nulls().first(), evidence=pl.col("evidence").str.join("; ")
    )
    marks = mark_ambiguous(samples, scores).with_columns(ambiguous=True)
    held = scores.select(
        "sample_id",
        _column(scores, "label_suspicion", pl.Float64).alias("suspicion"),
        _column(scores, "suggestion", pl.String).alias("scored"),
    )
    labelled = samples.filter(pl.col("label").is_not_null()).select("sample_id", "label")
    joined = labelled.join(found, on="sample_id", how="left")
    joined = joined.join(marks, on="sample_id", how="left").join(held, on="sample_id", how="left")
    return joined.with_columns(
        pl.col("ambiguous").fill_null(value=False),
        pl.col("suspicion").fill_nan(None),
        flagged=pl.col("evidence").is_not_null(),
        suggestion=pl.coalesce("found", "scored"),
    ).sort("sample_id")


def _column(scores: pl.DataFrame, name: str, kind: type[pl.DataType]) -> pl.Expr:
    return (pl.col(name) if name in scores.columns else pl.lit(None)).cast(kind)


def _mark(rows: pl.DataFrame, reason: str | None, chance: float) -> pl.DataFrame:
    """Add why and by what chance a row is asked about; None: by whether it is ambiguous."""
    named = pl.when("ambiguous").then(pl.lit(AMBIGUOUS)).otherwise(pl.lit(BORDERLINE))
    return rows.with_columns(
        reason=pl.lit(reason) if reason else named, drawn_prob=pl.lit(chance, pl.Float64)
    )


def _draw(rows: pl.DataFrame, count: int, reason: str, seed: int) -> pl.DataFrame:
    """Return `count` of the rows, each equally likely, in their order."""
    at = np.sort(np.random.default_rng(seed).permutation(rows.height)[:count])
    return _mark(rows[at.tolist()], reason, count / rows.height if rows.height else 1.0)
