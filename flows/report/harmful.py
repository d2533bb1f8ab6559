"""The samples that hurt their neighbours most, with what each of them did."""

from __future__ import annotations

from typing import Any

import polars as pl

from flows.report.figures import number
from flows.report.folder import RunData

ROWS_MAX = 10
PLACE = ("uri", "row", "split", "byte_size")
FATE = ("action", "outcome", "decided_by")


def describe_harm(read: RunData) -> dict[str, Any] | None:
    """Return the samples with the lowest values; None where none is below zero.

    Args:
        read: the run folder; facts of `harmful_sample` in checks.json.

    Returns:
        asked_about ("validation" or "fifths of train"), samples (how many were asked about),
        below_zero_frac and neighbours_right_frac (0..1), rows: at most 10, worst first, each with
        sample_id, uri, row, split, label, suggestion (another label that `unlikely_label`, or the
        scores, propose, or None), value (-1..1, share in the neighbours' accuracy), asked, against,
        action, outcome, decided_by, correct_frac (0..1, how often a network said its label while it
        trained, None where no comparison ran), column (None: whole rows are meant).
    """
    facts = ((read.checks or {}).get("facts") or {}).get("harmful_sample") or {}
    hurt = [one for one in facts.get("hurt_most") or [] if number(one.get("value")) is not None]
    if not hurt or read.samples is None:
        return None
    known = _join(read, [str(one["sample_id"]) for one in hurt[:ROWS_MAX]])
    rows = []
    for one in hurt[:ROWS_MAX]:
        there = known.get(str(one["sample_id"]))
        if there is not None:
            keys = ("sample_id", "label", "value", "asked", "against")
            rows.append({**there, **{key: one.get(key) for key in keys}})
            if rows[-1]["suggestion"] == one.get("label"):
                rows[-1]["suggestion"] = None
    told = {key: number(facts.get(key)) for key in ("below_zero_frac", "neighbours_right_frac")}
    return {
        "asked_about": str(facts.get("asked_about") or "train"),
        "samples": facts.get("samples_asked_about"), **told, "rows": rows,
    } if rows else None  # fmt: skip


def _join(read: RunData, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return what tables know of samples, by their id; what they lack is None."""
    assert read.samples is not None
    frame = read.samples.filter(pl.col("sample_id").is_in(ids)).select("sample_id", *PLACE)
    proposed = None
    if read.findings is not None:
        proposed = read.findings.filter(check_id="unlikely_label").rename({"suggestion": "other"})
    for table, names in ((read.decisions, FATE), (read.scores, ("suggestion",)),
                         (proposed, ("other",)),
                         (read.dynamics, ("correct_frac",))):  # fmt: skip
        there = [name for name in names if table is not None and name in table.columns]
        if table is not None and there:
            frame = frame.join(table.select("sample_id", *there), on="sample_id", how="left")
        absent = [pl.lit(None).alias(name) for name in names if name not in there]
        frame = frame.with_columns(*absent, column=pl.lit(None))
    told = frame.with_columns(suggestion=pl.coalesce("other", "suggestion")).drop("other")
    return {row["sample_id"]: row for row in told.iter_rows(named=True)}
