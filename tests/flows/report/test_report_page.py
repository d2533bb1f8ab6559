"""The page: offline, escaped, small, the same as on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from flows.report import build_report, render_html, render_markdown
from flows.report.facts import describe_facts
from flows.report.vector import clean_svg
from tests.flows.report.pages import assert_harmless, parse

HOSTILE = '<script>alert(\'x\')</script>" onload="alert(1)" javascript:alert(1) http://e.vil/\u202e'
OCCASION = {"run": "monday", "machine": {"cores": 2}, "versions": {}, "seconds": {}}
PAGE_BYTES_MAX = 1_500_000


def poison(value: Any) -> Any:
    """Return a report whose every text is hostile; numbers, keys and pictures stay."""
    if isinstance(value, dict):
        return {
            key: item if key in ("thumbnails", "details") else poison(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [poison(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def test_the_page_is_the_golden_one(table_run: Any, settle: Callable[[str, str], str]) -> None:
    """The page of the made-up table is, but for style sheet and charts, the one on record."""
    report = build_report(table_run.path, **table_run.options()) | {"occasion": OCCASION}
    html = re.sub(r"<style>.*?</style>", "<style></style>", render_html(report), flags=re.DOTALL)
    html = re.sub(r"sha256-[^']+", "sha256-", html)
    made = re.sub(r'(<svg[^>]* class="chart"[^>]*>).*?</svg>', r"\1</svg>", html, flags=re.DOTALL)
    made = re.sub(r'viewBox="0 0 \d+ \d+" class="chart"', 'class="chart"', made)
    assert settle("report.html", made) == made


@pytest.mark.parametrize("kind", ["image_run", "table_run"])
def test_every_text_is_escaped(kind: str, request: pytest.FixtureRequest) -> None:
    """With every text of the report hostile, the page still runs nothing and loads nothing."""
    made = request.getfixturevalue(kind)
    report = poison(build_report(made.path, **made.options()))
    html = render_html(report)
    assert_harmless(html)
    assert "\u202e" not in html
    assert "<script" not in render_markdown(report)


def test_no_address_outside(image_run: Any) -> None:
    """The page names no address outside itself and forbids all requests but data: pictures."""
    html = render_html(build_report(image_run.path, **image_run.options()))
    assert_harmless(html)
    assert "://" not in html
    assert not re.search(r"url\((?!#)|@import", html)
    policy = next(a["content"] for t, a in parse(html).tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_the_page_stays_small(image_run: Any) -> None:
    """With 80 checks, long names and 60 columns, a page is below 1.5 MB beside its pictures."""
    report = build_report(image_run.path, **image_run.options())
    for section in report["findings"]:
        for example in section["examples"]:
            example |= {"uri": "x" * 4000, "evidence": "y" * 4000}
    report["findings"] = report["findings"] * 20
    report["columns"]["rows"] = report["columns"]["rows"] * 30
    html = render_html(report)
    pictures = sum(len(uri) for uri in re.findall(r'src="(data:[^"]+)"', html))
    assert len(html.encode()) - pictures < PAGE_BYTES_MAX


def test_the_page_can_be_read_aloud(image_run: Any) -> None:
    """One h1, no level skipped, pictures with words, every link of the contents arrives."""
    page = parse(render_html(build_report(image_run.path, **image_run.options())))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    charts = [a for tag, a in page.tags if tag == "svg" and "aria-hidden" not in a]
    assert all(attributes.get("aria-label") for attributes in charts)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for t, a in page.tags if t == "a" and str(a["href"])[0] == "#"}
    assert targets <= set(ids)


def test_failed_gate_is_said_first(table_run: Any) -> None:
    """A failed gate stands in the verdict's section, with the rule and the batch that broke it."""
    html = render_html(build_report(table_run.path, **table_run.options()))
    assert html.index("The quality gate failed: 1 of 3") < html.index('id="pictures"')
    assert "train/flights.csv 0.113" in html


def test_charts_are_only_shapes() -> None:
    """Scripts, handlers, links, styles and foreign content are taken out of a chart."""
    bad = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>x()</script>'
        '<a href="http://e.vil"><path d="M0,0"/></a><foreignObject><b>x</b></foreignObject>'
        '<rect width="1" height="1" onclick="x()" style="fill:red" fill="#000001"/></svg>'
    )
    cleaned = clean_svg(bad, name="n", says='"><script>')
    assert_harmless(cleaned)
    assert 'fill="var(--ink)"' in cleaned
    with pytest.raises(ValueError, match="declaration"):
        clean_svg('<!DOCTYPE svg [<!ENTITY a "b">]><svg/>', name="n", says="")


def test_rules_of_a_contract_tell_their_counts(table_run: Any) -> None:
    """A rule of a contract is told with its failures and tolerance by column, escaped."""
    report = build_report(table_run.path, **table_run.options()) | {"occasion": OCCASION}
    section = next(f for f in report["findings"] if f["check_id"].startswith("contract:"))
    counts = {"failures": 12, "rows": 345, "fraction": 0.03, "tolerance": 0.02, "passed": False}
    rules = {"a": {"column": HOSTILE, "severity": "error", **counts}}
    section["facts"] = describe_facts(section["check_id"], {"rules": rules})
    html = render_html(report)
    assert_harmless(html)
    assert "How often this rule of the contract is broken" in html
    assert ">345<" in html
