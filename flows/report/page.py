"""The report as one HTML page that needs no network, no script and no other file."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import (
    BytecodeCache,
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    StrictUndefined,
)
from markupsafe import Markup

from flows.report import charts
from flows.report.cards import draw_steps
from flows.report.column_words import NOTHING, is_placeholder
from flows.report.drift import draw_drift
from flows.report.effects import interval
from flows.report.figures import compact, share, signed
from flows.report.heatmap import shade
from flows.report.label_noise import draw_budgets
from flows.report.lever_picture import draw_levers
from flows.report.levers import tell_times
from flows.report.scatter import draw_pair
from flows.report.speedup_curve import draw_speedups
from flows.report.table import CARDS_MAX, ROWS_MAX
from flows.report.verdict import tell_ratio, tell_trainings
from flows.report.words import (
    headline,
    name_arm,
    name_endpoint,
    name_question,
    name_stage,
    reveal,
    shown,
    told,
    typeset,
)  # fmt: skip

HERE = Path(__file__).parent
STYLE_SHEETS = ("report.css", "gallery.css", "table.css", "labels.css")
OPEN_FINDINGS, OPEN_COLUMNS = 6, 2


def render_html(report: Mapping[str, Any]) -> str:
    """Return the page of a report made by `build_report`, as text to be written as UTF-8.

    The page forbids itself every request and every script by its content security policy; all
    that comes from data is escaped.
    """
    css = "".join((HERE / name).read_text("utf-8") for name in STYLE_SHEETS)
    style_hash = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    template = _environment().get_template("report.html")
    return template.render(
        report=report,
        css=Markup(css),  # noqa: S704 - our own style sheet, of which the policy holds the digest
        style_hash=style_hash,
        headline=typeset(headline(report)),
        word=name_stage(report),
        pictures=_draw_pictures(report),
        contents=_list_contents(report),
        open_findings=OPEN_FINDINGS,
        open_columns=OPEN_COLUMNS,
        cards_max=CARDS_MAX,
        rows_max=ROWS_MAX,
        checked=all(gap["station"] != "check" for gap in report["missing"]),
        places={one["check_id"]: at for at, one in enumerate(report["findings"], 1)},
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        finalize=_finalize, bytecode_cache=_compiled_templates(),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        shown=shown, told=told, typeset=typeset, compact=compact, share=share, signed=signed,
        arm=name_arm, endpoint=name_endpoint, question=name_question, trainings=tell_trainings,
        interval=_interval, columns_of=_columns_of, size=_size,
        fate=lambda name: str(name).replace("_", "-"), tall=_tall, cell=_cell,
        steps=draw_steps, shade=shade, dots=draw_pair, rooted=_rooted, brief=_brief,
        rho=_rho, tone=_tone, percent=_percent, spared=_is_spared,
        nothing=lambda gap: NOTHING.get(gap, gap), is_placeholder=is_placeholder, tie=_tie,
        sure=_sure, figure=_figure, budgets=draw_budgets, chance=_chance, within=_within,
        points=_points, times=tell_times, sentence=_sentence,
        as_text=_as_text, ratio=tell_ratio, file=lambda uri: str(uri).rpartition("/")[2],
    )  # fmt: skip
    return environment


def _compiled_templates() -> BytecodeCache | None:
    """Where compiled templates lie: beside them, as Python keeps its own; None if it is read-only.

    Compiling them is half of what a page costs.
    """
    folder = HERE / "__pycache__"
    usable = folder.is_dir() and os.access(folder, os.W_OK)
    return FileSystemBytecodeCache(str(folder), "%s.jinja") if usable else None


def _finalize(value: Any) -> Any:
    """Let no text into the page, escaped or not, whose characters hide or turn it around."""
    return reveal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _draw_pictures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the SVG of each picture; None where there is nothing to draw."""
    primary = (report["experiment"] or {}).get("primary")
    tiers = list(dict.fromkeys(curve["tier"] for curve in report["curves"]))
    others = [tier for tier in tiers if tier != primary] if primary in tiers else tiers[1:]
    first = primary if primary in tiers else next(iter(tiers), None)
    return {
        "tier": first,
        "curves": _safe(charts.draw_curves(report, first, narrow=False)),
        "curves_narrow": _safe(charts.draw_curves(report, first, narrow=True)),
        "gaps": _safe(charts.draw_gaps(report, first, narrow=False)),
        "gaps_narrow": _safe(charts.draw_gaps(report, first, narrow=True)),
        "speedups": _safe(draw_speedups(report, first, narrow=False)),
        "speedups_narrow": _safe(draw_speedups(report, first, narrow=True)),
        "levers": [_safe(draw_levers(report, narrow=narrow)) for narrow in (False, True)],
        "others": [(t, _safe(charts.draw_curves(report, t, narrow=True))) for t in others],
        "effects": _safe(charts.draw_effects(report)),
        "taken": _safe(charts.draw_taken(report)),
        "drift": {at: _safe(svg) for at, svg in draw_drift(report).items()},
    }


