"""The three pictures: learning curves, effects with intervals, what was taken out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.effects import ARMS, CONTRASTS, find_effect
from flows.report.figures import number
from flows.report.ledger import FATES
from flows.report.vector import draw, token
from flows.report.words import name_arm, shown

BARS_MAX = 10
TIGHT_SPAN = 0.06
FLAT_SHARE = 1 / 8
WIDE_PX, NARROW_PX = 840, 330
DASHES = {"raw_again": [2, 3], "random_drop": [7, 3], "oracle": [1, 3]}
AXIS = {
    "labelColor": token("muted"), "titleColor": token("muted"), "gridColor": token("line"),
    "tickColor": token("line"), "domainColor": token("line"), "labelFontSize": 11,
    "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 8, "labelPadding": 6,
    "tickSize": 4,
}  # fmt: skip


def _altair() -> Any:
    """Load altair, a third of a second, only when something is drawn."""
    return importlib.import_module("altair")


def draw_curves(report: Mapping[str, Any], tier: str | None, *, narrow: bool) -> str | None:
    """Return the learning curves of one tier with their bands; None without curves.

    The accuracy axis begins where the slowest arm stands after an eighth of the steps: what comes
    before is the same for all and would flatten the part that differs.
    """
    arms = [curve for curve in report["curves"] if curve["tier"] == tier]
    rows = [{"arm": curve["arm"], **point} for curve in arms for point in curve["points"]]
    if not rows:
        return None
    begin = FLAT_SHARE * max(row["step"] for row in rows)
    low = min(row["low"] for row in rows if row["step"] >= begin)
    high = max(row["high"] for row in rows)
    text = ".0%" if high - low > TIGHT_SPAN else ".1%"
    size = (NARROW_PX, 230) if narrow else (WIDE_PX, 280)
    ends = ", ".join(f"{name_arm(a['arm'])} {100 * a['points'][-1]['mean']:.1f} %" for a in arms)
    says = f"Validation accuracy over steps, tier {tier}. At the end: {ends}."
    spec = _plan_bands(rows, text, size, {"zero": False, "domain": [low, high]})
    return draw(spec, name=name_picture("curves", tier, narrow=narrow), says=says)


def draw_gaps(report: Mapping[str, Any], tier: str | None, *, narrow: bool) -> str | None:
    """Return each arm's lead over the raw arm of the same seed, in points, over the steps.

    The axis is fitted to what comes after a quarter of the steps: before, chance rules.
    """
    arms = [curve for curve in report["curves"] if curve["tier"] == tier and curve["gaps"]]
    rows = [{"arm": curve["arm"], **point} for curve in arms for point in curve["gaps"]]
    if not rows:
        return None
    ends = ", ".join(f"{name_arm(a['arm'])} {a['gaps'][-1]['mean']:+.2f}" for a in arms)
    says = f"Lead over the raw arm of the same seed in points. At the end: {ends}."
    size = (NARROW_PX if narrow else WIDE_PX, 150)
    begin = 2 * FLAT_SHARE * max(row["step"] for row in rows)
    late = [row for row in rows if row["step"] >= begin]
    domain = [min(0.0, *(row["low"] for row in late)), max(0.0, *(row["high"] for row in late))]
    spec = _plan_bands(rows, "+.2~f", size, {"domain": domain})
    return draw(spec, name=name_picture("gaps", tier, narrow=narrow), says=says)


def _plan_bands(
    rows: list[dict[str, Any]], text: str, size: tuple[int, int], scale: dict[str, Any]
) -> dict[str, Any]:
    """Return the specification of lines with bands over arm, step, mean, low, high."""
    alt = _altair()
    names = list(dict.fromkeys(row["arm"] for row in rows))
    dashes = alt.Scale(domain=names, range=[DASHES.get(name, [1, 0]) for name in names])
    steps = alt.Axis(tickCount=max(4, size[0] // 100))
    x = alt.X("step:Q", title="optimiser step", scale=alt.Scale(nice=False), axis=steps)
    y = {
        "title": None,
        "axis": alt.Axis(format=text, tickCount=max(3, size[1] // 50)),
        "scale": alt.Scale(nice=True, **scale),
    }
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, color=_colour(alt.Color, names))
    band = base.mark_area(opacity=0.16, clip=True).encode(y=alt.Y("low:Q", **y), y2="high:Q")
    line = base.mark_line(strokeWidth=2, clip=True).encode(
        y=alt.Y("mean:Q", **y), strokeDash=alt.StrokeDash("arm:N", legend=None, scale=dashes)
    )
    return dress(band + line, *size)


def list_contrasts(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the contrasts on final accuracy that have an interval, of every tier."""
    described = report["experiment"] or {"tiers": [], "primary": None}
    tiers = sorted(described["tiers"], key=lambda tier: tier["tier"] != described["primary"])
    rows = []
    for arm, versus in CONTRASTS:
        for tier in tiers:
            effect = find_effect(tier, arm, versus) or {}
            values = {key: number(effect.get(key)) for key in ("estimate", "low", "high")}
            if None not in values.values():
                contrast = f"{name_arm(arm)} \u2212 {name_arm(versus)}"
                first = tier["tier"] == described["primary"]
                told = {"contrast": contrast, "arm": arm, "tier": tier["tier"], "first": first}
                rows.append(told | values)
    return rows


