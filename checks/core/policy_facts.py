"""What the policy tells of a whole set: counts, caps reached, and the rates of every slice."""

from __future__ import annotations

from typing import Any

import polars as pl

from checks.core.policy_slices import name_slice
from checks.core.slice_rates import tell_slices
from checks.core.words import ACTIONS, OUTCOMES

CLASS = "class"


def tell_facts(
    settled: pl.DataFrame, capped: pl.DataFrame, told: list[str], repairs: pl.DataFrame,
    slices: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Return small JSON-able facts.

    evaluation_changed_by_people: of each split that a result is measured on, how many samples
    people took out or relabelled, or whose repair they took; the policy never does.

    Args:
        settled: one row for each sample, decided.
        capped: candidates with `taken`.
        told: a sentence for each cap reached.
        repairs: tables.Repairs.
        slices: names of the columns of `settled` that slice it.
    """
    small = settled.filter(pl.col("small") & (pl.col("class_count") > 0))
    classes = small.select("class_name", "class_count").unique().sort("class_name")
    counts = {
        name: {value: settled.filter(pl.col(name) == value).height for value in values}
        for name, values in (("action", ACTIONS), ("outcome", OUTCOMES))
    }
    changed = settled.filter(
        (pl.col("decided_by") != "policy") & pl.col("outcome").is_in(["dropped", "repaired"])
    ).filter(pl.col("split") != "train")
    evaluated = changed["split"].value_counts().sort("split").rows()
    unheard = settled.filter("quarantined").filter(pl.col("person").is_not_null())
    reasons = settled["ambiguous"].drop_nulls().value_counts().sort("ambiguous").rows()
    return {
        "actions": counts["action"],
        "outcomes": counts["outcome"],
        "candidates": capped.height,
        "over_caps": capped.filter(~pl.col("taken")).height,
        "caps": told,
        "small_classes": dict(classes.rows()),
        "repaired_cells": repairs.height,
        "ambiguous": {**dict(reasons), "spared": settled.filter("unsure").height},
        "slices": _tell_slices(settled, slices),
        "decided_by_people": settled.filter(pl.col("decided_by") != "policy").height,
        "evaluation_changed_by_people": dict(evaluated),
        "overrides_without_effect": unheard.height,
    }


def _tell_slices(settled: pl.DataFrame, slices: list[str]) -> dict[str, Any]:
    """Rates by class, where there are classes, and by the other slices."""
    acted = pl.col("action").is_in(["drop", "relabel"]) & (pl.col("decided_by") == "policy")
    marked = settled.filter("counted").select(
        pl.col("label").alias(CLASS),
        *(pl.col(name).alias(name_slice(name)) for name in slices if name_slice(name) != CLASS),
        flagged=pl.col("noted") | (pl.col("check_ids").list.len() > 0), dropped=acted,
    )  # fmt: skip
    names = [name for name in marked.columns if name not in ("flagged", "dropped")]
    if settled["label"].null_count() == settled.height:
        names.remove(CLASS)
    return tell_slices(marked, names)
