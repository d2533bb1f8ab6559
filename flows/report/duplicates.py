"""Groups of duplicates and leaks: the member that is kept beside those that are its copies."""

from __future__ import annotations

from typing import Any

import polars as pl

GROUPS_MAX = 12
MEMBERS_MAX = 8
NONE: dict[str, Any] = {"groups": [], "total": 0, "more": 0}


def group_duplicates(
    findings: pl.DataFrame | None, samples: pl.DataFrame | None, decisions: pl.DataFrame | None
) -> dict[str, Any]:
    """Return groups around the sample that is kept; across splits first, then the largest.

    Returns:
        groups [{check_ids, crosses_splits, labels_differ, size, more, members [{sample_id, uri,
        row, split, label, role, outcome, value}]}] (keeper first), total, more (groups not shown).
    """
    if findings is None or samples is None:
        return NONE
    told = samples.select("sample_id", "uri", "row", "split", "label")
    pairs = (
        findings.filter(pl.col("dimension").is_in(["duplicate", "leak"]))
        .filter(pl.col("suggestion") != pl.col("sample_id"))
        .join(told.select(suggestion="sample_id"), on="suggestion", how="semi")
        .select("sample_id", "check_id", "value", keeper="suggestion")
    )
    if pairs.is_empty():
        return NONE
    ranked = _rank(pairs, told)
    shown = ranked.head(GROUPS_MAX)
    members = _list_members(pairs.join(shown, on="keeper", how="semi"), told, decisions)
    groups = [
        _describe(row, members.filter(pl.col("keeper") == row["keeper"]))
        for row in shown.rows(named=True)
    ]
    return {"groups": groups, "total": ranked.height, "more": ranked.height - shown.height}


def _rank(pairs: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Return keeper, check_ids, crosses_splits, labels_differ and size, the worst group first."""
    copies = pairs.select("keeper", "sample_id", "check_id")
    keepers = copies.select("keeper").unique().select("keeper", sample_id="keeper")
    both = pl.concat([copies, keepers], how="diagonal").join(samples, on="sample_id", how="left")
    return (
        both.group_by("keeper")
        .agg(
            pl.col("check_id").drop_nulls().unique().sort().alias("check_ids"),
            (pl.col("split").n_unique() > 1).alias("crosses_splits"),
            (pl.col("label").drop_nulls().n_unique() > 1).alias("labels_differ"),
            pl.col("sample_id").n_unique().alias("size"),
        )
        .sort(
            "crosses_splits", "labels_differ", "size", "keeper",
            descending=[True, True, True, False],
        )
    )  # fmt: skip


def _list_members(
    pairs: pl.DataFrame, samples: pl.DataFrame, decisions: pl.DataFrame | None
) -> pl.DataFrame:
    """Return the members of groups: keeper, role, value and what is known of the sample."""
    copies = pairs.group_by("keeper", "sample_id").agg(pl.col("value").min())
    keepers = copies.select("keeper").unique().select("keeper", sample_id="keeper")
    members = pl.concat([keepers, copies], how="diagonal").join(samples, on="sample_id", how="left")
    if decisions is None:
        members = members.with_columns(outcome=pl.lit(None, pl.String))
    else:
        outcome = decisions.select("sample_id", "outcome")
        members = members.join(outcome, on="sample_id", how="left")
    kept = pl.col("sample_id") == pl.col("keeper")
    role = pl.when(kept).then(pl.lit("keeper")).otherwise(pl.lit("copy"))
    ordered = members.with_columns(role=role).unique(["keeper", "sample_id"], keep="first")
    return ordered.sort(pl.col("role") == "copy", "uri", "row")


def _describe(row: dict[str, Any], members: pl.DataFrame) -> dict[str, Any]:
    shown = members.drop("keeper").head(MEMBERS_MAX).rows(named=True)
    facts = {key: value for key, value in row.items() if key != "keeper"}
    return {**facts, "more": max(0, members.height - MEMBERS_MAX), "members": shown}
