"""Where each sample ended: conservation, what was taken out and by which check, class balance."""

from __future__ import annotations

from typing import Any

import polars as pl

from checks.core.words import OUTCOMES, SPLITS

CLASSES_MAX = 40
FATES = ("dropped", "quarantined", "repaired", "down_weighted")
BY_PERSON = "by_person"
ORDER = (*FATES, "review", "kept", BY_PERSON)
PERSON = "a person\u2019s verdict"
OF_PEOPLE = ~pl.col("decided_by").str.starts_with("policy")
FATE = (
    pl.when(pl.col("outcome") != "kept")
    .then("outcome")
    .when((pl.col("action") == "down_weight") | (pl.col("weight") < 1))
    .then(pl.lit("down_weighted"))
    .when(pl.col("action") == "review")
    .then(pl.lit("review"))
    .otherwise(pl.lit("kept"))
    .alias("fate")
)


def sum_ledger(
    samples: pl.DataFrame | None, decisions: pl.DataFrame | None, repairs: pl.DataFrame | None
) -> dict[str, Any] | None:
    """Return the conservation line: inputs = kept + dropped + repaired + quarantined.

    held_out_by_people: how many samples of val and test people changed or took out, by split.
    """
    if samples is None or decisions is None:
        return None
    counts = dict(decisions.group_by("outcome").len().rows())
    outcomes = {name: counts.get(name, 0) for name in OUTCOMES}
    fates = dict(decisions.select(FATE).group_by("fate").len().rows())
    people = decisions.filter(OF_PEOPLE)
    strangers = decisions.join(samples, on="sample_id", how="anti")
    return {
        "inputs": samples.height,
        **outcomes,
        "holds": strangers.is_empty() and samples.height == sum(outcomes.values()),
        "down_weighted": fates.get("down_weighted", 0),
        "review": fates.get("review", 0),
        "relabelled": decisions.filter(pl.col("new_label").is_not_null()).height,
        "repaired_cells": 0 if repairs is None else repairs.height,
        "decided_by_people": people.height,
        "held_out_by_people": _count_held_out(samples, people),
        "splits": _by_split(samples, decisions),
    }


def _count_held_out(samples: pl.DataFrame, people: pl.DataFrame) -> dict[str, int]:
    held = samples.filter(pl.col("split").is_in(["val", "test"])).select("sample_id", "split")
    changed = people.filter(pl.col("outcome") != "kept").join(held, on="sample_id")
    return dict(changed.group_by("split").len().sort("split", descending=True).rows())


def _by_split(samples: pl.DataFrame, decisions: pl.DataFrame) -> list[dict[str, Any]]:
    joined = samples.select("sample_id", "split").join(decisions, on="sample_id", how="left")
    counts = {(s, o): n for s, o, n in joined.group_by("split", "outcome").len().rows()}
    totals = dict(samples.group_by("split").len().rows())
    return [
        {"split": split, "inputs": totals[split]}
        | {outcome: counts.get((split, outcome), 0) for outcome in OUTCOMES}
        for split in SPLITS
        if split in totals
    ]


def count_fates(decisions: pl.DataFrame | None) -> dict[str, dict[str, int]]:
    """Return for each check how many samples met which fate with it among the reasons.

    What a person decided is no deed of a check: the fate is `by_person`, whatever it was.
    """
    if decisions is None:
        return {}
    fate = pl.when(OF_PEOPLE).then(pl.lit(BY_PERSON)).otherwise(FATE).alias("fate")
    reasons = decisions.select(fate, pl.col("check_ids").list.unique()).explode("check_ids")
    counted = reasons.drop_nulls("check_ids").group_by("check_ids", "fate").len()
    fates: dict[str, dict[str, int]] = {}
    rows = sorted(counted.rows(), key=lambda row: (row[0], ORDER.index(row[1])))
    for check_id, fate, count in rows:
        fates.setdefault(check_id, {})[fate] = count
    return fates


def list_taken(decisions: pl.DataFrame | None) -> list[dict[str, Any]]:
    """Return per check the samples dropped, quarantined, repaired, down-weighted; most first.

    A sample with two reasons counts under both, so the bars do not add up to the ledger. What
    people decided has a row of its own and counts under no check.
    """
    if decisions is None:
        return []
    people = dict(decisions.filter(OF_PEOPLE).select(FATE).group_by("fate").len().rows())
    rows = [
        {"check_id": name, **{fate: fates.get(fate, 0) for fate in FATES}}
        for name, fates in [*count_fates(decisions).items(), (PERSON, people)]
    ]
    touched = [row for row in rows if any(row[fate] for fate in FATES)]
    return sorted(
        touched,
        key=lambda row: (
            -(row["dropped"] + row["quarantined"]),
            -sum(row[fate] for fate in FATES),
            row["check_id"],
        ),
    )


def balance_classes(
    samples: pl.DataFrame | None, decisions: pl.DataFrame | None
) -> dict[str, Any] | None:
    """Return how many training samples each class has before and after cleaning.

    Returns:
        rows [{label, before, after, share_before, share_after, val, test}], largest class first,
        at most 40, `more` classes left out; None without labels. `after` counts what is neither
        dropped nor quarantined, under its new label if it has one.
    """
    if samples is None or samples["label"].null_count() == samples.height:
        return None
    joined = samples.select("sample_id", "split", "label")
    if decisions is None:
        joined = joined.with_columns(outcome=pl.lit("kept"), new_label=pl.lit(None, pl.String))
    else:
        joined = joined.join(decisions, on="sample_id", how="left")
    left = ~pl.col("outcome").is_in(["dropped", "quarantined"]).fill_null(value=False)
    before = _count(joined, "label", "train")
    after = _count(joined.filter(left), pl.coalesce("new_label", "label").alias("label"), "train")
    val, test = (_count(joined, "label", split) for split in ("val", "test"))
    labels = sorted({*before, *after, *val, *test}, key=lambda x: (-before.get(x, 0), x))
    totals = sum(before.values()) or 1, sum(after.values()) or 1
    rows = [
        {
            "label": label,
            "before": before.get(label, 0), "after": after.get(label, 0),
            "share_before": before.get(label, 0) / totals[0],
            "share_after": after.get(label, 0) / totals[1],
            "val": val.get(label, 0), "test": test.get(label, 0),
        }
        for label in labels[:CLASSES_MAX]
    ]  # fmt: skip
    return {
        "rows": rows,
        "more": max(0, len(labels) - CLASSES_MAX),
        "decided": decisions is not None,
        "unlabelled": samples["label"].null_count(),
    }


def _count(frame: pl.DataFrame, label: str | pl.Expr, split: str) -> dict[str, int]:
    mine = frame.filter(pl.col("split") == split).select(label).drop_nulls()
    return dict(mine.group_by("label").len().rows())
