import json
import os
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from checks.core.errors import ContractError
from checks.suites.data_docs import make_offline, publish_docs
from checks.suites.gate import run_gate

OUTSIDE = re.compile(
    r"(https?:|ftp:|wss?:)?//[a-z0-9]|url\(|@import|<script|<img|<link|\son\w+=", re.IGNORECASE
)
SHARES = ("unreadable_frac", "missing_label_frac", "leak_rate")
BROWSER = os.environ.get("GRISTMILL_CHROMIUM") or shutil.which("chromium")


def make_table(rows: int) -> pl.DataFrame:
    """A metric table of one batch."""
    counts = {"row_count": [rows, rows], "class_count": [2, 2]}
    shares = {name: [0.0, 0.0] for name in SHARES}
    return pl.DataFrame(
        {"batch": ["all", "train: a"], "split": ["all", "train"], **counts, **shares}
    )


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Docs of one run that passed and, carried on, one that failed."""
    folder = tmp_path_factory.mktemp("runs")
    run_gate(make_table(100), {}, folder / "monday")
    run_gate(make_table(10), {}, folder / "tuesday", history=folder / "monday" / "data_docs")
    return folder / "tuesday" / "data_docs"


def test_no_page_names_anything_outside(docs: Path):
    """No page of the docs holds an address, script, picture, style import or handler."""
    pages = sorted(docs.rglob("*.html"))
    assert len(pages) == 5
    for page in pages:
        assert not OUTSIDE.search(page.read_text(encoding="utf-8")), page.name
        assert "default-src 'none'" in page.read_text(encoding="utf-8")


def test_the_index_lists_all_validations_newest_first(docs: Path):
    """The history of an earlier run is carried over, with its pages, below the newest."""
    index = (docs / "index.html").read_text(encoding="utf-8")
    assert index.index(">failed<") < index.index(">passed<")
    assert index.index("tuesday") < index.index("monday")
    linked = re.findall(r'href="([^"]+)"', index)
    assert len(linked) == 4
    assert all((docs / link).is_file() for link in linked)


def test_links_within_the_docs_lead_somewhere(docs: Path):
    """Every link of every page is a page of the docs or a place in the same page."""
    for page in docs.rglob("*.html"):
        for link in re.findall(r'href="([^"#]+)"', page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file()


def test_hostile_html_is_disarmed():
    """Scripts, handlers, frames, forms, refreshes and outside styles do not survive."""
    page = (
        "<html><head><meta http-equiv=refresh content='0;url=http://a.b'><base href=//a.b>"
        "<style>@import 'http://a.b/c';body{background:url(//a.b/x)}</style></head>"
        '<body onload=alert(1) background="//a.b/x"><img src=x onerror=alert(1)>'
        '<a href="javascript:alert(1)">go</a><a HREF="#here">stay</a><iframe src=//a.b>x</iframe>'
        "<form action=//a.b><button formaction=//a.b>b</button></form>"
        "<svg><image href=//a.b/></svg>"
        '<p style="background:url(//a.b)" data-x="http://a.b">see http://a.b/c</p>'
        "<SCRIPT>alert(1)</SCRIPT><object data=//a.b></object><script>alert(2)"
    )
    clean = make_offline(page, {})
    assert not OUTSIDE.search(clean)
    assert "alert(" not in clean
    assert "javascript" not in clean
    assert '<span>go</span><a href="#here">stay</a>' in clean
    assert "<p>see http&#58;&#47;/a.b/c</p>" in clean


def test_a_broken_history_is_begun_anew(tmp_path: Path, docs: Path):
    """A history file that is no JSON does not stop a run from publishing."""
    shutil.copytree(docs, tmp_path / "data_docs")
    (tmp_path / "data_docs" / "history.json").write_text("{")
    run_gate(make_table(100), {}, tmp_path)
    assert len(json.loads((tmp_path / "data_docs" / "history.json").read_text())) == 1


def test_only_the_newest_validations_are_kept(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
):
    """Beyond the limit the oldest pages go, so that a nightly run does not grow for ever."""
    monkeypatch.setattr("checks.suites.data_docs.HISTORY_MAX", 2)
    run_gate(make_table(100), {}, tmp_path, history=docs)
    assert len(list((tmp_path / "data_docs" / "validations").iterdir())) == 2


def test_a_site_without_a_validation_is_refused(tmp_path: Path):
    """Docs are never published empty."""
    with pytest.raises(ContractError, match="no page"):
        publish_docs(tmp_path, tmp_path / "docs", {})


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium: set GRISTMILL_CHROMIUM")
def test_a_browser_asks_for_nothing_and_reads_the_status(docs: Path):
    """In Chromium the pages load themselves alone and show passed and failed as words."""
    playwright = pytest.importorskip("playwright.sync_api")
    asked, told, glyphs = [], [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: told.append(message.text))
        pages = [docs / "index.html", *sorted((docs / "validations").iterdir())]
        for file in pages:
            page.goto(file.as_uri())
            glyphs.append(page.evaluate(READ_STATUS))
        browser.close()
    assert asked == [file.as_uri() for file in pages]
    assert told == []
    assert glyphs == [["failed", "passed"], ["passed"], ["failed", "passed"]]


READ_STATUS = """() => {
  const icons = [...document.querySelectorAll("td .fas")];
  const words = icons.map(icon => getComputedStyle(icon, "::before").content.replaceAll('"', ""));
  const cells = [...document.querySelectorAll("td.passed, td.failed")].map(cell => cell.innerText);
  return [...new Set([...words, ...cells])].sort();
}"""
