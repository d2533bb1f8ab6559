"""Groups of duplicates and leaks: the member that is kept beside those that are its copies."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from flows.report.conflicts import pair_conflicts

GROUPS_MAX = 12
EARLY_MAX = 4  # groups of each kind that are shown before any kind shows more
MEMBERS_MAX = 8
GONE = ("dropped", "quarantined")
NONE: dict[str, Any] = {"groups": [], "total": 0, "more": 0}
FACTS = {"width_px": pl.Int64, "height_px": pl.Int64, "format": pl.String,
         "jpeg_quality": pl.Int64, "pixel_digest": pl.String}  # fmt: skip
# the words of checks.metrics.turns.TURNS, which would load numba here
_TURN = re.compile(
    r"mirrored left to right|mirrored top to bottom|turned by \d+ degrees(?: to the \w+)?"
    r"|transposed(?: the other way)?"
)


def group_duplicates(
    findings: pl.DataFrame | None,
    samples: pl.DataFrame | None,
    decisions: pl.DataFrame | None,
    metrics: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """Return groups around a sample that is kept; leaks, then label conflicts, then the largest.

    A group whose first member was taken out is turned around, so that one that survived stands
    first; where none did, the one that its check names.

    Returns:
        groups [{check_ids, crosses_splits, labels_differ, size, more, members [{sample_id, uri,
        row, split, label, role, outcome, value, byte_size, width_px, height_px, format,
        jpeg_quality, differs}]}] (keeper first), total, more (groups not shown). value: differing
        bits of 256, null for copies of the same content. differs: in what a copy differs from the
        keeper, in words.
    """
    if findings is None or samples is None:
        return NONE
    told = _join_facts(samples, metrics)
    pairs = (
        findings.filter(pl.col("dimension").is_in(["duplicate", "leak"]))
        .filter(pl.col("suggestion") != pl.col("sample_id"))
        .join(told.select(suggestion="sample_id"), on="suggestion", how="semi")
        .select(
            "sample_id",
            "check_id",
            "evidence",
            keeper="suggestion",
            # a threshold says that the value is a distance; exact copies carry their number
            value=pl.when(pl.col("threshold").is_not_null()).then("value"),
        )
        .select("sample_id", "check_id", "evidence", "keeper", "value")
    )
    kept = set(pairs["keeper"])
    pairs = pl.concat([pairs, pair_conflicts(findings, told, pairs)])
    if pairs.is_empty():
        return NONE
    pairs = _begin_with_survivors(pairs, told, decisions)
    ranked = _rank(pairs, told)
    shown = _choose(ranked)
    members = _list_members(pairs.join(shown, on="keeper", how="semi"), told, decisions, kept)
    groups = [
        _describe(row, members.filter(pl.col("keeper") == row["keeper"]))
        for row in shown.rows(named=True)
    ]
    return {"groups": groups, "total": ranked.height, "more": ranked.height - shown.height}


def _begin_with_survivors(
    pairs: pl.DataFrame, told: pl.DataFrame, decisions: pl.DataFrame | None
) -> pl.DataFrame:
    """Return pairs of which those whose keeper is gone stand around a copy that is not, if any.

    What was told of a copy was told beside its old keeper; of the new one only the bits between the
    two are known, but not the turn, which is the other way around.
    """
    if decisions is None:
        return pairs
    gone = decisions.filter(pl.col("outcome").is_in(GONE)).select("sample_id")
    lost = pairs.join(gone, left_on="keeper", right_on="sample_id", how="semi")
    heirs = (
        lost.join(gone, on="sample_id", how="anti")
        .join(told.select("sample_id", "uri", "row"), on="sample_id")
        .sort("keeper", "uri", "row")
        .unique("keeper", keep="first", maintain_order=True)
        .select("keeper", heir="sample_id")
    )
    if heirs.is_empty():
        return pairs
    unknown = pl.lit(None, pl.Float64)
    turned = lost.join(heirs, on="keeper").with_columns(
        evidence=pl.lit(""),
        value=pl.when(pl.col("sample_id") == pl.col("heir")).then("value").otherwise(unknown),
        sample_id=pl.when(pl.col("sample_id") == pl.col("heir"))
        .then("keeper").otherwise("sample_id"),
        keeper="heir",
    )  # fmt: skip
    kept = pairs.join(heirs, on="keeper", how="anti")
    return pl.concat([kept, turned.select(pairs.columns)])


def _join_facts(samples: pl.DataFrame, metrics: pl.DataFrame | None) -> pl.DataFrame:
    told = samples.select("sample_id", "uri", "row", "split", "label", "byte_size", "xxh3_128")
    known = pl.DataFrame(schema={"sample_id": pl.String}) if metrics is None else metrics
    absent = [pl.lit(None, dtype).alias(k) for k, dtype in FACTS.items() if k not in known.columns]
    facts = known.with_columns(*absent).select("sample_id", *FACTS)
    return told.join(facts, on="sample_id", how="left", maintain_order="left")


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


def _choose(ranked: pl.DataFrame) -> pl.DataFrame:
    """Return the groups to show, in their order: each kind is seen before one fills the page."""
    kind = ["crosses_splits", "labels_differ"]
    placed = ranked.with_row_index("at").with_columns(nth=pl.int_range(pl.len()).over(kind))
    early = placed.sort(pl.col("nth") >= EARLY_MAX, "at").head(GROUPS_MAX)
    return early.sort("at").drop("at", "nth")


def _list_members(
    pairs: pl.DataFrame,
    samples: pl.DataFrame,
    decisions: pl.DataFrame | None,
    kept: set[str],
) -> pl.DataFrame:
    """Return the members of groups, survivors first: keeper, role, value and what is known of each.

    The one that stands first is the `keeper` if a check or the decisions say that it alone stays;
    where labels contradict each other and nothing says so, or where it is gone too, it is `first`.
    """
    copies = pairs.group_by("keeper", "sample_id").agg(
        pl.col("value").min(), pl.col("evidence").sort().str.join("; ")
    )
    keepers = copies.select("keeper").unique().select("keeper", sample_id="keeper")
    members = pl.concat([keepers, copies], how="diagonal").join(samples, on="sample_id", how="left")
    if decisions is None:
        members = members.with_columns(outcome=pl.lit(None, pl.String))
    else:
        outcome = decisions.select("sample_id", "outcome")
        members = members.join(outcome, on="sample_id", how="left")
    members = members.unique(["keeper", "sample_id"], keep="first").with_columns(
        gone=pl.col("outcome").is_in(GONE).fill_null(value=False)
    )
    alone = (~pl.col("gone")).sum().over("keeper") == 1
    role = (
        pl.when(pl.col("sample_id") != pl.col("keeper"))
        .then(pl.lit("copy"))
        .when(~pl.col("gone") & (pl.col("sample_id").is_in(list(kept)) | alone))
        .then(pl.lit("keeper"))
        .otherwise(pl.lit("first"))
    )
    ordered = members.with_columns(role=role).sort(pl.col("role") == "copy", "gone", "uri", "row")
    return ordered.drop("gone")


def _describe(row: dict[str, Any], members: pl.DataFrame) -> dict[str, Any]:
    shown = members.drop("keeper").head(MEMBERS_MAX).rows(named=True)
    for one in shown:
        one["differs"] = _tell_difference(one, shown[0]) if one["role"] == "copy" else []
    hidden = ("evidence", "xxh3_128", "pixel_digest")
    kept = [{key: value for key, value in one.items() if key not in hidden} for one in shown]
    facts = {key: value for key, value in row.items() if key != "keeper"}
    return {**facts, "more": max(0, members.height - MEMBERS_MAX), "members": kept}


def _tell_difference(copy: dict[str, Any], keeper: dict[str, Any]) -> list[str]:
    """Return in what a copy differs from its keeper, the most telling first."""
    if copy["xxh3_128"] == keeper["xxh3_128"]:
        said = ["the same bytes"]
    elif copy["pixel_digest"] is not None and copy["pixel_digest"] == keeper["pixel_digest"]:
        said = ["the same pixels"]
    else:
        turn = _TURN.search(copy["evidence"] or "")
        said = [turn.group()] if turn else []
        said += [] if copy["value"] is None else [f"{copy['value']:.0f} of 256 bits"]
    size = ("width_px", "height_px")
    if copy["width_px"] is not None and any(copy[end] != keeper[end] for end in size):
        said.append(f"{copy['width_px']} \u00d7 {copy['height_px']} px")
    if copy["format"] is not None and copy["format"] != keeper["format"]:
        said.append(str(copy["format"]))
    quality = copy["jpeg_quality"]
    if quality is not None and quality != keeper["jpeg_quality"]:
        said.append(f"JPEG quality {quality}")
    return said
