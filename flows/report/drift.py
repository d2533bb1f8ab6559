"""Drift from the approved baseline: the columns worst first, then and now drawn over each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.report.vector import draw, token
from flows.report.words import shown

PICTURES_MAX = 12
WIDE_PX, TALL_PX = 170, 44
HOW = "gristmill baseline approve RUN"


def describe_drift(drift: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the section on drift.

    Args:
        drift: drift.json, as `flows.app.baseline.measure_drift` wrote it; None where no baseline
            is configured.

    Returns:
        compared (bool), how (the command that approves a run), note, baseline, limits, words
        (columns by how far they moved), new (columns that the baseline lacks), rows.

    >>> describe_drift(None)["compared"], describe_drift(None)["how"]
    (False, 'gristmill baseline approve RUN')
    """
    told = drift or {}
    return {
        "compared": told.get("baseline") is not None,
        "how": HOW,
        "note": told.get("note"),
        "baseline": told.get("baseline") or {},
        "limits": told.get("limits") or {},
        "words": told.get("words") or {},
        "new": told.get("new") or [],
        "rows": [_describe(row, at) for at, row in enumerate(told.get("columns") or [])],
    }


def _describe(row: Mapping[str, Any], place: int) -> dict[str, Any]:
    title = row["name"] if row["split"] is None else f"{row['name']} in {row['split']}"
    return {**row, "place": place, "title": title, "sentence": row["sentence"].partition(": ")[2]}


def draw_drift(report: Mapping[str, Any]) -> dict[int, str]:
    """Return the SVG of the worst columns by their place in the table: bars then, a line now."""
    moved = [row for row in report["drift"]["rows"] if row["word"] != "stable"]
    return {
        row["place"]: draw(
            spec, name=f"drift-{chr(97 + at)}", says=f"{row['title']}: {row['sentence']}"
        )
        for at, row in enumerate(moved[:PICTURES_MAX])
        if (spec := _plan(row["picture"])) is not None
    }


def _plan(picture: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the specification of two distributions in shares; None where nothing was counted."""
    before, after = sum(picture["baseline"]), sum(picture["counts"])
    if not before:
        return None
    pairs = zip(picture["baseline"], picture["counts"], strict=True)
    shares = [{"then": a / before, "now": b / (after or 1)} for a, b in pairs]
    numbers = "edges" in picture
    if numbers:
        edges = picture["edges"]
        rows = [{**s, "low": edges[i], "high": edges[i + 1]} for i, s in enumerate(shares)]
        last = {"now": rows[-1]["now"], "low": edges[-1]}
        form = ".2~s" if max(map(abs, edges)) >= 1000 else ".3~g"  # noqa: PLR2004 - 6k, but 0.6
        axis = {"tickCount": 3, "format": form, "grid": False}
        x = {"field": "low", "type": "quantitative", "scale": {"nice": False, "zero": False}}
        bar: dict[str, Any] = {
            "x": {**x, "axis": axis},
            "x2": {"field": "high"},
            "y2": {"datum": 0},
        }
        mark: dict[str, Any] = {"type": "line", "interpolate": "step-after"}
        lines = [*({k: r[k] for k in ("low", "now")} for r in rows), last]
        line = {"x": {**x, "axis": axis}}
    else:
        names = [shown(name, 14) for name in picture["names"]]
        rows = lines = [{**s, "low": f"{i:02}", "name": names[i]} for i, s in enumerate(shares)]
        label = {"labelExpr": f"{names}[toNumber(datum.value)]", "labelAngle": 0, "ticks": False,
                 "labelOverlap": True}  # fmt: skip
        bar = line = {"x": {"field": "low", "type": "nominal", "axis": label}}
        mark = {"type": "tick", "thickness": 2, "width": {"band": 0.7}}
    y = {"type": "quantitative", "axis": None}
    layers = [
        {"data": {"values": rows}, "mark": {"type": "bar", "color": token("line")},
         "encoding": {**bar, "y": {"field": "then", **y}}},
        {"data": {"values": lines}, "mark": {**mark, "color": token("cleaned")},
         "encoding": {**line, "y": {"field": "now", **y}}},
    ]  # fmt: skip
    quiet = {"title": None, "domain": False, "labelFontSize": 9, "labelColor": token("muted"),
             "tickColor": token("line")}  # fmt: skip
    return {
        "layer": layers, "width": WIDE_PX, "height": TALL_PX, "background": "transparent",
        "padding": 2, "config": {"axis": quiet, "view": {"stroke": None}},
    }  # fmt: skip
