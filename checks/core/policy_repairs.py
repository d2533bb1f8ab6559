"""What may be changed instead of taken out: cells with one proposal, labels with two witnesses."""

from __future__ import annotations

import polars as pl

REPAIRS = {
    "sample_id": pl.String,
    "column": pl.String,
    "check_id": pl.String,
    "before": pl.String,
    "after": pl.String,
}
VOUCHES = ("drop", "relabel")
MISSING = ""  # the proposal that a cell be missing


def propose_repairs(asked: pl.DataFrame, *, wanted: bool = True) -> pl.DataFrame:
    """Return the cells for which all checks propose one and the same value (tables.Repairs).

    Args:
        asked: findings with the column `asks`, the action that each check asks for.
        wanted: only cells that at least one check asks to repair; False takes every proposal,
            which is what a person means who accepts them.

    A cell with two different proposals is left out, whatever actions their checks ask for. An
    empty proposal, that the cell be missing, gives way to a value; alone, `after` is null.
    `before` is null: findings do not carry the cell, whoever reads the source fills it in.
    """
    values = pl.col("suggestion").filter(pl.col("suggestion") != MISSING)
    cells = asked.filter(pl.col("column").is_not_null() & pl.col("suggestion").is_not_null())
    agreed = cells.group_by("sample_id", "column").agg(
        pl.col("check_id").min(),
        values.min().alias("after"),
        (values.n_unique() <= 1).alias("one"),
        (pl.col("asks") == "repair").any().alias("asked"),
    )
    kept = agreed.filter(pl.col("one") & (pl.col("asked") | (not wanted)))
    rows = kept.with_columns(pl.lit(None, pl.String).alias("before")).select(*REPAIRS)
    return rows.sort("sample_id", "column")


def agree_on_labels(asked: pl.DataFrame, scores: pl.DataFrame, prob_min: float) -> pl.DataFrame:
    """Return sample_id, new_label where two different checks propose one and the same label.

    At least one of them must ask to drop or relabel, and the scores must give the label a
    `suggestion_prob` of at least `prob_min`: where nobody knows how probable it is, nothing is
    relabelled. A third check that proposes another label forbids it, as a `suggestion` of the
    scores does.

    Source: house rule: act only where two detectors or a person agree; own measurement: a weak
    model that relabels by itself wrecks the worst class.
    """
    votes = asked.filter(
        (pl.col("dimension") == "incorrect")
        & pl.col("column").is_null()
        & pl.col("suggestion").is_not_null()
    )
    agreed = votes.group_by("sample_id").agg(
        pl.col("suggestion").min().alias("new_label"),
        pl.col("label").first(),
        pl.col("asks").is_in(VOUCHES).any().alias("vouched"),
        (pl.col("suggestion").n_unique() == 1).alias("one"),
        (pl.col("check_id").n_unique() > 1).alias("two"),
    )
    sure = agreed.filter(
        pl.col("one") & pl.col("two") & pl.col("vouched")
        & pl.col("new_label").ne_missing(pl.col("label"))
    )  # fmt: skip
    if "suggestion_prob" not in scores.columns:
        return sure.head(0).select("sample_id", "new_label")
    named = pl.col("suggestion") if "suggestion" in scores.columns else pl.lit(None)
    prob = pl.col("suggestion_prob").cast(pl.Float64).fill_nan(None)
    told = scores.select("sample_id", prob, named=named.cast(pl.String))
    same = pl.col("named").is_null() | (pl.col("named") == pl.col("new_label"))
    sure = sure.join(told, on="sample_id", how="left")
    sure = sure.filter(same & (pl.col("suggestion_prob").round(6) >= prob_min))
    return sure.select("sample_id", "new_label").sort("sample_id")