def draw_effects(report: Mapping[str, Any]) -> str | None:
    """Return the effects on test accuracy as a forest of intervals; None without any."""
    rows = list_contrasts(report)
    if not rows:
        return None
    alt = _altair()
    names = list(dict.fromkeys(row["contrast"] for row in rows))
    tiers = list(dict.fromkeys(row["tier"] for row in rows))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=_names("contrast:N", names), yOffset=alt.YOffset("tier:N", sort=tiers)
    )
    title = "percentage points of test accuracy"
    rule = base.mark_rule(strokeWidth=2.5, strokeCap="round").encode(
        x=alt.X("low:Q", title=title, axis=alt.Axis(tickCount=4)),
        x2="high:Q",
        color=_colour(alt.Color, arms),
    )
    hollow = alt.value(token("paper"))
    point = base.mark_point(size=70, strokeWidth=2, opacity=1, shape="circle").encode(
        x="estimate:Q",
        stroke=_colour(alt.Stroke, arms),
        fill=alt.condition("datum.first", _colour(alt.Fill, arms), hollow),
    )
    chart = alt.layer(*_ground(report), rule, point)
    says = "; ".join(
        f"{row['contrast']} ({row['tier']}): {row['estimate']:+.2f} "
        f"[{row['low']:+.2f}, {row['high']:+.2f}] points"
        for row in rows
    )
    height = 46 * len(names) + 20 * (len(tiers) - 1)
    return draw(dress(chart, 300, height), name="effects", says=says)


def _ground(report: Mapping[str, Any]) -> list[Any]:
    """Return the line at zero and, below it, the margin within which nothing matters."""
    alt = _altair()
    zero = alt.Chart(alt.Data(values=[{"low": 0}])).encode(x="low:Q")
    layers = [zero.mark_rule(color=token("muted"), strokeWidth=1)]
    margin = number(report["verdict"].get("margin"))
    if margin is not None:
        data = alt.Data(values=[{"low": -margin, "high": margin}])
        shade = alt.Chart(data).mark_rect(color=token("wash")).encode(x="low:Q", x2="high:Q")
        layers.insert(0, shade)
    return layers


def draw_taken(report: Mapping[str, Any]) -> str | None:
    """Return bars by check of what was dropped, quarantined, repaired, down-weighted."""
    bars = [{**bar, "check": shown(bar["check_id"], 40)} for bar in report["taken"][:BARS_MAX]]
    if not bars:
        return None
    alt = _altair()
    rows = [
        {"check": bar["check"], "fate": fate, "count": bar[fate], "order": order}
        for bar in bars
        for order, fate in enumerate(FATES)
        if bar[fate]
    ]
    totals = [{"check": bar["check"], "total": sum(bar[fate] for fate in FATES)} for bar in bars]
    y = _names("check:N", [bar["check"] for bar in bars])
    colours = [token(fate.replace("_", "-")) for fate in FATES]
    scale = alt.Scale(domain=list(FATES), range=colours)
    axis = alt.Axis(tickCount=5, format="~s", tickMinStep=1)
    marks = alt.Chart(alt.Data(values=rows)).mark_bar(height=14).encode(
        x=alt.X("count:Q", title="samples", stack=True, axis=axis), y=y, order="order:O",
        color=alt.Color("fate:N", legend=None, scale=scale),
    )  # fmt: skip
    labels = alt.Chart(alt.Data(values=totals)).encode(
        x=alt.X("total:Q", title="samples"), y=y, text=alt.Text("total:Q", format=",")
    )
    labels = labels.mark_text(align="left", dx=5, fontSize=11, color=token("muted"))
    says = "; ".join(f"{one['check']}: {one['total']}" for one in totals)
    spec = dress(marks + labels, 280, 28 * len(bars) + 10)
    return draw(spec, name="taken", says=f"Samples taken out or changed by check. {says}.")


def _colour(channel: Any, arms: Sequence[str]) -> Any:
    """Return the colour, stroke or fill channel of arms."""
    colours = [token(arm.replace("_", "-") if arm in ARMS else "other") for arm in arms]
    return channel("arm:N", legend=None, scale=_altair().Scale(domain=list(arms), range=colours))


def _names(field: str, order: Sequence[str]) -> Any:
    alt = _altair()
    axis = alt.Axis(labelFontSize=12, domain=False, ticks=False, labelLimit=190)
    return alt.Y(field, sort=list(order), title=None, axis=axis)


def name_picture(picture: str, tier: str | None, *, narrow: bool) -> str:
    """Return a picture's name, unique on the page: [a-zA-Z0-9-]."""
    safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in str(tier))
    return f"{picture}-{'narrow' if narrow else 'wide'}-{safe}"


def dress(chart: Any, width: int, height: int) -> dict[str, Any]:
    """Return the chart's specification in the page's clothes: no frame, quiet grid, our colours."""
    room = {"left": 14, "right": 8, "top": 4, "bottom": 4}
    sized = chart.properties(width=width, height=height, padding=room, background="transparent")
    return dict(sized.configure_view(stroke=None).configure_axis(**AXIS).to_dict())
