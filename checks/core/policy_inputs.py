"""What the policy reads: findings with what they ask for, what people said, who may be touched."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.errors import TableError, UnknownNameError
from checks.core.words import ACTIONS

UNREADABLE, MISSING_LABEL = "unreadable", "missing_label"
PEOPLE = {
    "sample_id": pl.String,
    "person_action": pl.String,
    "person_label": pl.String,
    "person": pl.String,
}


def join_asks(
    samples: pl.DataFrame, findings: pl.DataFrame, actions: Mapping[str, str]
) -> pl.DataFrame:
    """Return findings with `asks` (the action that the check asks for) and the sample's label.

    Raises:
        UnknownNameError: an action that is none.
        TableError: a finding that names no sample.
    """
    for check_id, action in actions.items():
        if action not in ACTIONS:
            raise UnknownNameError(f"action of {check_id}", action, ACTIONS)
    strangers = findings.join(samples, on="sample_id", how="anti")
    if strangers.height:
        got = strangers["sample_id"].min()
        raise TableError("findings", f"{strangers.height} rows name no sample", got=got)
    names = pl.DataFrame(
        {"check_id": list(actions), "asks": list(actions.values())},
        schema={"check_id": pl.String, "asks": pl.String},
    )
    return (
        findings.join(names, on="check_id", how="left")
        .with_columns(pl.col("asks").fill_null("review"))
        .join(samples.select("sample_id", "label"), on="sample_id", how="left")
        .sort("sample_id", "check_id", "column")
    )


def find_doubted_labels(asked: pl.DataFrame) -> pl.DataFrame:
    """Return the sample_id of those whose label, not a cell of theirs, some check doubts.

    A check that asks to keep it only notes something.
    """
    about_label = (pl.col("dimension") == "incorrect") & pl.col("column").is_null()
    doubts = asked.filter(about_label & (pl.col("asks") != "keep"))
    return doubts.select("sample_id").unique().sort("sample_id")


def read_people(overrides: pl.DataFrame | None) -> pl.DataFrame:
    """Return what people decided: sample_id, person_action, person_label, person.

    Raises:
        TableError: a column is missing, an action is none, a relabelling has no label, or one
            sample has two decisions.
    """
    if overrides is None or overrides.is_empty():
        return pl.DataFrame(schema=PEOPLE)
    absent = sorted({"sample_id", "action", "decided_by"} - set(overrides.columns))
    if absent:
        raise TableError("overrides", "columns are missing", got=absent)
    label = pl.col("new_label") if "new_label" in overrides.columns else pl.lit(None)
    relabel = (pl.col("action") == "relabel").fill_null(value=False)
    people = overrides.select(
        "sample_id",
        pl.col("action").cast(pl.String).alias("person_action"),
        pl.when(relabel).then(label.cast(pl.String)).alias("person_label"),
        pl.col("decided_by").cast(pl.String).alias("person"),
    )
    action = pl.col("person_action")
    unlabelled = (action == "relabel") & pl.col("person_label").is_null()
    wrong = people.filter(
        action.is_null() | ~action.is_in(ACTIONS) | pl.col("person").is_null() | unlabelled
    )
    if wrong.height:
        advice = f"Actions: {', '.join(ACTIONS)}; relabel needs new_label; decided_by is a name."
        raise TableError("overrides", "not a decision", got=wrong.row(0), advice=advice)
    twice = people.filter(pl.col("sample_id").is_duplicated())
    if twice.height:
        raise TableError("overrides", "two decisions, one sample", got=twice["sample_id"].min())
    return people


def weigh_samples(
    samples: pl.DataFrame, asked: pl.DataFrame, people: pl.DataFrame, min_class_count: int
) -> pl.DataFrame:
    """Return samples with what stands above the policy.

    Adds person_action, person_label, person (null: nobody), class_name (label, "" for none),
    check_ids (sorted), quarantined, out (quarantined or dropped by a person), counted (readable
    train sample), class_count (counted ones of the class), small (class below
    `min_class_count`), free (the policy may act on it).
    """
    labelled = samples["label"].null_count() < samples.height
    flagged = asked.group_by("sample_id").agg(check_ids=pl.col("check_id").unique().sort())
    ids = pl.col("check_ids").fill_null(pl.lit([], pl.List(pl.String)))
    unlabelled = pl.col("label").is_null() & labelled
    named = pl.concat_list(ids, pl.lit(MISSING_LABEL)).list.unique().list.sort()
    says = pl.col("person_action").fill_null("")
    useless = ids.list.contains(UNREADABLE) | (unlabelled & (says != "relabel"))
    doubtful = ids.list.contains(MISSING_LABEL) & (says == "")
    quarantined = (useless & (says != "drop")) | doubtful
    base = (
        samples.join(people, on="sample_id", how="left")
        .join(flagged, on="sample_id", how="left")
        .sort("sample_id")
        .with_columns(
            class_name=pl.col("label").fill_null(""),
            check_ids=pl.when(unlabelled).then(named).otherwise(ids),
            quarantined=quarantined,
            out=quarantined | (says == "drop"),
            counted=(pl.col("split") == "train") & ~quarantined,
        )
        .with_columns(class_count=pl.col("counted").sum().over("class_name"))
        .with_columns(small=(pl.col("class_count") < min_class_count) & labelled)
    )
    free = pl.col("counted") & pl.col("person").is_null() & ~pl.col("small")
    return base.with_columns(free=free)
