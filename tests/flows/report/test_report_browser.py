"""The page in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from flows.report import build_report, render_html, write_report

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
pytestmark = pytest.mark.browser
AA = 4.5  # WCAG 2.2, 1.4.3, text of normal size
PICTURE_PX = 96  # smaller ones cannot be judged
NARROWEST = """() => Math.min(...[...document.querySelectorAll('details[open] .tiles img')]
  .map(picture => picture.getBoundingClientRect().width))"""
CONTRASTS = """() => {
  const light = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = getComputedStyle(document.body).backgroundColor;
  return [...document.querySelectorAll('.heat td, .picker td:not(.void), .swatch')].map(cell => {
    const style = getComputedStyle(cell), clear = style.backgroundColor === 'rgba(0, 0, 0, 0)';
    const pair = [light(style.color), light(clear ? ground : style.backgroundColor)];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  });
}"""

OVERLAPS = """() => [...document.querySelectorAll('.column')].flatMap(card => {
  const end = card.getBoundingClientRect().bottom + 1;
  return [...card.querySelectorAll('.card *')].filter(e => e.getBoundingClientRect().bottom > end)
    .map(e => e.tagName);
})"""


@pytest.fixture
def browser() -> Iterator[Any]:
    """A headless Chromium; the test skips where there is none."""
    path = os.environ.get("GRISTMILL_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("no chromium here")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - starts a driver

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


def test_the_page_in_a_browser(browser: Any, image_run: Any) -> None:
    """Nothing is requested or refused, headings are there, nothing sticks out, keys suffice."""
    _, page_file = write_report(image_run.path, build_report(image_run.path, **image_run.options()))
    asked, said = _watch(browser, page_file)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 2
    assert said == []


def _watch(browser: Any, page_file: Path) -> tuple[list[str], list[str]]:
    """Open the page wide and narrow, light and dark; return requests and console messages."""
    asked: list[str] = []
    said: list[str] = []
    for width, scheme in ((1280, "light"), (420, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                reduced_motion="reduce")  # fmt: skip
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(page_file.as_uri())
        assert page.locator("h1").inner_text().startswith("Cleaning helps: +1.6 points")
        assert page.locator("h2").count() >= 9
        assert page.locator("svg.chart:visible").count() == 5
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
        page.click("nav a[href='#findings']")
        assert abs(page.locator("#findings").bounding_box()["y"]) < 120
        page.close()
    return asked, said


def test_a_pair_of_metrics_is_chosen(browser: Any, gallery_report: Any, tmp_path: Path) -> None:
    """One plot is seen at a time; a click, or a key, on another pair shows that one instead."""
    page, asked = _open(browser, gallery_report, tmp_path, width=1280, scheme="light")
    plots = page.locator(".plot:visible")
    assert plots.count() == 1
    first = plots.locator("figcaption").inner_text()
    page.click("label:has(#pair-2-6)")
    assert plots.count() == 1
    assert plots.locator("figcaption").inner_text() == "aspect ratio over sharpness p90"
    assert plots.locator("figcaption").inner_text() != first
    page.keyboard.press("ArrowRight")
    assert plots.locator("figcaption").inner_text() == "aspect ratio over entropy bits"
    for x, y in combinations(range(8), 2):
        page.check(f"#pair-{x}-{y}", force=True)
        assert plots.count() == 1
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_the_gallery_can_be_read(
    browser: Any, gallery_report: Any, tmp_path: Path, scheme: str, width: int
) -> None:
    """Nothing sticks out, text on colour has a contrast of 4.5, pictures are 96 px or more wide."""
    page, _ = _open(browser, gallery_report, tmp_path, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 1000
    assert min(contrasts) >= AA
    assert page.evaluate(NARROWEST) >= PICTURE_PX
    page.close()


def _open(
    browser: Any, report: Any, folder: Path, *, width: int, scheme: str
) -> tuple[Any, list[str]]:
    file = folder / "report.html"
    file.write_text(render_html(report), "utf-8")
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return page, asked


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_a_table_can_be_read(
    browser: Any, table_run: Any, tmp_path: Path, width: int, scheme: str
) -> None:
    """With all cards open nothing sticks out, colour is legible, and a key opens a card."""
    report = build_report(table_run.path, **table_run.options())
    page, asked = _open(browser, report, tmp_path, width=width, scheme=scheme)
    closed = page.locator("details.column:not([open])")
    count = closed.count()
    closed.first.locator("summary").press("Enter")
    assert closed.count() == count - 1
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OVERLAPS) == []
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert min(contrasts) >= AA
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
