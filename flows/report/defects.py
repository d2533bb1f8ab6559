"""Recall and precision per kind of planted defect, when the truth is known."""

from __future__ import annotations

from typing import Any

import polars as pl

from flows.report.figures import plain, wilson

KEY = ["uri", "row"]


def score_defects(
    truth: pl.DataFrame, findings: pl.DataFrame, samples: pl.DataFrame
) -> list[dict[str, Any]]:
    """Return one row per planted kind of defect, the worst recall first.

    Args:
        truth: uri, row, defect, check_id (the check meant for it, alternatives comma separated);
            optional column, related_uri, related_row (the other member of a pair).
        findings: tables.Findings.
        samples: tables.Samples.

    Returns:
        defect, check_id, planted, found, recall with 95 % Wilson interval; flagged (samples, or
        cells where the truth names columns, flagged by the check anywhere), right (of those, how
        many hit a defect that the check is meant for, of any kind), precision with interval.

    A finding on either member of a pair finds the pair. A finding on a whole row finds a defect
    in one of its cells; a finding on another cell does not.
    """
    planted = _planted(truth, samples)
    places = _places(planted)
    checked = (
        findings.join(places, on="check_id", how="semi")
        .select("sample_id", "check_id", "suggestion", flagged_column="column")
        .with_row_index("finding")
    )
    hits = (
        _members(checked)
        .join(places, on=["sample_id", "check_id"])
        .filter(
            pl.col("column").is_null()
            | pl.col("flagged_column").is_null()
            | (pl.col("column") == pl.col("flagged_column"))
        )
    )
    right = hits.select("finding", "check_id").unique()
    rows = [
        _score(name[0], group, hits, right, checked)
        for name, group in planted.group_by("defect", maintain_order=True)
    ]
    return sorted(rows, key=lambda row: (row["recall"] or 0.0, row["defect"]))


def _members(checked: pl.DataFrame) -> pl.DataFrame:
    """Return each finding under its sample, and under the copy that it names as the kept one."""
    keep = ["finding", "check_id", "flagged_column"]
    own = checked.select("sample_id", *keep)
    return pl.concat([own, checked.select(pl.col("suggestion").alias("sample_id"), *keep)])


def _score(
    defect: object, group: pl.DataFrame, hits: pl.DataFrame, right: pl.DataFrame, all_: pl.DataFrame
) -> dict[str, Any]:
    ids = group["check_ids"].explode().unique().sort()
    mine = pl.col("check_id").is_in(ids.implode())
    found = hits.filter(pl.col("planted_id").is_in(group["planted_id"].implode()))
    found_count = found["planted_id"].n_unique()
    flagged, correct = all_.filter(mine).height, right.filter(mine).height
    recall, recall_low, recall_high = wilson(found_count, group.height)
    precision, precision_low, precision_high = wilson(correct, flagged)
    row = {
        "defect": str(defect), "check_id": ", ".join(ids.to_list()),
        "planted": group.height, "found": found_count,
        "recall": recall, "recall_low": recall_low, "recall_high": recall_high,
        "flagged": flagged, "right": correct,
        "precision": precision, "precision_low": precision_low, "precision_high": precision_high,
    }  # fmt: skip
    return dict(plain(row))


def _planted(truth: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Return one row per planted defect with sample_id, related_id and its list of checks."""
    optional = {"column": pl.String, "related_uri": pl.String, "related_row": pl.Int64}
    filled = truth.with_columns(
        *(pl.lit(None, dtype).alias(name) for name, dtype in optional.items() if name not in truth)
    )
    ids = samples.select(*KEY, "sample_id")
    alone = ids.filter(pl.len().over("uri") == 1).select("uri", pl.col("sample_id").alias("only"))
    paired = ids.select(
        pl.col("uri").alias("related_uri"),
        pl.col("row").alias("related_row"),
        pl.col("sample_id").alias("related_id"),
    )
    return (
        filled.filter(pl.col("check_id").is_not_null())
        .with_columns(
            pl.col("row").cast(pl.Int64).fill_null(0),
            pl.col("related_row").cast(pl.Int64),
            check_ids=pl.col("check_id").str.split(",").list.eval(pl.element().str.strip_chars()),
        )
        .sort("defect", *KEY, "column")
        .with_row_index("planted_id")
        .join(ids, on=KEY, how="left", maintain_order="left")
        .join(paired, on=["related_uri", "related_row"], how="left", maintain_order="left")
        .join(alone, left_on="related_uri", right_on="uri", how="left", maintain_order="left")
        .with_columns(related_id=pl.coalesce("related_id", "only"))
    )


def _places(planted: pl.DataFrame) -> pl.DataFrame:
    """Return every (sample_id, check_id) at which a finding finds a planted defect."""
    keep = ["planted_id", "column", "check_ids"]
    own = planted.select("sample_id", *keep)
    other = planted.select(pl.col("related_id").alias("sample_id"), *keep)
    both = pl.concat([own, other]).filter(pl.col("sample_id").is_not_null())
    return both.explode("check_ids").rename({"check_ids": "check_id"}).unique()
