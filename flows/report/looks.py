"""Where a tier ended that was looked at more than once, and what boosted trees say beside it."""

from __future__ import annotations

from typing import Any

from flows.report.figures import number

ENDS = ("estimate", "low", "high")


def describe_look(look: dict[str, Any] | None) -> dict[str, Any]:
    """Return planned, number, crossed, seeds, bound and `taken`: one row for each look; else {}.

    Rows: number, seeds, p, bound, crossed and the effect in points with its repeated interval.

    >>> row = {"seeds": 6, "estimate": 0.02, "low": 0.01, "high": 0.03, "p": 1e-6, "bound": 1e-5}
    >>> look = {"planned": [6, 12], "number": 1, **row, "crossed": True, "taken": [row]}
    >>> describe_look(look)["taken"][0]["high"]
    3.0
    """
    if not look or not look.get("taken"):
        return {}
    kept = ("seeds", "p", "bound", "crossed")
    rows = [
        {"number": at, **{key: row.get(key) for key in kept}, **_in_points(row, ENDS)}
        for at, row in enumerate(look["taken"], start=1)
    ]
    return {"planned": list(look.get("planned") or []), **rows[-1], "taken": rows}


def tell_look(look: dict[str, Any] | None) -> tuple[str, str, str, str] | None:
    """Return the headline's fact: at which look it ended, its bound and why; None without looks."""
    if not look:
        return None
    p, bound = number(look["p"]), number(look["bound"])
    if p is None or bound is None:
        return None
    value = f"look {look['number']} of {len(look['planned'])}"
    side = "below" if look["crossed"] else "not below"
    seeds = f"{look['seeds']} of at most {look['planned'][-1]} seeds"
    return ("Ended at", value, "", f"{seeds}; p {p:.2g} {side} its bound {bound:.2g}")


def describe_yardstick(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what boosted trees got right on each arm: fractions, and `gain` over raw in points.

    >>> cut = {"accuracy": 0.9, "low": 0.8, "high": 1.0}
    >>> told = {"raw": {**cut, "gain": 0.01, "gain_low": 0.0, "gain_high": 0.02}}
    >>> describe_yardstick({"yardstick": told})[0]["gain"]["estimate"]
    1.0
    """
    told = facts.get("yardstick")
    if not isinstance(told, dict):
        return []
    names = dict(zip(ENDS, ("gain", "gain_low", "gain_high"), strict=True))
    return [
        {
            "arm": arm, **{key: number(row.get(key)) for key in ("accuracy", "low", "high")},
            "gain": _in_points({key: row.get(name) for key, name in names.items()}, ENDS),
        }
        for arm, row in told.items()
    ]  # fmt: skip


def _in_points(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    found = {key: number(row.get(key)) for key in keys}
    return {key: None if v is None else 100 * v for key, v in found.items()} | {"unit": "pp"}
