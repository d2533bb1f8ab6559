"""What the policy would take out or relabel if there were no caps, and how sure each one is."""

from __future__ import annotations

import polars as pl

from checks.core.policy_pairs import pick_spare
from checks.core.policy_repairs import agree_on_labels
from checks.core.words import SEVERITIES

EXACT, SUSPICION = "exact_duplicate", "label_suspicion"


def gather_candidates(
    base: pl.DataFrame, asked: pl.DataFrame, scores: pl.DataFrame, prob_min: float,
    ambiguous: pl.DataFrame,
) -> pl.DataFrame:  # fmt: skip
    """Return one row for each train sample that should go or change its label.

    Of copies the keeper that their check names stays, unless it has a reason of its own to go or
    another label is proposed for it: then the first copy without such a doubt stays.

    Args:
        base: one row for each sample with `free` (the policy may act on it) and `out` (gone
            anyway: quarantined, or dropped by a person).
        asked: findings with `asks`, what their checks ask for.
        scores: see `checks.core.policy.decide`.
        prob_min: least `suggestion_prob` for a new label, 0..1.
        ambiguous: sample_id of labels that are plausible all the same: no reason to go or change.

    Returns:
        sample_id, class_name, removes (False: relabelled), new_label, rank (0 exact copies and
        leaks, 1 label errors, 2 others), suspicion (label errors only), severity_rank (0 error).
    """
    free = base.filter("free").select("sample_id", "class_name")
    usable = asked.join(free, on="sample_id", how="semi")
    spared = (_name_kind() == "label") & pl.col("sample_id").is_in(ambiguous["sample_id"].implode())
    usable = usable.filter(~spared)
    drops = usable.filter(pl.col("asks") == "drop").with_columns(kind=_name_kind())
    labels = agree_on_labels(usable, scores, prob_min)
    labels = labels.join(drops.filter(pl.col("kind") == "other"), on="sample_id", how="anti")
    own = drops.filter(pl.col("kind") != "copy").select("sample_id").unique()
    own = own.join(labels, on="sample_id", how="anti")
    spare = _spare_copies(base, asked, drops, own)
    labels = labels.join(spare, on="sample_id", how="anti")
    going = pl.concat([own, spare]).with_columns(
        new_label=pl.lit(None, pl.String), removes=pl.lit(value=True)
    )
    chosen = pl.concat([going, labels.with_columns(removes=pl.lit(value=False))])
    counts = (pl.col("kind") != "copy") | pl.col("sample_id").is_in(spare["sample_id"].implode())
    return _rank(chosen, drops.filter(counts), scores).join(free, on="sample_id", how="left")


def _name_kind() -> pl.Expr:
    label_error = (pl.col("dimension") == "incorrect") & pl.col("column").is_null()
    copy = pl.when(pl.col("dimension") == "duplicate").then(pl.lit("copy"))
    return copy.when(label_error).then(pl.lit("label")).otherwise(pl.lit("other"))


def _spare_copies(
    base: pl.DataFrame, asked: pl.DataFrame, drops: pl.DataFrame, own: pl.DataFrame
) -> pl.DataFrame:
    links = asked.filter(
        (pl.col("dimension") == "duplicate")
        & (pl.col("asks") == "drop")
        & pl.col("suggestion").is_not_null()
    ).select("sample_id", "suggestion")
    stays = base.filter(~pl.col("out")).join(own, on="sample_id", how="anti")
    copies = drops.filter(pl.col("kind") == "copy")["sample_id"].implode()
    doubted = asked.filter(
        (pl.col("dimension") == "incorrect")
        & pl.col("column").is_null()
        & (pl.col("suggestion") != pl.col("label"))
    )["sample_id"].implode()
    doubt = pl.col("sample_id").is_in(doubted)
    leads = doubt & pl.col("sample_id").is_in(links["suggestion"].implode())
    movable = stays.filter("free").filter(pl.col("sample_id").is_in(copies) | leads)
    movable = movable.sort(doubt, "uri", "row", "sample_id")
    spare = pick_spare(links.rows(), movable["sample_id"].to_list(), stays["sample_id"].to_list())
    return pl.DataFrame({"sample_id": sorted(spare)}, schema={"sample_id": pl.String})


def _rank(chosen: pl.DataFrame, drops: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    exact = (pl.col("check_id") == EXACT) | (pl.col("dimension") == "leak")
    rank = pl.when(exact).then(0).when(pl.col("kind") == "label").then(1).otherwise(2)
    severity = pl.col("severity").replace_strict(
        list(reversed(SEVERITIES)), range(len(SEVERITIES)), return_dtype=pl.Int64
    )
    reasons = drops.group_by("sample_id").agg(
        rank=rank.min().cast(pl.Int64), severity_rank=severity.min()
    )
    ranked = chosen.join(reasons, on="sample_id", how="left").with_columns(
        pl.when("removes").then(pl.col("rank").fill_null(0)).otherwise(1).alias("rank"),
        pl.col("severity_rank").fill_null(0),
    )
    if SUSPICION not in scores.columns:
        return ranked.with_columns(suspicion=pl.lit(None, pl.Float64))
    order = scores.select("sample_id", suspicion=pl.col(SUSPICION).cast(pl.Float64).fill_nan(None))
    joined = ranked.join(order, on="sample_id", how="left")
    return joined.with_columns(suspicion=pl.when(pl.col("rank") == 1).then("suspicion"))
