"""The report as plain data: everything that a page, a terminal or a test may want to know.

`gristmill.report/1`. All of it but `occasion` (machine, versions, seconds, name of the run) is
the same for two runs of the same data and configuration on one kind of machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.check import Check, load_checks
from flows.app.store import writing
from flows.report.cards import describe_cards
from flows.report.cells import read_cells
from flows.report.columns import describe_metrics
from flows.report.curves import band_curves
from flows.report.defects import score_defects
from flows.report.drift import describe_drift
from flows.report.duplicates import GROUPS_MAX, MEMBERS_MAX, group_duplicates
from flows.report.effects import describe_experiment
from flows.report.examples import EXAMPLES_MAX
from flows.report.facts import describe_facts
from flows.report.figures import plain
from flows.report.findings import describe_findings
from flows.report.folder import RunData, read_run
from flows.report.heatmap import map_classes
from flows.report.labels import describe_all
from flows.report.ledger import balance_classes, list_taken, sum_ledger
from flows.report.levers import describe_levers
from flows.report.method import (
    describe_gate,
    describe_occasion,
    describe_reproduction,
    describe_source,
)
from flows.report.resplits import describe_resplits
from flows.report.scatter import describe_scatter
from flows.report.table import describe_no_table, describe_table
from flows.report.thumbnails import draw_detail, draw_thumbnails
from flows.report.verdict import state_verdict

SCHEMA = "gristmill.report/1"
THUMBNAILS_MAX = 480
DETAILS_MAX = 60
# metrics of what vanishes in a picture made smaller, by the beginnings of their names
FINE_METRICS = ("sharpness", "motion", "blur", "noise", "block", "jpeg_quality")


def build_report(
    run: Path,
    *,
    source: Any = None,
    truth: pl.DataFrame | None = None,
    title: str | None = None,
    max_thumbnails: int = THUMBNAILS_MAX,
    checks: Mapping[str, Check] | None = None,
) -> dict[str, Any]:
    """Return the report of a run folder, as far as the run has come.

    Args:
        run: the run folder; tables and documents that are not there yet are named in `missing`.
        source: the source object, for thumbnails and cell texts; None shows neither.
        truth: planted defects, for recall and precision; see `score_defects`.
        title: heading; None takes the source's name.
        max_thumbnails: most pictures in the whole report.
        checks: by id, for what each check says of itself; None loads all that are installed.

    Returns:
        JSON-able data, floats to 6 significant digits, no absolute path.

    Raises:
        SourceError, TableError, StoreError: the run folder is absent or broken.
    """
    read = read_run(run)
    known = load_checks() if checks is None else checks
    described = describe_experiment(read.experiment)
    told, drift = describe_source(read), describe_drift(read.drift)
    samples = _describe_samples(read, known, source, max_thumbnails)
    report = {
        "schema": SCHEMA,
        "title": title or told["name"],
        "source": told,
        "missing": list(read.missing),
        "verdict": state_verdict(read.experiment, described),
        "experiment": described,
        "levers": describe_levers(read.levers),
        "resplits": describe_resplits(read.resplits),
        "curves": band_curves(read.curves),
        "taken": list_taken(read.decisions),
        "ledger": sum_ledger(read.samples, read.decisions, read.repairs),
        "caps": list((read.clean or {}).get("caps") or []),
        "gate": describe_gate(read.gate),
        "data_docs": (run / "data_docs" / "index.html").is_file(),
        **samples,
        **_describe_columns(read, source, drift, samples),
        "cards": describe_cards(read.samples, read.metrics) if _is_image(read) else [],
        "scatter": (
            describe_scatter(read.samples, read.metrics, read.findings, known)
            if _is_image(read)
            else None
        ),
        "drift": drift,
        "classes": balance_classes(read.samples, read.decisions),
        "defects": _score(read, truth),
        "reproduction": describe_reproduction(read),
        "occasion": describe_occasion(read),
    }
    return dict(plain(report))


def _score(read: RunData, truth: pl.DataFrame | None) -> list[dict[str, Any]]:
    if truth is None or read.findings is None or read.samples is None:
        return []
    return score_defects(truth, read.findings, read.samples)


def _is_image(read: RunData) -> bool:
    return (read.profile or {}).get("modality") == "image"


def _describe_columns(
    read: RunData, source: Any, drift: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is told of the columns of a table, or of the metrics of pictures."""
    examples = [example for section in told["findings"] for example in section["examples"]]
    examples += told["harm"]["rows"] if told["harm"] else []
    if (read.profile or {}).get("columns"):
        return describe_table(read, source, drift, examples, told["duplicates"]["groups"])
    read_cells(source, examples)
    return {"columns": describe_metrics(read.metrics), **describe_no_table()}


