"""What else would have bought accuracy or speed: the changes that `gristmill levers` weighed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.figures import number

USUAL, FAR, LEAST = 0.8, 2.0, 0.1  # twice what four changes of five do not exceed; points
SHOWN = 0.05  # p_by below which a difference is called shown
PICTURE = 200  # width of the picture of one interval


def describe_levers(levers: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the changes, best first, for table and picture; None where none were weighed.

    Returns:
        seeds, order, standing (a sentence: where cleaning stands), notes (sentences), ends (of the
        axis of gains, points), zero (place of no gain in the picture, 0..200) and rows:
        rank (from 1), lever, kind, cleaning (is it the cleaning itself), same (are its runs those
        of raw, at another price), gain {estimate, low, high, p_by} in points of test accuracy,
        drawn {low, high, at} (places in the picture), steps and seconds ({ratio, low, high,
        at_least, at_most}: times sooner to raw's target, or None), cpu_s.
    """
    rows = [_describe(at, row) for at, row in enumerate((levers or {}).get("rows") or [], 1)]
    if not levers or not rows:
        return None
    least, most = fit_gains(rows)

    def place(value: float) -> float:
        inside = min(max(value, least), most)
        return float(round(PICTURE * (inside - least) / (most - least), 1))

    for row in rows:
        gain = row["gain"]
        row["drawn"] = {
            "low": place(gain["low"]), "high": place(gain["high"]), "at": place(gain["estimate"])
        }  # fmt: skip
    return {
        "seeds": levers.get("seeds"), "order": levers.get("order"), "ends": (least, most),
        "zero": place(0.0),
        "rows": rows, "standing": place_cleaning(levers), "notes": list_notes(levers),
    }  # fmt: skip


def fit_gains(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the ends of an axis of gains, with 0 and all of cleaning's interval between them.

    One change that ruins all must not flatten the rest: it stands at the edge.
    """
    gains = [row["gain"] for row in rows]
    sizes = sorted(abs(gain["estimate"]) for gain in gains)
    own = [max(-row["gain"]["low"], row["gain"]["high"]) for row in rows if row["cleaning"]]
    most = max(FAR * sizes[math.floor(USUAL * (len(sizes) - 1))], *own, LEAST)
    low, high = (pick(gain[end] for gain in gains) for pick, end in ((min, "low"), (max, "high")))
    return max(-most, min(0.0, low)), min(most, max(LEAST, high))


def place_cleaning(levers: Mapping[str, Any]) -> str:
    """Return in a sentence where cleaning stands; empty where nothing was compared with it.

    What gains is told of differences that are shown: of cleaning by its interval, of the others,
    which are many, after Benjamini's and Yekutieli's correction over all of them.

    >>> cleaning = {"lever": "cleaning", "final_acc": {"estimate": 0.01, "low": 0.005, "high": 0.1}}
    >>> place_cleaning({"rows": [{**cleaning, "over_cleaning": None}]})
    'No other change is shown to gain more test accuracy than cleaning.'
    """
    rows = levers["rows"]
    own = next((row["final_acc"] for row in rows if row["lever"] == "cleaning"), None)
    if own is None or not any("over_cleaning" in row for row in rows):
        return ""
    others = [row for row in rows if row.get("over_cleaning")]
    if own["low"] > 0:
        more = [row["lever"] for row in others if _is_shown(row["over_cleaning"])]
        if more:
            return f"Shown to gain more test accuracy than cleaning: {', '.join(more)}."
        return "No other change is shown to gain more test accuracy than cleaning."
    lead = "shown to lose" if own["high"] < 0 else "not shown to gain"
    gain = ", ".join(row["lever"] for row in others if _is_shown(row["final_acc"])) or "none"
    return f"Cleaning is {lead} test accuracy here; other changes that are shown to gain: {gain}."


def _is_shown(found: Mapping[str, Any]) -> bool:
    """Whether a difference is above zero after the correction over all changes."""
    return bool(found["estimate"] > 0 and found["p_by"] < SHOWN)


def list_notes(levers: Mapping[str, Any]) -> list[str]:
    """Return what must be known to read some of the rows, a sentence or two each.

    >>> list_notes({"rows": [{"kind": "sparsity"}]})
    ['Weights at zero make no step cheaper: the kernels are dense.']
    """
    notes = []
    if feeds := levers.get("feeds"):
        resident, loader, step = (1000 * feeds[name] for name in ("resident", "loader", "step"))
        notes.append(
            f"A batch costs {resident:.1f} ms of CPU from memory and {loader:.1f} ms from the "
            f"shards, a step of raw's recipe {step:.0f} ms; the rows are the same either way, and "
            "so are accuracy and steps."
        )
    if after := [row["lever"] for row in levers["rows"] if row.get("versus") == "cleaned"]:
        notes.append(f"Compared with cleaned rows, not with raw: {', '.join(after)}.")
    if any(row.get("kind") == "sparsity" for row in levers["rows"]):
        notes.append("Weights at zero make no step cheaper: the kernels are dense.")
    if lost := levers.get("diverged"):
        notes.append(f"Did not learn, their loss grew beyond all numbers: {', '.join(lost)}.")
    if brought := levers.get("transfer"):
        learnt = f"; learning them took {brought['cpu_s']:.0f} s of CPU, which no row counts"
        notes.append(
            f"{brought['taken']} of the network's {brought['of']} tensors but for its head were "
            f"taken from {brought['name']}{learnt if brought['cpu_s'] else ''}."
        )
    return notes


def _describe(at: int, row: dict[str, Any]) -> dict[str, Any]:
    found = row["final_acc"]
    gain = {key: 100 * (number(found.get(key)) or 0.0) for key in ("estimate", "low", "high")}
    kept = ("ratio", "low", "high", "at_least", "at_most")
    return {
        "lever": str(row["lever"]),
        "kind": str(row["kind"]),
        "cleaning": row["lever"] == "cleaning",
        "gain": {**gain, "unit": "pp", "p_by": number(found.get("p_by"))},
        "steps": _pick(row.get("steps"), kept),
        "seconds": _pick(row.get("seconds"), kept),
        "cpu_s": number(row.get("cpu_s")),
        "same": bool(row.get("same_runs")),
        "rank": at,
    }


def _pick(found: dict[str, Any] | None, kept: tuple[str, ...]) -> dict[str, Any] | None:
    return {key: found[key] for key in kept} if found else None


def tell_times(found: dict[str, Any] | None) -> str:
    """Return how many times sooner, with its interval; a bound where one side never arrived.

    >>> tell_times({"ratio": 1.5, "low": 1.2, "high": 1.9, "at_least": True, "at_most": False})
    'at least 1.50 [1.20, 1.90]'
    """
    if found is None:
        return "\u2013"
    bound = "at least " if found["at_least"] else "at most " if found["at_most"] else ""
    return f"{bound}{found['ratio']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
