"""The picture of the levers: what each change bought in accuracy, and in time to the target."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from flows.report.charts import NARROW_PX, WIDE_PX, dress, name_picture
from flows.report.vector import draw, token

HEIGHT_PX = 360
TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10)


def draw_levers(report: Mapping[str, Any], *, narrow: bool) -> str | None:
    """Return points of test accuracy with intervals over times sooner; None without levers.

    Right and up is better. Changes bear their number in the table; what lies beyond the axis is
    drawn at its edge as a triangle that points there.
    """
    rows = [_place(row) for row in (report["levers"] or {"rows": []})["rows"] if row["seconds"]]
    if not rows:
        return None
    says = "; ".join(f"{row['name']}: {row['gain']:+.2f} points, {row['x']:.2f}" for row in rows)
    ends = report["levers"]["ends"]
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
        "right": row["rank"] % 2 == 1 or row["cleaning"],
        "gain": gain["estimate"], "y": gain["estimate"], "low": gain["low"], "high": gain["high"],
        "x": row["seconds"]["ratio"],
    }  # fmt: skip


def _plan(
    rows: list[dict[str, Any]], ends: tuple[float, float], size: tuple[int, int]
) -> dict[str, Any]:
    alt = importlib.import_module("altair")
    times = [row["x"] for row in rows]
    sides = [min(0.9, *times) / 1.06, max(1.1, *times) * 1.06]
    ticks = [tick for tick in TICKS if sides[0] <= tick <= sides[1]]
    x = alt.X("x:Q", title="times sooner at the target, CPU seconds",
              scale=alt.Scale(type="log", domain=sides, nice=False),
              axis=alt.Axis(format=".2~f", values=ticks))  # fmt: skip
    y = {"title": None, "scale": alt.Scale(domain=list(ends), nice=False),
         "axis": alt.Axis(format="+.2~f", tickCount=7)}  # fmt: skip
    even = {"color": token("muted"), "strokeWidth": 1}
    layers = [
        alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(**even).encode(y=alt.Y("y:Q", **y)),
        alt.Chart(alt.Data(values=[{"x": 1}])).mark_rule(**even).encode(x=x),
        *_draw([row for row in rows if not row["cleaning"]], x, y, cleaning=False),
        *_draw([row for row in rows if row["cleaning"]], x, y, cleaning=True),
    ]
    return dress(alt.layer(*layers), *size)


def _draw(rows: list[dict[str, Any]], x: Any, y: dict[str, Any], *, cleaning: bool) -> list[Any]:
    """Return the layers of some changes: intervals, points, and names beside them."""
    alt = importlib.import_module("altair")

    def chart(chosen: list[dict[str, Any]]) -> Any:
        return alt.Chart(alt.Data(values=chosen)).encode(x=x, y=alt.Y("y:Q", **y))

    colour = token("cleaned" if cleaning else "other")
    thin = {"strokeWidth": 2.5} if cleaning else {"strokeWidth": 1.2, "opacity": 0.5}
    spans = alt.Chart(alt.Data(values=rows)).mark_rule(color=colour, **thin)
    layers = [spans.encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q")]
    for kind, shape in (("in", "circle"), ("up", "triangle-up"), ("down", "triangle-down")):
        if some := [row for row in rows if row["kind"] == kind]:
            mark = {"shape": shape, "size": 110 if cleaning else 44, "opacity": 1, "filled": True}
            layers.append(chart(some).mark_point(color=colour, **mark))
    bold = {"fontSize": 13, "fontWeight": "bold", "color": colour}
    plain = {"fontSize": 11, "color": token("muted")}
    for right, side in ((True, {"align": "left", "dx": 7}), (False, {"align": "right", "dx": -6})):
        if some := [row for row in rows if row["right"] == right]:
            text = chart(some).mark_text(dy=-5, **side, **(bold if cleaning else plain))
            layers.append(text.encode(text="name:N" if cleaning else "rank:N"))
    return layers
