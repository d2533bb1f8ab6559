"""What cleaning is worth whichever rows are the test: what `gristmill resplit` found."""

from __future__ import annotations

from typing import Any

from flows.report.figures import number

MAIN = ("cleaned", "raw", "final_acc")


def describe_resplits(told: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what the divisions of the set say together; None where it was divided once.

    Returns:
        splits, seeds, sentence, why, words ({verdict: divisions}), refused (how many could not be
        trained on), above (divisions where cleaned is ahead of raw), and effects: arm, versus,
        endpoint, effect and plain ({estimate, low, high} in points), n, mde in points.
    """
    if not told or not told.get("effects"):
        return None
    rows = told["effects"]
    main = next(row for row in rows if (row["arm"], row["versus"], row["endpoint"]) == MAIN)
    return {
        "splits": told["splits"],
        "seeds": told["seeds"],
        "sentence": str(told["verdict"]["sentence"]),
        "why": str(told["verdict"]["why"]),
        "words": {str(word): count for word, count in told["words"].items()},
        "refused": sum(row["refused"] is not None for row in told["divisions"]),
        "above": main["above"],
        "effects": [_describe(row) for row in rows],
    }


def _describe(row: dict[str, Any]) -> dict[str, Any]:
    mde = number(row.get("mde"))
    return {
        **{key: str(row[key]) for key in ("arm", "versus", "endpoint")},
        "effect": _in_points(row, row["estimate"]),
        "plain": _in_points(row["plain"], row["estimate"]),
        "n": row["n"],
        "mde": None if mde is None else 100 * mde,
    }


def _in_points(found: dict[str, Any], estimate: float) -> dict[str, Any]:
    ends = {key: 100 * (number(found.get(key)) or 0.0) for key in ("low", "high")}
    return {"estimate": 100 * (number(estimate) or 0.0), **ends, "unit": "pp"}