def _safe(svg: str | None) -> Markup | None:
    return None if svg is None else Markup(svg)  # noqa: S704 - rebuilt from a list of shapes by vector.py


def _list_contents(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (anchor, title) of the sections that this report has."""
    sections = (
        ("verdict", "Verdict" if report["experiment"] else "Overview", True),
        ("pictures", "Pictures", report["curves"] or report["experiment"] or report["taken"]),
        ("arms", "Arms", report["experiment"]),
        ("resplits", "Other divisions", report["resplits"]),
        ("levers", "What buys more", report["levers"]),
        ("gate", "Quality gate", report["gate"]),
        ("findings", "Findings", report["findings"]),
        ("problems", "Problems", report["source"]["problems"]),
        ("labels", "Labels", report["labels"]),
        ("harm", "Hurt most", report["harm"]),
        ("slices", "Slices", report["slices"]),
        ("reviews", "Reviews", report["reviews"]),
        ("cells", "Wrong cells", report["cells"]),
        ("repairs", "Repairs", report["repairs"]),
        ("columns", report["columns"]["kind"].capitalize(), report["columns"]["rows"]),
        ("gaps", "Missing together", report["gaps"]),
        ("ties", "Related columns", report["ties"]),
        ("duplicates", "Duplicates", report["duplicates"]["groups"]),
        ("scatter", "Two metrics", report["scatter"]),
        ("heatmap", "Class by check", report["heatmap"]),
        ("classes", "Classes", report["classes"]),
        ("defects", "Planted defects", report["defects"]),
        ("drift", "Drift", True),
        ("method", "How measured", True),
        ("ledger", "Ledger", report["ledger"]),
        ("reproduce", "Reproduce", True),
    )
    return [(anchor, title) for anchor, title, there in sections if there]


def _interval(effect: Mapping[str, Any]) -> str:
    digits = {"pp": 2, "steps": 0, "nats": 4}.get(str(effect.get("unit")), 3)
    return interval(dict(effect), digits)


def _columns_of(rows: list[Mapping[str, Any]]) -> list[str]:
    """Return the keys of records whose values fit into a cell, in order of appearance."""
    keys = (key for row in rows if isinstance(row, Mapping) for key in row)
    return [
        key
        for key in dict.fromkeys(keys)
        if all(not isinstance(row.get(key), dict) for row in rows)
    ]


def _cell(value: Any) -> str:
    """Return any value for a table cell."""
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    return compact(value) if isinstance(value, int | float) or value is None else shown(value)


def _as_text(value: Any) -> Markup:
    """Return nested data as indented JSON, each line made safe to show."""
    lines = json.dumps(value, indent=2, ensure_ascii=False).splitlines()
    return Markup("\n").join(shown(line, 200) for line in lines)


def _size(count: int) -> str:
    """Return bytes as people read them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - decimal prefixes
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _tall(counts: list[int], height: int = 32) -> list[float]:
    """Return bar heights of a histogram; what is not zero stays visible."""
    top = max(counts, default=0) or 1
    return [round(max(1.0, height * count / top), 1) if count else 0.0 for count in counts]


def _rooted(counts: list[int], height: int = 48) -> list[float]:
    """Return bar heights that grow with the square root of counts: one in a thousand is seen."""
    top = max(counts, default=0) or 1
    return [round(height * (count / top) ** 0.5, 1) for count in counts]


def _brief(value: float | None) -> str:
    """Return a number of three digits, with a prefix from ten thousand on."""
    if value is None or abs(value) < 1e4:  # noqa: PLR2004 - short enough as it is
        return compact(None if value is None else float(f"{value:.3g}"))
    unit = "M" if abs(value) >= 1e6 else "k"  # noqa: PLR2004 - decimal prefixes
    return f"{value / (1e6 if unit == 'M' else 1e3):.3g} {unit}"


def _rho(value: float | None) -> str:
    """Return a correlation as short as it can be read: -.52."""
    if value is None:
        return "\u2013"
    return ("\u2212" if value < 0 else "") + f"{abs(value):.2f}".removeprefix("0")


def _figure(value: Any) -> str:
    """Return a value of a column; whole numbers of four digits, years for one, stay together."""
    plain = isinstance(value, int | float) and value == round(value) and abs(value) < 1e4  # noqa: PLR2004
    return f"{value:.0f}".replace("-", "\u2212") if plain else _cell(value)


def _sure(confidence: float) -> str:
    """Return a confidence; what is short of certain does not round up to it."""
    almost = 0.995 <= confidence < 1.0  # noqa: PLR2004 - it would read 100 %
    return "> 99 %" if almost else share(confidence)


def _chance(value: float) -> str:
    """Return a p value as short as it can be read: .03."""
    if value < 0.001:  # noqa: PLR2004 - three digits are enough
        return "< .001"
    return f"{value:.3f}".removeprefix("0") if value < 0.9995 else "1"  # noqa: PLR2004


def _points(value: float) -> str:
    """Return a part of an accuracy in percentage points, of two digits."""
    return ("\u2212" if value < 0 else "") + f"{abs(100 * value):#.2g}".rstrip(".") + "\u00a0pp"


def _sentence(text: str) -> str:
    """Return a text that begins and ends as a sentence does."""
    return (text[:1].upper() + text[1:].rstrip(".") + ".").replace(" %", "\u00a0%")


def _within(told: Mapping[str, Any] | None, *, counts: bool = False) -> str:
    """Return the interval of a share, or of a count, in words; nothing where there is none."""
    if not told or told.get("low") is None or told.get("high") is None:
        return ""
    form = compact if counts else share
    return f"{form(told['low'])} to {form(told['high'])}"


def _tie(value: float, measure: str) -> str:
    """Return how closely two columns hang together: with a sign where it has a direction."""
    sign = ("\u2212" if value < 0 else "+") if measure == "rank" and round(value, 2) else ""
    near = abs(value) if abs(value) in (0.0, 1.0) else min(abs(value), 0.99)
    return sign + f"{near:.2f}".removeprefix("0").replace("1.00", "1")


def _tone(value: float | None) -> int:
    """Return the colour step of a correlation, 0 (none) to 4 (close)."""
    return min(4, int(5 * abs(value or 0.0)))


def _percent(value: float) -> str:
    """Return a share for a narrow cell, without its unit."""
    if 0 < value < 0.0005:  # noqa: PLR2004 - rounds to nothing
        return "<.1"
    return f"{100 * value:.0f}" if value >= 0.0995 or not value else f"{100 * value:.1f}"  # noqa: PLR2004


def _is_spared(example: Mapping[str, Any], measure: Mapping[str, Any]) -> bool:
    """Say whether a flagged value lies on the good side: another condition of the check did it."""
    value, threshold = example["measured"], measure["threshold"]
    if value is None or threshold is None:
        return False
    return bool(value > threshold if measure["side"] == "below" else value < threshold)
