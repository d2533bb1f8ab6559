"""How many labels are wrong, which is given for which, and what more flags would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flows.report.axes import Axis
from flows.report.figures import number

Facts = Mapping[str, Any]
CLASSES_MAX = 20  # more make a map that nobody reads, and few samples for each pair
PAIRS_MAX = 10
BUDGETS_MIN = 2
KEYS = frozenset({
    "judged", "flagged", "flagged_frac", "estimated_precision", "estimated_precision_low",
    "estimated_precision_high", "wrong_labels", "noise_matrix", "worst_pairs", "budgets",
    "planted_recall", "says", "precision_min", "reviews",
})  # fmt: skip
WIDE, TALL = 380, 200  # of the curve, in units of its own


def describe_noise(facts: Facts | None) -> dict[str, Any] | None:
    """Return what was found out about the labels' noise; None where nothing was.

    Args:
        facts: of `unlikely_label` in checks.json; what they lack is None or empty here.

    Returns:
        says, judged, flagged, flagged_frac, precision and wrong ({value, low, high} or None),
        recall (of planted flips: {confusable, any}, 0..1), class_count, matrix ({classes, values,
        low, high}, true class by given label, 0..1; None for more than 20 classes), pairs [{true,
        given, count}], budgets [{flagged_frac, precision, low, recall}], fewest flags first,
        precision_min (asked of the flags, 0..1), reviews ({heard, wrong, expected} or None).

    >>> told = describe_noise({"says": "none found", "flagged": 0})
    >>> told["says"], told["flagged"], told["matrix"]
    ('none found', 0, None)
    >>> describe_noise({"not_judged": "3 labels"}) is None
    True
    """
    told = {key: value for key, value in (facts or {}).items() if key in KEYS}
    if not told:
        return None
    precision = {"value": told.get("estimated_precision"),
                 "low": told.get("estimated_precision_low"),
                 "high": told.get("estimated_precision_high")}  # fmt: skip
    wrong = told.get("wrong_labels")
    wrong = {**wrong, "value": wrong.get("count")} if isinstance(wrong, Mapping) else {}
    found = told.get("planted_recall")
    both = found if isinstance(found, list) and len(found) == 2 else [None, found]  # noqa: PLR2004
    matrix = _read_matrix(told.get("noise_matrix"))
    return {
        "says": told.get("says"),
        "judged": _count(told, "judged"), "flagged": _count(told, "flagged"),
        "flagged_frac": number(told.get("flagged_frac")),
        "precision": _bound(precision), "wrong": _bound(wrong),
        "recall": {"confusable": number(both[0]), "any": number(both[1])},
        "class_count": len(matrix["classes"]) if matrix else None,
        "matrix": matrix if matrix and len(matrix["classes"]) <= CLASSES_MAX else None,
        "pairs": _list_records(told.get("worst_pairs"))[:PAIRS_MAX],
        "budgets": _order(_list_records(told.get("budgets"))),
        "precision_min": number(told.get("precision_min")),
        "reviews": _read_reviews(told.get("reviews")),
    }  # fmt: skip


def _bound(told: Facts) -> dict[str, float | None] | None:
    value, low, high = (number(told.get(key)) for key in ("value", "low", "high"))
    return None if value is None else {"value": value, "low": low, "high": high}


def _count(told: Facts, key: str) -> int | None:
    value = number(told.get(key))
    return None if value is None else int(value)


def _list_records(told: Any) -> list[dict[str, Any]]:
    return [dict(one) for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []


def _read_reviews(told: Any) -> dict[str, float | None] | None:
    if not isinstance(told, Mapping):
        return None
    return {key: number(told.get(key)) for key in ("heard", "wrong", "expected")}


def _read_matrix(told: Any) -> dict[str, Any] | None:
    """Return the matrix if it is one: square, with both of its bounds."""
    if not isinstance(told, Mapping):
        return None
    names = [str(name) for name in told.get("classes") or []]
    parts = {key: told.get(key) or [] for key in ("values", "low", "high")}
    square = all(np.shape(part) == (len(names), len(names)) for part in parts.values())
    return {"classes": names, **parts} if square and len(names) > 1 else None


def _order(budgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the budgets of which all is known, fewest flags first."""
    keys = ("flagged_frac", "precision", "low", "recall")
    whole = [one for one in budgets if all(number(one.get(key)) is not None for key in keys)]
    known = [{key: one[key] for key in keys} for one in whole if one["flagged_frac"] > 0]
    return sorted(known, key=lambda one: one["flagged_frac"])


def draw_budgets(noise: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the lines over the share flagged, in a picture of 380 x 200; None for too few.

    Returns:
        wide, tall, x and y (ticks with their place), band (between the lower bound and the
        estimate), precision and recall (paths), goal (height of the precision asked for; None where
        that is unknown), cut ({at, flagged_frac}; None where nothing is
        flagged), says (for those who cannot see it).
    """
    rows = noise["budgets"]
    if len(rows) < BUDGETS_MIN or rows[0]["flagged_frac"] == rows[-1]["flagged_frac"]:
        return None
    cut = noise["flagged_frac"] or None
    ends = [rows[0]["flagged_frac"], rows[-1]["flagged_frac"], *([cut] if cut else [])]
    axis = Axis(min(ends), max(ends), log=True)
    at = _place(axis, [row["flagged_frac"] for row in rows])
    upper, lower = (_raise([row[key] for row in rows]) for key in ("precision", "low"))
    edge = [*zip(at, upper, strict=True), *reversed(list(zip(at, lower, strict=True)))]
    first, last = rows[0], rows[-1]
    percent = [{**tick, "text": f"{100 * axis.low * (axis.high / axis.low) ** tick['at']:.2g} %"}
               for tick in axis.ticks()]  # fmt: skip
    return {
        "wide": WIDE, "tall": TALL,
        "x": [{**tick, "at": round(WIDE * tick["at"], 1)} for tick in percent],
        "y": [{"at": round(TALL * (1 - part / 4)), "text": f"{25 * part} %"} for part in range(5)],
        "band": f"{_line(edge)}Z",
        "precision": _line(list(zip(at, upper, strict=True))),
        "recall": _line(list(zip(at, _raise([row["recall"] for row in rows]), strict=True))),
        "goal": _raise([goal])[0] if (goal := noise["precision_min"]) is not None else None,
        "cut": {"at": _place(axis, [cut])[0], "flagged_frac": cut} if cut else None,
        "says": f"From {100 * first['flagged_frac']:.2g} % to {100 * last['flagged_frac']:.2g} % "
        f"flagged the precision goes from {100 * first['precision']:.0f} % to "
        f"{100 * last['precision']:.0f} %, recall from {100 * first['recall']:.0f} % to "
        f"{100 * last['recall']:.0f} %.",
    }  # fmt: skip


def _place(axis: Axis, shares: Sequence[float]) -> list[float]:
    return [round(WIDE * float(at), 1) for at in axis.place(np.array(shares, np.float64))]


def _raise(parts: Sequence[float]) -> list[float]:
    """Heights from the top of the picture of parts of one."""
    return [round(TALL * (1 - min(max(part, 0.0), 1.0)), 1) for part in parts]


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
