"""The report as data: complete, comparable, honest about what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from checks.core.errors import SourceError
from flows.app.store import RunFolder
from flows.report import build_report, comparable, dump_report, render_markdown, write_report
from flows.report.effects import find_effect

Settle = Callable[[str, str], str]


def test_the_report_is_the_golden_one(image_run: Any, settle: Settle) -> None:
    """report.json of the made-up run is, but for pictures and machine, the one on record."""
    report = comparable(build_report(image_run.path, **image_run.options()))
    report |= {key: sorted(report[key]) for key in ("thumbnails", "details")}
    made = dump_report(report)
    assert settle("report.json", made) == made


def test_two_builds_are_equal(table_run: Any) -> None:
    """The same run folder gives the same bytes twice."""
    one, two = (build_report(table_run.path, **table_run.options()) for _ in range(2))
    assert dump_report(one) == dump_report(two)


def test_nothing_tells_where_it_lies(image_run: Any) -> None:
    """No absolute path of the run or of its configuration is in the report."""
    text = dump_report(build_report(image_run.path, **image_run.options()))
    assert str(image_run.path.parent) not in text
    assert "secret" not in text


def test_samples_are_conserved(image_run: Any) -> None:
    """Inputs equal kept + dropped + repaired + quarantined, in all and in every split."""
    ledger = build_report(image_run.path, **image_run.options())["ledger"]
    names = ("kept", "dropped", "repaired", "quarantined")
    assert ledger["holds"]
    for row in (ledger, *ledger["splits"]):
        assert row["inputs"] == sum(row[name] for name in names)


def test_a_lost_sample_is_told(image_run: Any) -> None:
    """A decision that is missing shows as a ledger that does not hold, and in the markdown."""
    folder = RunFolder(image_run.path)
    folder.write_table("decisions", folder.read_table("decisions").head(119))
    report = build_report(image_run.path, **image_run.options())
    assert not report["ledger"]["holds"]
    assert "does not add up" in render_markdown(report)


def test_effects_are_in_points(image_run: Any) -> None:
    """Effects on accuracy come out in percentage points, steps as they were."""
    tier = build_report(image_run.path, **image_run.options())["experiment"]["tiers"][0]
    accuracy = find_effect(tier, "cleaned", "raw")
    steps = find_effect(tier, "cleaned", "raw", "rmst_steps")
    assert accuracy is not None
    assert steps is not None
    assert (accuracy["estimate"], accuracy["unit"]) == (1.6, "pp")
    assert (steps["estimate"], steps["unit"]) == (-24.0, "steps")


def test_what_must_stand_beside_the_verdict(image_run: Any) -> None:
    """Interval, seeds, random-drop control, detectable effect, A/A and tiers are all told."""
    verdict = build_report(image_run.path, **image_run.options())["verdict"]
    told = " ".join(
        f"{f['name']} {f['value']} {f['interval']} {f['note']}" for f in verdict["facts"]
    )
    needed = (
        "[+0.88, +2.32]", "8 paired seeds", "at random", "0.79 pp", "holds zero", "agree in sign",
        "[+0.30, +2.90]", "\u2265 1.50 times", "8 and 6 of 8", "correlation +0.62",
    )  # fmt: skip
    assert [one for one in needed if one not in told] == []
    assert (verdict["n"], verdict["tiers_agree"], verdict["mde"]) == (8, True, 0.792)


def test_curves_lead_over_raw(image_run: Any) -> None:
    """Bands hold their mean, and the lead over raw is that of the planted arms, paired by seed."""
    curves = build_report(image_run.path, **image_run.options())["curves"]
    cleaned = next(c for c in curves if (c["tier"], c["arm"]) == ("train", "cleaned"))
    assert all(p["low"] <= p["mean"] <= p["high"] for c in curves for p in c["points"])
    assert cleaned["gaps"][-1]["low"] < 1.6 < cleaned["gaps"][-1]["high"]
    assert [c["gaps"] for c in curves if c["arm"] == "raw"] == [[], []]


def test_findings_are_worst_first(image_run: Any) -> None:
    """Errors stand before warnings, and what took out more before what took out less."""
    sections = build_report(image_run.path, **image_run.options())["findings"]
    assert [s["check_id"] for s in sections] == [
        "unlikely_label", "exact_duplicate", "unreadable", "too_dark",
    ]  # fmt: skip
    label = sections[0]
    assert label["why"] == "wrong labels cost accuracy and calibration."
    assert (label["samples"], len(label["examples"]), label["more"]) == (18, 12, 6)
    assert [e["value"] for e in label["examples"]][:4] == [0.99, 0.98, 0.97, 0.96]


def test_cells_are_read_from_the_source(table_run: Any) -> None:
    """A finding on a cell shows the cell's own text and the proposal."""
    sections = build_report(table_run.path, **table_run.options())["findings"]
    typo = next(s for s in sections if s["check_id"] == "rare_typo")["examples"][0]
    assert (typo["column"], typo["cell"], typo["suggestion"]) == ("carrier", "U A", "UA")


def test_duplicates_stand_beside_what_is_kept(image_run: Any) -> None:
    """Each group begins with its keeper, and all members have the same content."""
    duplicates = build_report(image_run.path, **image_run.options())["duplicates"]
    assert duplicates["total"] == 4
    for group in duplicates["groups"]:
        assert [m["role"] for m in group["members"]] == ["keeper", "copy"]
        assert len({m["sample_id"].split("-")[0] for m in group["members"]}) == 1


@pytest.mark.parametrize(
    ("gone", "stations"),
    [
        (("experiment.json", "curves.parquet"), ["compare"]),
        (("experiment.json", "curves.parquet", "decisions.parquet"), ["clean", "compare"]),
        (
            ("experiment.json", "curves.parquet", "decisions.parquet", "findings.parquet",
             "gate.json"),
            ["check", "clean", "compare"],
        ),
    ],
)  # fmt: skip
def test_a_run_on_its_way(image_run: Any, gone: tuple[str, ...], stations: list[str]) -> None:
    """A run that has not ended gives a report that names what is missing and writes both files."""
    for name in gone:
        (image_run.path / name).unlink()
    report = build_report(image_run.path, **image_run.options())
    assert [gap["station"] for gap in report["missing"]] == stations
    assert report["verdict"]["word"] == "not_measured"
    as_json, as_html = write_report(image_run.path, report)
    assert json.loads(as_json.read_text("utf-8"))["schema"] == "gristmill.report/1"
    assert all(gap["says"] in as_html.read_text("utf-8") for gap in report["missing"])
    assert "Not there yet" in render_markdown(report)


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    """An empty run folder still gives a report; a path that is no folder gives one sentence."""
    assert build_report(tmp_path, checks={})["source"]["samples"] == 0
    with pytest.raises(SourceError, match="no such run folder"):
        build_report(tmp_path / "nowhere", checks={})


def test_markdown_is_quoted(table_run: Any) -> None:
    """Names from the data cannot start markup, a link or a table cell in the markdown."""
    report = build_report(table_run.path, **table_run.options(), title="<b>|[x](javascript:y)")
    text = render_markdown(report)
    assert "<" not in text
    assert not re.search(r"(?<!\\)\]\(", text)


def test_old_tables_are_refused(image_run: Any) -> None:
    """A table that breaks its model is an error that names the file, not a wrong report."""
    samples = pl.read_parquet(image_run.path / "samples.parquet")
    samples.drop("xxh3_128").write_parquet(image_run.path / "samples.parquet")
    with pytest.raises(Exception, match=r"samples\.parquet"):
        build_report(image_run.path, **image_run.options())
