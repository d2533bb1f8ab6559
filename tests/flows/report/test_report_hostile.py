"""Reports of tables that are not as one would wish: whole, escaped, small, a sentence for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from checks.core.cells import run_cell_checks
from checks.core.check import load_checks
from checks.metrics.cell_verdicts import judge_cells
from checks.metrics.tabular import profile_table
from checks.sources.source import open_source
from flows.app.store import RunFolder
from flows.report import build_report, render_html, render_markdown
from flows.report.column_findings import EXAMPLES_MAX
from tests.flows.report.pages import assert_harmless

PAGE_BYTES_MAX = 1_500_000
MARKUP = "<script>alert(1)</script>\"' onload=x & \u202e \x01"
FORMULA = "=cmd|' /C calc'!A0"


def report_of(table: pl.DataFrame, folder: Path) -> tuple[dict[str, Any], str]:
    """Return the report of a run that has only profiled a table, and its page."""
    profile = profile_table(table.lazy(), label=None)
    told = {**json.loads(profile.to_json()), "modality": "table", "samples": table.height}
    RunFolder(folder).write_json("profile.json", told)
    report = build_report(folder, checks={})
    html = render_html(report)
    assert_harmless(html)
    assert len(html.encode()) < PAGE_BYTES_MAX
    render_markdown(report)
    return report, html


def test_a_table_of_every_type(tmp_path: Path) -> None:
    """Nested, binary, empty and infinite columns are each told in a sentence of their own."""
    table = pl.DataFrame({
        "nested": [[1], [2, 3]] * 20, "struct": [{"a": 1}, {"a": 2}] * 20,
        "bytes": [b"\xff", b"a"] * 20, "nothing": [None] * 40,
        "huge": [1e308, -1e308, float("inf"), float("nan")] * 10, "one": ["x"] * 40,
    })  # fmt: skip
    report, html = report_of(table, tmp_path)
    says = {column["name"]: column["says"] for column in report["columns"]["rows"]}
    assert says["nested"] == "Nested or binary values (List), which are only counted."
    assert says["bytes"] == "Nested or binary values (Binary), which are only counted."
    assert says["nothing"] == "No row holds a value."
    assert says["one"] == "The same value wherever there is one."
    assert "infinite <b>10</b>" in html
    assert "NaN <b>10</b>" in html
    assert report["columns"]["rows"][0]["name"] == "nothing"


@pytest.mark.parametrize("rows", [0, 1])
def test_next_to_no_rows(rows: int, tmp_path: Path) -> None:
    """A table of no row, or of one, has a page that says so."""
    table = pl.DataFrame({"a": ["x"] * rows, "b": pl.Series([1] * rows, dtype=pl.Int64)})
    report, html = report_of(table, tmp_path)
    assert f"{rows} row{'' if rows == 1 else 's'}, 2 columns" in html
    assert (report["gaps"], report["ties"]) == (None, None)
    if not rows:
        assert "The table has no rows." in html


def test_thousands_of_columns(tmp_path: Path) -> None:
    """Of 1,200 columns with hostile names all are in the data, and the page stays small."""
    table = pl.DataFrame({
        f"{MARKUP} {at} {'&' * 60}": [at % 7, None, at] * 4 if at % 2 else [MARKUP, "b", None] * 4
        for at in range(1200)
    })  # fmt: skip
    report, html = report_of(table, tmp_path)
    assert len(report["columns"]["rows"]) == 1200
    assert html.count('<details class="column"') == 60
    assert "more in report.json" in html


def test_markup_and_formulas_are_shown_as_they_are(tmp_path: Path) -> None:
    """Names and cells that are markup or formulas are escaped, with findings on those cells too."""
    rows = [["n/a" if i % 9 == 0 else f"{i} kg" if i % 5 else str(i), MARKUP, FORMULA, "<i>x</i>"]
            for i in range(120)]  # fmt: skip
    names = ["<b>weight</b>", MARKUP, FORMULA, "@SUM(1)"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    folder, source = tmp_path, _lay(table)
    profile = profile_table(table.lazy(), label=None)
    ids = pl.DataFrame({"uri": "t.csv", "row": range(120), "sample_id": _ids(120)},
                       schema_overrides={"row": pl.Int64})  # fmt: skip
    checks = {one.id: one for one in load_checks().values() if one.kind == "cell"}
    findings = run_cell_checks(source.scan(), ids, profile, list(checks.values()))
    assert not findings.is_empty()
    samples = ids.with_columns(
        split=pl.lit("train"), label=pl.lit(None, pl.String), byte_size=pl.lit(None, pl.Int64),
        xxh3_128=pl.col("sample_id").str.slice(0, 32),
    )  # fmt: skip
    run = RunFolder(folder)
    told = {**json.loads(profile.to_json()), "modality": "table"}
    run.write_json("profile.json", told)
    for name, frame in {"samples": samples, "findings": findings,
                        "cells": judge_cells(findings, ids)}.items():  # fmt: skip
        run.write_table(name, frame)
    html = render_html(build_report(folder, source=source, checks=checks))
    assert_harmless(html)
    assert "&lt;b&gt;weight&lt;/b&gt;" in html
    assert "=cmd|&#39; /C calc&#39;!A0" in html
    assert "Wrong cells" in html


class _Table:
    """A source over one frame."""

    modality = "table"

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def scan(self) -> pl.LazyFrame:
        """Return the rows with their places."""
        return self.frame.lazy()


def _lay(table: pl.DataFrame) -> _Table:
    placed = table.with_columns(uri=pl.lit("t.csv"), row=pl.int_range(pl.len(), dtype=pl.Int64))
    return _Table(placed.select("uri", "row", *table.columns))


def _ids(count: int) -> list[str]:
    return [f"{at:032x}-0" for at in range(count)]


BROKEN: dict[str, tuple[bytes, str]] = {
    "double names": (b"a,a,,a\n1,2,3,4\n5,6,7,8\n", "blank, double or reserved column names"),
    "another encoding": ("name,town\nJos\u00e9,K\u00f6ln\n".encode("cp1252"), "not plain UTF-8"),
    "too many fields": (b"a,b\n1,2\n3,4,5\n6,7\n", "left out"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_told(case: str, tmp_path: Path) -> None:
    """What a CSV file stumbles over is a sentence in its report, whose columns stand there all."""
    content, said = BROKEN[case]
    (tmp_path / "t.csv").write_bytes(content)
    source = open_source(tmp_path / "t.csv")
    profile = profile_table(source.scan(), label=None)
    problems = source.problems()
    told = {**json.loads(profile.to_json()), "modality": "table",
            "problem_count": problems.height, "problems": problems.to_dicts()}  # fmt: skip
    folder = tmp_path / "run"
    folder.mkdir()
    RunFolder(folder).write_json("profile.json", told)
    html = render_html(build_report(folder, source=source, checks={}))
    assert_harmless(html)
    assert said in html
    assert html.count('<details class="column"') == len(profile.columns) >= 2


def test_a_name_with_nul_is_read(tmp_path: Path) -> None:
    """A column whose name holds NUL is profiled under a name without it, which is told."""
    table = pl.DataFrame({"a\x00b": ["x", "y"] * 9, "c": range(18)})
    table.write_parquet(tmp_path / "t.parquet")
    source = open_source(tmp_path / "t.parquet")
    profile = profile_table(source.scan(), label=None)
    assert [column.name for column in profile.columns] == ["ab", "c"]
    assert "is now 'ab'" in source.problems()["problem"][0]


def test_full_cards_of_the_longest_texts_fit(table_run: Any) -> None:
    """Sixty cards with everything a card can hold, in texts that grow most, are below 1.5 MB."""
    report = build_report(table_run.path, **table_run.options())
    worst = "&\u202e" * 90
    card = report["columns"]["rows"][0]
    some = {"value": worst, "count": 10**9}
    card |= {
        "name": worst, "top": [some] * 8, "patterns": [some] * 6, "units": [some] * 6,
        "examples": [dict.fromkeys(("uri", "cell", "evidence", "suggestion", "check_id"), worst)
                     | {"row": 10**9}] * EXAMPLES_MAX,
        "flags": [{"check_id": worst, "severity": "error", "count": 10**9}] * 9,
        "rules": [{"rule": worst, "evidence": worst, "false_alarm": 0.001}] * 9,
        "ties": [{"name": worst, "measure": "rank", "value": -0.5}] * 4,
        "dependencies": [{"determinants": [worst] * 2, "dependent": worst, "mark": None,
                          "part": "whole", "rows": 10**9, "violations": 10**8}] * 9,
        "repaired": [{"check_id": worst, "says": worst, "cells": 10**9, "held_out": 10**9}] * 5,
        "drift": [{"word": "large", "sentence": worst}],
    }  # fmt: skip
    report["columns"]["rows"] = [card] * 1000
    html = render_html(report)
    assert_harmless(html)
    assert len(html.encode()) < PAGE_BYTES_MAX
