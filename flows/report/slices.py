"""How often each part of the set is flagged and taken out, and what people said of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from flows.report.figures import compact, number, share

DIFFERS = 0.05  # checks.core.slice_rates counts those at or below it
ROWS_MAX = 50
DISPUTES_MAX = 50
VERDICTS = ("right", "wrong", "unsure")


def describe_slices(clean: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the flag rates of slices; None where nothing was decided or nothing slices the set.

    Args:
        clean: clean.json; its `slices` as `checks.core.slice_rates.tell_slices` returns them.

    Returns:
        samples, flagged, dropped, slices, differ; rate (0..1, of the whole), top (0..1, where the
        axis of the intervals ends), sentence, rows as they were told, each with `differs`.

    >>> row = {"slice": "who", "value": "ada", "samples": 9, "flagged": 9, "dropped": 0, "rate": 1,
    ...        "low": 0.66, "high": 1, "ratio": 10, "q_flagged": 0.01, "q_dropped": 1}
    >>> told = describe_slices({"slices": {"samples": 90, "flagged": 9, "dropped": 0, "slices": 1,
    ...                                    "differ": 1, "rows": [row]}})
    >>> told["sentence"], told["rows"][0]["differs"]
    ('1 of 1 slice is flagged or taken out at another rate than the rest of the set.', True)
    """
    told = (clean or {}).get("slices") or {}
    rows = [{**row, "differs": min(row["q_flagged"], row["q_dropped"]) <= DIFFERS}
            for row in (told.get("rows") or [])[:ROWS_MAX]]  # fmt: skip
    if not rows:
        return None
    keys = ("samples", "flagged", "dropped", "slices", "differ")
    counts = {key: int(told[key]) for key in keys}
    return {
        **counts, "rate": counts["flagged"] / max(counts["samples"], 1),
        "top": max(_reach(row) for row in rows),
        "sentence": _say(counts), "rows": rows,
    }  # fmt: skip


def _reach(row: Mapping[str, Any]) -> float:
    """How far the axis follows an interval: a slice of three samples does not squeeze the rest."""
    return float(max(row["rate"], min(row["high"], max(3 * row["rate"], 0.02))))


def _say(told: Mapping[str, int]) -> str:
    slices = f"{compact(told['slices'])} {'slice' if told['slices'] == 1 else 'slices'}"
    if not told["flagged"] and not told["dropped"]:
        return f"Nothing is flagged, so none of {slices} stands out."
    if not told["differ"]:
        rate = share(told["flagged"] / max(told["samples"], 1))
        return (f"No slice is flagged or taken out at another rate than the rest of the set beyond "
                f"chance: {rate} of all, {slices} compared.")  # fmt: skip
    verb = "is" if told["differ"] == 1 else "are"
    return (f"{compact(told['differ'])} of {slices} {verb} flagged or taken out at another rate "
            "than the rest of the set.")  # fmt: skip


def describe_reviews(
    clean: Mapping[str, Any] | None, samples: pl.DataFrame | None,
    estimate: Mapping[str, Any] | None,
) -> dict[str, Any] | None:  # fmt: skip
    """Return what people said of labels; None where nobody has said anything.

    Args:
        clean: clean.json; its `reviews` as `flows.app.review_store.tell_reviews` returns them.
        samples: tables.Samples, for the places of the disputed ones.
        estimate: the estimated precision of the flags, to compare with.

    Returns:
        samples, right, wrong, unsure, reviewers [names], flagged and unflagged ({share, low, high,
        reviewed} or None where none of them was reviewed), wrong_labels (estimated count over the
        set), estimate, stale (verdicts on labels that have changed since), without_effect
        (verdicts on samples that are quarantined), decided (samples that people decided),
        disputed, disputes [{sample_id, uri, row, label, stands, said}].
    """
    told = (clean or {}).get("reviews") or {}
    if not told or not (told.get("samples") or told.get("stale")):
        return None
    rates = told.get("rates") or {}
    counts = {key: int(told.get(key) or 0) for key in ("samples", *VERDICTS, "stale", "disputed")}
    return {
        **counts, "reviewers": list(told.get("reviewers") or []),
        **{key: _rate(rates.get(key)) for key in ("flagged", "unflagged")},
        "wrong_labels": number(rates.get("wrong_labels")), "estimate": estimate,
        "without_effect": int((clean or {}).get("overrides_without_effect") or 0),
        "decided": int((clean or {}).get("decided_by_people") or 0),
        "disputes": _place(told.get("disputes") or [], samples),
    }  # fmt: skip


def _rate(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not told or number(told.get("share")) is None:
        return None
    return {key: told.get(key) for key in ("share", "low", "high", "reviewed")}


def _place(disputes: list[Any], samples: pl.DataFrame | None) -> list[dict[str, Any]]:
    """Return the disputes of samples that are still there, with where each lies."""
    if samples is None:
        return []
    wanted = {one["sample_id"]: one for one in disputes[:DISPUTES_MAX]}
    chosen = samples.filter(pl.col("sample_id").is_in(list(wanted))).sort("uri", "row")
    return [
        {**row, "stands": wanted[row["sample_id"]]["stands"],
         "said": list(wanted[row["sample_id"]]["said"])}
        for row in chosen.select("sample_id", "uri", "row", "label").iter_rows(named=True)
    ]  # fmt: skip
