"""Which findings of a check are shown: the worst ones, and those nearest to the threshold."""

from __future__ import annotations

from typing import Any

import polars as pl

from checks.core.words import SEVERITIES

EXAMPLES_MAX = 12
EDGE_SHARE = 3
FACTS = ("width_px", "height_px", "format", "jpeg_quality")
RANKED = pl.Schema({
    "sample_id": pl.String(), "metric": pl.String(), "measured": pl.Float64(),
    "deviations": pl.Float64(), "kind": pl.String(), "beyond": pl.Float64(),
})  # fmt: skip


def choose_examples(
    findings: pl.DataFrame,
    samples: pl.DataFrame,
    outcome: pl.DataFrame,
    *,
    limit: int = EXAMPLES_MAX,
    ranked: pl.DataFrame | None = None,
    metrics: pl.DataFrame | None = None,
    edge: bool = False,
) -> list[dict[str, Any]]:
    """Return the findings to show of one check, the most extreme first.

    Args:
        findings: tables.Findings of one check.
        samples: tables.Samples.
        outcome: sample_id, outcome, action, decided_by.
        limit: most examples.
        ranked: from `measure_check`, for pictures; None takes those farthest past their
            threshold.
        metrics: for the size of the original.
        edge: whether a third of them are the least extreme ones: a threshold is judged there.
    """
    ordered = _rank(findings, ranked)
    edges = limit // EDGE_SHARE if edge and ordered.height > limit - limit // EDGE_SHARE else 0
    worst = min(limit, ordered.height) - edges
    # whatever their severity: findings of one check may be severe by another number than this
    least = ordered.drop_nulls("beyond").sort("beyond", descending=True, maintain_order=True)
    least = least.tail(edges)
    chosen = pl.concat([
        ordered.join(least, on=["sample_id", "column"], how="anti", nulls_equal=True)
        .head(worst)
        .with_columns(edge=pl.lit(value=False)),
        least.with_columns(edge=pl.lit(value=True)),
    ])  # fmt: skip
    told = chosen.join(
        samples.select("sample_id", "uri", "row", "label", "split", "byte_size"),
        on="sample_id", how="left", maintain_order="left",
    ).join(outcome, on="sample_id", how="left", maintain_order="left")  # fmt: skip
    keep = [
        "sample_id", "uri", "row", "split", "label", "column", "severity", "value", "threshold",
        "evidence", "suggestion", "outcome", "action", "decided_by",
    ]  # fmt: skip
    if ranked is not None:
        told = told.join(_facts(metrics), on="sample_id", how="left", maintain_order="left")
        keep += ["edge", "metric", "measured", "deviations", "kind", "byte_size", *FACTS]
    return told.select(keep).rows(named=True)


def _rank(findings: pl.DataFrame, ranked: pl.DataFrame | None) -> pl.DataFrame:
    """Return findings with rank and beyond, worst first; ties in the order of their ids."""
    rank = pl.col("severity").replace_strict(
        {name: i for i, name in enumerate(SEVERITIES)}, return_dtype=pl.Int64
    )
    if ranked is None:
        distance = (pl.col("value") - pl.col("threshold").fill_null(0.0)).abs().fill_nan(None)
        told = findings.with_columns(beyond=distance)
    else:
        once = ranked.unique("sample_id", keep="first", maintain_order=True)
        told = findings.join(once.cast(dict(RANKED)), on="sample_id", how="left")  # type: ignore[arg-type]
    return told.with_columns(rank=rank).sort(
        "rank", "beyond", "sample_id", "column",
        descending=[True, True, False, False], nulls_last=True,
    )  # fmt: skip


def _facts(metrics: pl.DataFrame | None) -> pl.DataFrame:
    """Return sample_id and what is told of an original; null where it was not measured."""
    frame = pl.DataFrame(schema={"sample_id": pl.String}) if metrics is None else metrics
    absent = [pl.lit(None).alias(name) for name in FACTS if name not in frame.columns]
    return frame.with_columns(*absent).select("sample_id", *FACTS)
