"""The picture of the speed-up: how many times sooner the cleaned arm reaches each accuracy."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from flows.report.axes import Axis
from flows.report.charts import NARROW_PX, WIDE_PX, dress, name_picture
from flows.report.figures import number
from flows.report.vector import draw, token

HEIGHT_PX = 180
GAP = 0.12  # least between two ticks, as a share of the axis
STEEP = 4.0  # a side that reaches further than this has the ticks of a logarithm


def draw_speedups(report: Mapping[str, Any], tier: str | None, *, narrow: bool) -> str | None:
    """Return the ratio of times to target over the target, with its band; None without points.

    Bounds, where one of the arms was cut off by the budget, are dashed and end in triangles that
    point to where the truth lies. The axis is logarithmic: half as fast is as far from 1 as
    twice as fast.
    """
    tiers = (report["experiment"] or {"tiers": []})["tiers"]
    points = [row for one in tiers if one["tier"] == tier for row in one["speedup_curve"]]
    rows = [row for row in map(_describe, points) if row]
    if not rows:
        return None
    size = (NARROW_PX if narrow else WIDE_PX, HEIGHT_PX)
    last = rows[-1]
    bound = {"held": "", "more": "at least ", "less": "at most "}[last["kind"]]
    says = (
        f"Times as fast as raw over the target accuracy, tier {tier}. At {last['accuracy']:.1%}: "
        f"{bound}{last['ratio']:.2f} [{last['low']:.2f}, {last['high']:.2f}]."
    )
    return draw(_plan(rows, size), name=name_picture("speedups", tier, narrow=narrow), says=says)


def _describe(row: Mapping[str, Any]) -> dict[str, Any] | None:
    keys = ("accuracy", "ratio", "low", "high")
    values = {key: number(row.get(key)) for key in keys}
    if None in values.values() or min(values["ratio"], values["low"]) <= 0:  # type: ignore[type-var, operator]
        return None
    kind = "more" if row.get("at_least") else "less" if row.get("at_most") else "held"
    return {**values, "kind": kind}


def choose_ratios(low: float, high: float) -> list[float]:
    """Return round ratios to mark on a logarithmic axis around 1, far enough apart to be read.

    Args:
        low: below 1, above 0.
        high: above 1.

    >>> choose_ratios(0.56, 1.6)
    [0.6, 0.8, 1.0, 1.2, 1.4, 1.6]
    """
    axis, chosen = Axis(low, high, log=True), [1.0]
    for side in (Axis(low, 1.0, log=low * STEEP < 1), Axis(1.0, high, log=high > STEEP)):
        last = 1.0
        for ratio in sorted(side.rounds(), key=lambda value: abs(value - 1)):
            at = axis.place(np.array([ratio, last]))
            if abs(at[0] - at[1]) >= GAP:
                last = round(ratio, 6)
                chosen.append(last)
    return sorted(chosen)


def _plan(rows: list[dict[str, Any]], size: tuple[int, int]) -> dict[str, Any]:
    alt = importlib.import_module("altair")
    ends = [0.97, 1.03]
    domain = [min(ends[0], *(r["low"] for r in rows)), max(ends[1], *(r["high"] for r in rows))]
    x = alt.X("accuracy:Q", title="target: validation accuracy", axis=alt.Axis(format=".3~%"),
              scale=alt.Scale(zero=False, nice=False))  # fmt: skip
    scale = alt.Scale(type="log", domain=domain, nice=False)
    marks = alt.Axis(format=".3~f", values=choose_ratios(*domain))
    y = {"title": None, "scale": scale, "axis": marks}
    colour = token("cleaned")

    def chart(chosen: list[dict[str, Any]]) -> Any:
        return alt.Chart(alt.Data(values=chosen)).encode(x=x, y=alt.Y("ratio:Q", **y))

    even = alt.Chart(alt.Data(values=[{"ratio": 1}])).mark_rule(color=token("muted"))
    band = alt.Chart(alt.Data(values=rows)).mark_area(opacity=0.16, color=colour)
    layers = [
        band.encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q"),
        even.encode(y=alt.Y("ratio:Q", **y)),
    ]
    begin = next((at for at, row in enumerate(rows) if row["kind"] != "held"), len(rows))
    layers.append(chart(rows[: begin or 1]).mark_line(strokeWidth=2, color=colour))
    bounds = rows[max(0, begin - 1) :] if begin < len(rows) else []
    if bounds:
        layers.append(chart(bounds).mark_line(strokeWidth=2, strokeDash=[4, 3], color=colour))
    for kind, shape in (("more", "triangle-up"), ("less", "triangle-down")):
        if chosen := [row for row in bounds if row["kind"] == kind]:
            mark = {"shape": shape, "size": 36, "opacity": 1, "filled": True, "color": colour}
            layers.append(chart(chosen).mark_point(**mark))
    return dress(alt.layer(*layers), *size)
