"""Turns a chart into inline SVG that follows the page's colours and can do nothing but be seen."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from flows.report.words import reveal

ELEMENTS = frozenset(
    {"svg", "g", "path", "rect", "line", "circle", "text", "tspan", "defs", "clipPath"}
)
ATTRIBUTES = frozenset(
    {
        "viewBox", "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "cx", "cy", "r", "rx", "ry",
        "width", "height", "transform", "fill", "fill-opacity", "stroke", "stroke-opacity",
        "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity",
        "text-anchor", "font-size", "font-weight", "id", "clip-path",
    }
)  # fmt: skip
SHAPES = frozenset({"path", "rect", "line", "circle", "text"})
TOKENS = (
    "ink", "muted", "line", "wash", "paper", "raw", "raw-again", "cleaned", "random-drop",
    "oracle", "other", "dropped", "quarantined", "repaired", "down-weighted",
)  # fmt: skip
_VARIABLES = {f"#0000{i + 1:02x}": f"var(--{name})" for i, name in enumerate(TOKENS)}


def token(name: str) -> str:
    """Return the stand-in for one of the page's colours, for use in a chart.

    >>> token("muted")
    '#000002'
    """
    return f"#0000{TOKENS.index(name) + 1:02x}"


def draw(spec: dict[str, Any], *, name: str, says: str) -> str:
    """Return a Vega-Lite specification as SVG for an HTML page.

    Args:
        spec: with its data inside; no address in it is ever asked.
        name: unique on the page, [a-z-]; becomes the prefix of ids.
        says: what a reader who cannot see the chart is told.
    """
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine, so only when something is drawn

    return clean_svg(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]), name=name, says=says)


def clean_svg(svg: str, *, name: str, says: str) -> str:
    """Return `svg` with nothing but shapes and text in it.

    >>> clean_svg('<svg viewBox="0 0 1 1" onload="x()"><script/><text>a</text></svg>',
    ...           name="n", says="s")
    '<svg viewBox="0 0 1 1" class="chart" role="img" aria-label="s"><text>a</text></svg>'
    """
    if "<!" in svg:
        raise ValueError(f"{name}: a chart holds a declaration, which none of ours does.")
    root = ET.fromstring(svg)  # noqa: S314 - no DTD, see above; the text is our own renderer's
    cleaned = _clean(root, name)
    for size in ("width", "height"):
        cleaned.attrib.pop(size, None)
    cleaned.attrib |= {"class": "chart", "role": "img", "aria-label": reveal(says)}
    return ET.tostring(cleaned, encoding="unicode", short_empty_elements=False)


def _clean(element: ET.Element, name: str) -> ET.Element:
    kept = ET.Element(_local(element.tag), _attributes(element, name))
    if kept.tag in ("text", "tspan"):
        kept.text = reveal(element.text or "")
    for child in element:
        if _local(child.tag) in ELEMENTS and not _is_empty(child):
            kept.append(_clean(child, name))
    return kept


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _is_empty(element: ET.Element) -> bool:
    """Say whether nothing of it can be seen: the renderer leaves many such groups behind."""
    tag = _local(element.tag)
    if tag in SHAPES:
        hidden = element.get("display") == "none" or element.get("d") in ("", "M0,0h0v0h0Z")
        return hidden or (tag == "text" and not element.text and not len(element))
    return tag == "g" and all(_is_empty(child) for child in element)


def _attributes(element: ET.Element, name: str) -> dict[str, str]:
    kept = {}
    for key, value in element.attrib.items():
        if key not in ATTRIBUTES or (key == "opacity" and value == "1"):
            continue
        if key == "id":
            kept[key] = f"{name}-{value}"
        elif key == "clip-path":
            kept[key] = value.replace("url(#", f"url(#{name}-")
        elif key == "transform":
            kept[key] = value
        else:
            kept[key] = _VARIABLES.get(value, value)
    return kept
