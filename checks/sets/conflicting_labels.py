"""Copies that carry different labels: at least one of them is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.label_spelling import count_labels, match_spellings
from checks.sets.copies import Copies, Rule, find_copies

A = "a" * 32


def _copies(labels: Sequence[str]) -> dict[str, dict[str, list[object]]]:
    """Copies of one content with these labels."""
    count = len(labels)
    return {"samples": {
        "sample_id": [f"{A}-{at}" for at in range(count)], "split": ["train"] * count,
        "label": list(labels), "xxh3_128": [A] * count, "byte_size": [9] * count,
    }}  # fmt: skip


@set_check(
    needs=("samples", "metrics?"),
    dimension="incorrect",
    severity="error",
    action="down_weight",
    bits64_max=6,
    bits256_max=40,
    bits256_small=16,
    ac_std_min=4.0,
    examples=(
        SetExample(_copies("xxy"), frozenset({f"{A}-2"})),
        SetExample(_copies("xy"), frozenset({f"{A}-0", f"{A}-1"})),
        SetExample(_copies("xx"), frozenset()),
        SetExample(_copies(["<=50K"] * 12 + ["<=50K."]), frozenset()),
    ),
)
def conflicting_labels(
    tables: Mapping[str, pl.LazyFrame], *, bits64_max: int, bits256_max: int,
    bits256_small: int, ac_std_min: float,
) -> Judged:  # fmt: skip
    """Flag copies whose labels contradict each other, over all splits.

    Where more than half of the exact copies agree, only the others are flagged, and that label is
    proposed. Near copies, and equal rows of a table, may differ with reason: a warning. Two
    spellings of one label are no contradiction: `label_spelling` tells them.

    Why: two labels for one picture cap the accuracy that can be reached or measured.
    Source: imgcheck 0.2.1 (cross-label duplicates); distances as in `near_duplicate`.
    """
    copies = find_copies(tables, Rule(bits64_max, bits256_max, bits256_small, ac_std_min))
    matched = match_spellings(*count_labels(copies.ranked))
    ranked = copies.ranked.with_columns(pl.col("label").replace(matched))
    copies = replace(copies, ranked=ranked)
    pictures = ranked["phash64"].is_not_null().any() or ranked["pixel_digest"].is_not_null().any()
    exact = _judge_exact(ranked.drop_nulls("label"), "error" if pictures else "warning")
    near = _judge_near(copies).join(exact, on="sample_id", how="anti")
    return Judged(pl.concat([exact, near]).sort("sample_id"), facts=copies.facts)


def _judge_exact(labelled: pl.DataFrame, severity: str) -> pl.DataFrame:
    size, votes = pl.len().over("content"), pl.len().over("content", "label")
    groups = labelled.with_columns(
        classes=pl.col("label").n_unique().over("content"), size=size, votes=votes
    ).filter(pl.col("classes") > 1)
    leads = pl.col("votes") * 2 > pl.col("size")
    winner = pl.col("label").filter(leads).min().over("content")
    flagged = groups.with_columns(suggestion=winner).filter(~leads)
    evidence = pl.format("labelled '{}'; the {} copies of this content carry {} labels", "label",
                         "size", "classes")  # fmt: skip
    return flagged.select(
        "sample_id", pl.col("classes").cast(pl.Float64).alias("value"),
        pl.lit(severity).alias("severity"), evidence.alias("evidence"), "suggestion",
    )  # fmt: skip


def _judge_near(copies: Copies) -> pl.DataFrame:
    """Both sides of near pairs that disagree, each with its closest contradiction."""
    labelled = copies.ranked.drop_nulls("label")
    mine = labelled.unique("content", keep="first", maintain_order=True).select(
        "sample_id", "label", "content", "look"
    )
    theirs = labelled.unique(["look", "label"], keep="first", maintain_order=True).select(
        "look", other="sample_id", label_of_other="label", content_of_other="content"
    )
    pairs = copies.pairs.select("bits256", look="left", near="right")
    own = mine.select("look").unique().select(pl.lit(0, pl.Int64).alias("bits256"), "look",
                                              near="look")  # fmt: skip
    told = (
        mine.join(pl.concat([own, pairs]), on="look")
        .join(theirs, left_on="near", right_on="look")
        .filter(
            pl.col("label") != pl.col("label_of_other"),
            pl.col("content") != pl.col("content_of_other"),
        )
    )
    closest = told.sort("sample_id", "bits256", "other").unique(
        "sample_id", keep="first", maintain_order=True
    )
    evidence = pl.format("labelled '{}', but '{}' on the near copy {} ({} of 256 bits differ)",
                         "label", "label_of_other", "other", "bits256")  # fmt: skip
    return closest.select(
        "sample_id", pl.lit(2.0).alias("value"), pl.lit("warning").alias("severity"),
        evidence.alias("evidence"), pl.lit(None, pl.String).alias("suggestion"),
    )  # fmt: skip