def _describe_samples(
    read: RunData, checks: Mapping[str, Check], source: Any, max_thumbnails: int
) -> dict[str, Any]:
    """Return findings, duplicates, the class map, labels and the pictures that are shown."""
    pictured = getattr(source, "modality", None) == "image" and max_thumbnails > 0
    limit = _share(read.findings, max_thumbnails) if pictured else EXAMPLES_MAX
    findings = describe_findings(
        read.findings, read.samples, read.decisions, checks, examples=limit,
        metrics=read.metrics, scores=read.scores, pictures=_is_image(read),
    )  # fmt: skip
    measured = (read.checks or {}).get("facts") or {}
    for section in findings:
        check_id = section["check_id"]
        section["facts"] = describe_facts(check_id, measured.get(check_id) or {})
    told = {
        "findings": findings,
        "duplicates": group_duplicates(
            read.findings, read.samples, read.decisions, read.metrics if _is_image(read) else None
        ),
        "heatmap": map_classes(read.findings, read.samples, [one["check_id"] for one in findings]),
        **describe_all(read), "thumbnails": {}, "details": {},
    }  # fmt: skip
    return told | _draw(read, told, source, max_thumbnails) if pictured else told


def _draw(
    read: RunData, told: Mapping[str, Any], source: Any, max_thumbnails: int
) -> dict[str, Any]:
    """Return thumbnails and details, and the groups of duplicates of which all are pictured."""
    if read.samples is None:
        return {}
    examples = [example for section in told["findings"] for example in section["examples"]]
    wanted = [example["sample_id"] for example in examples]
    wanted += [one["sample_id"] for one in (told["harm"] or {"rows": []})["rows"]]
    wanted += [m["sample_id"] for group in told["duplicates"]["groups"] for m in group["members"]]
    wanted = list(dict.fromkeys(wanted))[:max_thumbnails]
    for example in examples:
        example["fine"] = str(example.get("metric") or "").startswith(FINE_METRICS)
    fine = [example["sample_id"] for example in examples if example["fine"]]
    fine = [one for one in dict.fromkeys(fine) if one in wanted][:DETAILS_MAX]
    return {
        "duplicates": _cut_groups(told["duplicates"], set(wanted)),
        "thumbnails": draw_thumbnails(source, read.samples, read.metrics, wanted),
        "details": draw_thumbnails(source, read.samples, read.metrics, fine, draw_detail),
    }


def _share(findings: pl.DataFrame | None, max_thumbnails: int) -> int:
    """Return how many examples a check may show, at most a third left to groups of duplicates."""
    checks = 0 if findings is None else findings["check_id"].n_unique()
    left = max_thumbnails - min(max_thumbnails // 3, GROUPS_MAX * MEMBERS_MAX)
    return max(1, min(EXAMPLES_MAX, left // max(1, checks)))


def _cut_groups(duplicates: dict[str, Any], pictured: set[str]) -> dict[str, Any]:
    """Leave out the groups whose members cannot all be shown."""
    shown = [
        group
        for group in duplicates["groups"]
        if all(member["sample_id"] in pictured for member in group["members"])
    ]
    return duplicates | {"groups": shown, "more": duplicates["total"] - len(shown)}


def comparable(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report without what may differ between two runs of the same work.

    >>> comparable({"schema": SCHEMA, "occasion": {"run": "tuesday"}})
    {'schema': 'gristmill.report/1'}
    """
    return {key: value for key, value in report.items() if key != "occasion"}


def dump_report(report: Mapping[str, Any]) -> str:
    """Return the report as JSON text: the same bytes for the same report."""
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_report(run: Path, report: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write report.json, then report.html, each whole or not at all, and return both paths.

    Raises:
        StoreError: the disk is full or refuses.
    """
    from flows.report.page import render_html  # noqa: PLC0415 - charts are loaded when drawn

    paths = run / "report.json", run / "report.html"
    for path, text in ((paths[0], dump_report(report)), (paths[1], render_html(report))):
        with writing(path) as file:
            file.write(text.encode())
    return paths
