"""The picture of the levers: what each change bought in accuracy, and in time to the target."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from flows.report.charts import NARROW_PX, WIDE_PX, dress, name_picture
from flows.report.vector import draw, token

HEIGHT_PX = 320
USUAL, FAR = 0.8, 2.0  # the axis ends at twice what four changes of five do not exceed


def draw_levers(report: Mapping[str, Any], *, narrow: bool) -> str | None:
    """Return points of test accuracy with intervals over times sooner; None without levers.

    Right and up is better. Changes bear their number in the table; what lies beyond the axis is
    drawn at its edge as a triangle that points there.
    """
    rows = [_place(row) for row in (report["levers"] or {"rows": []})["rows"] if row["seconds"]]
    if not rows:
        return None
    says = "; ".join(f"{row['name']}: {row['gain']:+.2f} points, {row['x']:.2f}" for row in rows)
    ends = _fit(rows)
    for row in rows:
        row |= {name: min(max(row[name], ends[0]), ends[1]) for name in ("y", "low", "high")}
        row["kind"] = "in" if row["y"] == row["gain"] else "up" if row["gain"] > 0 else "down"
    spec = _plan(rows, ends, (NARROW_PX if narrow else WIDE_PX, HEIGHT_PX))
    says = f"Change of test accuracy, and times sooner at the target. {says}."
    return draw(spec, name=name_picture("levers", "all", narrow=narrow), says=says)


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    gain = row["gain"]
    return {
        "rank": str(row["rank"]), "name": row["lever"], "cleaning": row["cleaning"],
        "gain": gain["estimate"], "y": gain["estimate"], "low": gain["low"], "high": gain["high"],
        "x": row["seconds"]["ratio"],
    }  # fmt: skip


def _fit(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the ends of the axis; one change that ruins all must not flatten the rest."""
    sizes = sorted(abs(row["gain"]) for row in rows)
    most = FAR * sizes[math.floor(USUAL * (len(sizes) - 1))]
    most = max(most, *(max(-row["low"], row["high"]) for row in rows if row["cleaning"]), 0.1)
    lows, highs = ([row[end] for row in rows] for end in ("low", "high"))
    return max(-most, min(0.0, *lows)), min(most, max(0.1, *highs))


def _plan(
    rows: list[dict[str, Any]], ends: tuple[float, float], size: tuple[int, int]
) -> dict[str, Any]:
    alt = importlib.import_module("altair")
    times = [row["x"] for row in rows]
    sides = [min(0.9, *times) / 1.06, max(1.1, *times) * 1.06]
    x = alt.X("x:Q", title="times sooner at the target, CPU seconds",
              scale=alt.Scale(type="log", domain=sides, nice=False),
              axis=alt.Axis(format=".2~f", tickCount=max(3, size[0] // 120)))  # fmt: skip
    y = {"title": None, "scale": alt.Scale(domain=list(ends), nice=False),
         "axis": alt.Axis(format="+.2~f", tickCount=7)}  # fmt: skip

    def chart(chosen: list[dict[str, Any]]) -> Any:
        return alt.Chart(alt.Data(values=chosen)).encode(x=x)

    even = {"color": token("muted"), "strokeWidth": 1}
    layers = [
        alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(**even).encode(y=alt.Y("y:Q", **y)),
        alt.Chart(alt.Data(values=[{"x": 1}])).mark_rule(**even).encode(x=x),
    ]
    for mine, colour in ((False, token("other")), (True, token("cleaned"))):
        chosen = [row for row in rows if row["cleaning"] == mine]
        line = chart(chosen).mark_rule(color=colour, strokeWidth=2.5 if mine else 1.2)
        layers.append(line.encode(y=alt.Y("low:Q", **y), y2="high:Q"))
        for kind, shape in (("in", "circle"), ("up", "triangle-up"), ("down", "triangle-down")):
            if some := [row for row in chosen if row["kind"] == kind]:
                mark = {"shape": shape, "size": 110 if mine else 44, "opacity": 1, "filled": True}
                point = chart(some).mark_point(color=colour, **mark)
                layers.append(point.encode(y=alt.Y("y:Q", **y)))
        label = {"align": "left", "dx": 8 if mine else 6, "dy": -5, "fontSize": 11}
        bold = {"fontSize": 13, "fontWeight": "bold"} if mine else {}
        text = chart(chosen).mark_text(
            color=colour if mine else token("muted"), **{**label, **bold}
        )
        layers.append(text.encode(y=alt.Y("y:Q", **y), text="name:N" if mine else "rank:N"))
    return dress(alt.layer(*layers), *size)
