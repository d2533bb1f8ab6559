"""The page in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.report import build_report, write_report

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
pytestmark = pytest.mark.browser


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
        assert page.locator("svg.chart:visible").count() == 4
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
        page.click("nav a[href='#findings']")
        assert abs(page.locator("#findings").bounding_box()["y"]) < 120
        page.close()
    return asked, said
