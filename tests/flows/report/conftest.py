"""Made-up runs of each modality: small, realistic, every table as its model wants it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.metrics.cell_verdicts import judge_cells
from flows.app.store import RunFolder
from flows.report import build_report
from tests.flows.report.made_experiment import SEEDS, make_curves, make_experiment
from tests.flows.report.made_labels import add_labels
from tests.flows.report.made_run import (
    MadeRun,
    MadeSource,
    decide,
    find,
    identify,
    make_check,
    make_images,
    write_run,
)

CONFIG = {"version": 1, "source": {"path": "/somewhere/secret/digits", "kind": "image_folder"},
          "training": {"seeds": SEEDS}, "run": {"name": "digits", "base": "../.."}}  # fmt: skip
GATE = {
    "passed": True,
    "results": [
        {"rule": rule, "expectation": "ExpectColumnValuesToBeBetween", "column": rule,
         "severity": "error", "passed": True, "batches": {}, "sentence": f"{rule} is at most {top}"}
        for rule, top in (("unreadable_frac", 0.05), ("exact_duplicate_frac", 0.1))
    ],
    "engine_errors": [],
}  # fmt: skip
CLOSED = GATE | {
    "passed": False,
    "results": [*GATE["results"], {
        "rule": "missing_frac", "severity": "error", "passed": False, "column": "missing_frac",
        "batches": {"train/flights.csv": 0.113}, "sentence": "missing_frac is at most 0.05"}],
}  # fmt: skip
CHECKS = {
    "unreadable": make_check(
        "unreadable", "Flag a file that no decoder reads.", "it would stop or skew every epoch."),
    "too_dark": make_check(
        "too_dark", "Flag an image whose 99th luma percentile is below `luma_p99_max`.",
        "an underexposed frame carries almost no gradient signal.", luma_p99_max=0.15),
    "exact_duplicate": make_check(
        "exact_duplicate", "Flag every copy of a sample but the first.",
        "a copy counts twice in training and teaches nothing new."),
    "unlikely_label": make_check(
        "unlikely_label", "Flag a label that the sample's neighbours contradict.",
        "wrong labels cost accuracy and calibration."),
}  # fmt: skip


def make_image_run(path: Path) -> MadeRun:
    """Write a run over 120 small pictures and return it."""
    rng = np.random.default_rng(7)
    pictures = make_images(rng)
    samples = identify([(uri, 0, content) for uri, content in pictures.items()], lambda _: "?")
    samples = samples.with_columns(label=pl.col("uri").str.slice(0, 1))
    by_uri = dict(samples.select("uri", "sample_id").rows())
    uris = list(pictures)
    broken, dark = [by_uri[uris[-1]]], [by_uri[uri] for uri in uris[-5:-1]]
    copies = samples.filter(~pl.col("sample_id").str.ends_with("-0"))["sample_id"].to_list()
    odd = [by_uri[uri] for uri in uris[20:38]]
    suggestions = [str((int(uri[0]) + 3) % 10) for uri in uris[20:38]]
    findings = pl.concat([
        find("unreadable", broken, dimension="missing", severity="error", evidence="truncated"),
        find("too_dark", dark, value=[0.05, 0.06, 0.04, 0.07], threshold=0.15,
             evidence="luma_p99 below 0.15"),
        find("exact_duplicate", copies, dimension="duplicate", severity="error", value=0.0,
             evidence="same bytes", suggestion=[f"{c.split('-')[0]}-0" for c in copies]),
        find("unlikely_label", odd[:6], dimension="incorrect", severity="error", threshold=0.8,
             value=[0.99 - i / 100 for i in range(6)], suggestion=suggestions[:6],
             evidence="neighbours disagree"),
        find("unlikely_label", odd[6:], dimension="incorrect", threshold=0.5, evidence="unsure",
             value=[0.75 - i / 100 for i in range(12)], suggestion=suggestions[6:]),
    ])  # fmt: skip
    acts = dict.fromkeys(odd[6:], ("down_weight", "kept", "unlikely_label"))
    acts |= dict.fromkeys(odd[:6], ("drop", "dropped", "unlikely_label"))
    acts |= dict.fromkeys(copies, ("drop", "dropped", "exact_duplicate"))
    acts |= dict.fromkeys(dark, ("review", "kept", "too_dark"))
    acts |= dict.fromkeys(broken, ("drop", "quarantined", "unreadable"))
    metrics = samples.select("sample_id").with_columns(
        error_kind=pl.when(pl.col("sample_id").is_in(broken)).then(pl.lit("truncated")),
        area_px=pl.lit(784, pl.Int64),
        luma_mean=pl.Series(rng.beta(2, 6, samples.height)),
        sharpness=pl.Series(rng.lognormal(5, 1, samples.height)),
    )
    truth = pl.DataFrame({
        "uri": uris[-5:] + uris[20:32], "row": [0] * 17,
        "defect": ["dark"] * 4 + ["truncated"] + ["wrong_label"] * 12,
        "check_id": ["too_dark, underexposed"] * 4 + ["unreadable"] + ["unlikely_label"] * 12,
    })  # fmt: skip
    tables = {"samples": samples, "metrics": metrics, "findings": findings,
              "decisions": decide(samples, acts), "curves": make_curves(rng)}  # fmt: skip
    documents = {"profile": {"modality": "image"}, "gate": GATE, "experiment": make_experiment(),
                 "config": CONFIG}  # fmt: skip
    write_run(path, tables, documents)
    add_labels(RunFolder(path), pl.Series(odd), skip=16)
    return MadeRun(path, MadeSource("image", pictures), truth, CHECKS)


def make_table_profile() -> dict[str, Any]:
    """Return a profile.json of a table: two columns of numbers, one of words, one of dates."""
    quantiles = dict(zip(("p01", "p05", "p25", "p50", "p75", "p95", "p99"),
                         (30.0, 61.5, 120.0, 210.0, 290.0, 377.0, 398.0), strict=True))  # fmt: skip
    number = {"dtype": "String", "kind": "number", "row_count": 80, "null_count": 0,
              "number_count": 80, "integer_count": 80, "distinct_count": 71, "min": 30.0,
              "max": 398.0, "mean": 208.4, "std": 98.25, "quantiles": quantiles, "top": [],
              "length_min": 2, "length_mean": 2.9, "length_max": 3, "patterns": [["9", 80]],
              "histogram_edges": [30.0 + 46 * i for i in range(9)],
              "histogram_counts": [3, 9, 14, 20, 12, 8, 4, 1]}  # fmt: skip
    columns = [
        {**number, "name": "air_time", "placeholder_count": 9, "number_count": 71,
         "top": [["N/A", 9], ["210", 2]], "patterns": [["9", 71], ["A/A", 9]]},
        {**number, "name": "distance", "min": 101.0, "max": 2490.0, "null_count": 4,
         "number_count": 70, "unit_count": 5, "units": [["km", 5]]},
        {"name": "carrier", "dtype": "String", "kind": "category", "row_count": 80,
         "distinct_count": 2, "top": [["UA", 53], ["U A", 27]]},
        {"name": "day", "dtype": "Date", "kind": "datetime", "row_count": 80, "exact": False,
         "distinct_count": 31, "min": 0.0, "max": 2592000.0, "std": 777600.0,
         "quantiles": dict.fromkeys(quantiles, 1296000.0), "histogram_counts": [40, 40],
         "histogram_edges": [0.0, 1296000.0, 2592000.0]},
    ]  # fmt: skip
    return {
        "row_count": 80, "modality": "table", "problem_count": 1, "columns": columns,
        "problems": [{"uri": "flights.csv", "row": 12, "problem": "2 fields too many"}],
        "sample_count": 80, "sample_distinct_count": 80,
        "dependencies": [{"determinants": ["carrier"], "dependent": "distance", "row_count": 76,
                          "violation_count": 3, "mark": None, "part": "whole"}],
        "gaps": {"columns": ["air_time", "distance"], "counts": [9, 4], "pairs": [[0, 1, 2]],
                 "patterns": [[[], 69], [[0], 7], [[0, 1], 2], [[1], 2]], "pattern_count": 4},
        "associations": {"columns": ["air_time", "distance", "carrier"], "pairs": [
            [0, 1, "rank", 0.91, 69], [1, 2, "category", 0.42, 76], [0, 2, "category", 0.05, 71]]},
    }  # fmt: skip


SUGGESTIONS = {"rules": [{"column": "distance", "rule": "distance >= 0", "false_alarm": 0.004,
                          "evidence": "0 of 76 numbers are negative"}]}  # fmt: skip
FILLS = {"fitted": {"air_time": {"method": "median", "value": "210"}}, "indicator": True,
         "cells": [{"column": "air_time", "split": "train", "len": 7},
                   {"column": "air_time", "split": "test", "len": 2}]}  # fmt: skip


def make_table_run(path: Path) -> MadeRun:
    """Write a run over a table of 80 flights and return it; its experiment is undecided."""
    rng = np.random.default_rng(11)
    rows = [{"uri": "flights.csv", "row": i, "carrier": "UA" if i % 3 else "U A",
             "air_time": str(int(rng.integers(30, 400))) if i % 9 else "N/A",
             "distance": str(int(rng.integers(100, 2500)))} for i in range(80)]  # fmt: skip
    places = [(row["uri"], row["row"], json.dumps(row).encode()) for row in rows]
    samples = identify(places, lambda i: "late" if i % 4 == 0 else "on time")
    ids = dict(samples.select("row", "sample_id").rows())
    gone, typos = [ids[i] for i in range(0, 80, 9)], [ids[i] for i in range(0, 80, 3)]
    findings = pl.concat([
        find("placeholder_value", gone, column="air_time", dimension="missing",
             evidence="'N/A' stands for a missing value"),
        find("rare_typo", typos, column="carrier", dimension="incorrect", suggestion="UA",
             evidence="one edit from a value that is 40 times as frequent"),
        find("contract:distance_in_range", [ids[5]], column="distance", dimension="incorrect",
             severity="error", value=9000.0, threshold=5000.0, evidence="distance <= 5000"),
    ])  # fmt: skip
    acts = dict.fromkeys(typos, ("repair", "repaired", "rare_typo"))
    repairs = pl.DataFrame({
        "sample_id": [*typos, *gone[:7]], "column": ["carrier"] * 27 + ["air_time"] * 7,
        "check_id": ["rare_typo"] * 27 + ["fill:air_time"] * 7,
        "before": ["U A"] * 27 + [None] * 7, "after": ["UA"] * 27 + ["210"] * 7,
    })  # fmt: skip
    profile = make_table_profile()
    truth = pl.DataFrame({
        "uri": ["flights.csv"] * 3, "row": [0, 3, 9], "defect": ["typo", "typo", "placeholder"],
        "check_id": ["rare_typo", "rare_typo", "placeholder_value"],
        "column": ["carrier", "carrier", "air_time"],
    })  # fmt: skip
    cells = judge_cells(findings, samples.select("uri", "row", "sample_id"))
    tables = {"samples": samples, "findings": findings, "decisions": decide(samples, acts),
              "cells": cells, "repairs": repairs, "curves": make_curves(rng)}  # fmt: skip
    experiment = make_experiment()
    experiment["verdict"] |= {
        "word": "undecided",
        "sentence": "Undecided: +0.10 pp [\u22120.5, +0.7].",
    }
    config = CONFIG | {"source": {"path": "flights.csv", "kind": "table"}}
    write_run(path, tables, {"profile": profile, "gate": CLOSED, "suggestions": SUGGESTIONS,
                             "experiment": experiment, "config": config})  # fmt: skip
    clean = RunFolder(path).read_json("clean.json")
    RunFolder(path).write_json("clean.json", clean | {"fills": FILLS})
    add_labels(RunFolder(path), pl.Series([ids[i] for i in range(0, 80, 7)]))
    frame = pl.DataFrame(rows, schema_overrides={"row": pl.Int64})
    return MadeRun(path, MadeSource("table", frame), truth, {})


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+k"
    "cQAAAABJRU5ErkJggg=="
)
METRICS = ("luma_mean", "luma_std", "sharpness_p90", "entropy_bits", "colourfulness", "area_px",
           "aspect_ratio", "jpeg_quality")  # fmt: skip


def make_gallery_run(path: Path, count: int = 2000, classes: int = 40) -> MadeRun:
    """Write a run of 30 checks over 8 metrics of pictures that are not there, and return it."""
    rng = np.random.default_rng(5)
    places = [(f"{i % classes}/{i:05d}.jpg", 0, str(i).encode()) for i in range(count)]
    samples = identify(places, lambda i: f"class {i % classes:02d}")
    made = {name: rng.lognormal(3, 0.4 + at / 4, count) for at, name in enumerate(METRICS)}
    metrics = samples.select("sample_id").with_columns(
        error_kind=pl.lit(None, pl.String), **{name: pl.Series(v) for name, v in made.items()}
    )
    checks, parts = {}, []
    for at in range(30):
        name, check_id = METRICS[at % len(METRICS)], f"made_check_number_{at:02d}"
        limit = float(np.quantile(made[name], 0.9 + at / 500))
        flagged = metrics.filter(pl.col(name) > limit)
        parts.append(find(check_id, flagged["sample_id"].to_list(), value=flagged[name].to_list(),
                          threshold=limit, evidence=f"{name} above"))  # fmt: skip
        checks[check_id] = dataclasses.replace(
            make_check(check_id, "Flag what is made.", "it is made.", **{f"{name}_min": limit}),
            needs=(name,), id=check_id,
        )  # fmt: skip
    tables = {"samples": samples, "metrics": metrics, "findings": pl.concat(parts)}
    write_run(path, tables, {"profile": {"modality": "image"}, "config": CONFIG})
    return MadeRun(path, MadeSource("image", {}), None, checks)


@pytest.fixture(scope="module")
def gallery_run(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """A run with many classes, checks and metrics, without pictures and truth."""
    return make_gallery_run(tmp_path_factory.mktemp("gallery") / "run")


@pytest.fixture(scope="module")
def gallery_report(gallery_run: MadeRun) -> dict[str, Any]:
    """Its report, with one and the same pixel for every picture; not to be changed."""
    report = build_report(gallery_run.path, **gallery_run.options())
    examples = [e for section in report["findings"] for e in section["examples"]]
    return report | {"thumbnails": {e["sample_id"]: PIXEL for e in examples}}


@pytest.fixture
def image_run(tmp_path: Path) -> MadeRun:
    """A finished run over pictures."""
    return make_image_run(tmp_path / "image-run")


@pytest.fixture
def table_run(tmp_path: Path) -> MadeRun:
    """A finished run over a table."""
    return make_table_run(tmp_path / "table-run")


@pytest.fixture
def settle() -> Callable[[str, str], str]:
    """Return what gives the golden text of a name; with GRISTMILL_GOLDEN=1 it records it anew."""

    def take(name: str, made: str) -> str:
        path = Path(__file__).parents[2] / "golden" / name
        if os.environ.get("GRISTMILL_GOLDEN") == "1":
            path.write_text(made, "utf-8")
        return path.read_text("utf-8")

    return take
