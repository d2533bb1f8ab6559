"""A made-up run folder of each modality: small, realistic, every table as its model wants it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pytest
import xxhash
from PIL import Image

from checks.core.check import Check
from checks.metrics.cell_verdicts import judge_cells
from flows.app.store import RunFolder
from flows.report import build_report
from tests.flows.report.made_labels import add_labels

ARMS = {"raw": 0.0, "raw_again": 0.0006, "cleaned": 0.016, "random_drop": -0.004, "oracle": 0.024}
TIERS = {"train": (0.9, 0.006), "probe": (0.86, 0.004)}
SEEDS, STEPS = 8, (0, 30, 60, 120, 180, 240, 300, 360, 420, 480)


@dataclass
class MadeSource:
    """Stands for an opened source: pictures by uri, or a table's frame."""

    modality: str
    content: Any

    def read_bytes(self, entries: pl.DataFrame) -> Iterator[bytes | OSError]:
        """Yield the bytes of each entry in order; an entry that is not there is an OSError."""
        for uri in entries["uri"]:
            yield self.content.get(uri, OSError("gone"))

    def scan(self) -> pl.LazyFrame:
        """Return the table."""
        return self.content.lazy()


@dataclass
class MadeRun:
    """A run folder with what a report of it needs."""

    path: Path
    source: MadeSource
    truth: pl.DataFrame | None
    checks: dict[str, Check]

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `build_report` for this run."""
        return {"source": self.source, "truth": self.truth, "checks": self.checks}


def make_check(check_id: str, summary: str, why: str, **params: object) -> Check:
    """Return a check that only has a documentation."""
    doc = f"{summary}\n\nWhy: {why}\nSource: made up."
    return Check(
        id=check_id, kind="row", modality="any", dimension="low_quality", severity="warning",
        action="review", needs=(), params=MappingProxyType(params), examples=(), doc=doc,
        function=lambda: None,
    )  # fmt: skip


def draw_digit(rng: np.random.Generator, digit: int, light: int = 16) -> bytes:
    """Return a 28 x 28 bitmap of a ring or a bar: the same bytes with any library and processor."""
    y, x = np.mgrid[0:28, 0:28]
    distance = (2 * x - 27) ** 2 + (2 * y - 27) ** 2
    ring = 255 - abs(distance - (8 + 3 * digit) ** 2)
    bar = np.where(abs(2 * y - 27) < 20, 255 - 60 * abs(x - 8 - digit), 0)
    grey = np.clip(ring if digit % 2 else bar, 0, 255) * light // 16 + rng.integers(0, 9, (28, 28))
    out = io.BytesIO()
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(out, "BMP")
    return out.getvalue()


def make_images(rng: np.random.Generator, count: int = 120) -> dict[str, bytes]:
    """Return pictures by uri; the last ten are a copy, dark or broken."""
    uris = [f"{i % 10}/digit_{i:04d}.bmp" for i in range(count)]
    pictures = {uri: draw_digit(rng, i % 10) for i, uri in enumerate(uris)}
    for i in range(4):
        pictures[uris[count - 10 + i]] = pictures[uris[i]]
        pictures[uris[count - 5 + i]] = draw_digit(rng, (count - 5 + i) % 10, light=1)
    pictures[uris[-1]] = pictures[uris[-1]][:60]
    return pictures


def identify(places: list[tuple[str, int, bytes]], label: Callable[[int], str]) -> pl.DataFrame:
    """Return tables.Samples of contents in order of (uri, row)."""
    seen: dict[str, int] = {}
    rows = []
    for i, (uri, row, content) in enumerate(sorted(places)):
        digest = xxhash.xxh3_128_hexdigest(content)
        occurrence = seen[digest] = seen.get(digest, -1) + 1
        split = "test" if i % 10 == 9 else "val" if i % 10 == 8 else "train"
        rows.append((f"{digest}-{occurrence}", split, label(i), uri, row, len(content), digest))
    schema = {"sample_id": pl.String, "split": pl.String, "label": pl.String, "uri": pl.String,
              "row": pl.Int64, "byte_size": pl.Int64, "xxh3_128": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").sort("sample_id")


def find(check_id: str, ids: list[str], **told: Any) -> pl.DataFrame:
    """Return findings of one check; `told` holds lists or single values of the other columns."""
    defaults = {"column": None, "dimension": "low_quality", "severity": "warning", "value": None,
                "threshold": None, "evidence": "", "suggestion": None}  # fmt: skip
    frame = pl.DataFrame({"sample_id": ids}).with_columns(check_id=pl.lit(check_id))
    for name, default in defaults.items():
        value = told.get(name, default)
        dtype = pl.Float64 if name in ("value", "threshold") else pl.String
        frame = frame.with_columns(
            pl.Series(name, value, dtype) if isinstance(value, list)
            else pl.lit(value, dtype).alias(name)
        )  # fmt: skip
    return frame


def decide(samples: pl.DataFrame, acts: dict[str, tuple[str, str, str]]) -> pl.DataFrame:
    """Return tables.Decisions; `acts` holds action, outcome and check for some sample ids."""
    rows = [
        {
            "sample_id": sample_id, "action": action, "outcome": outcome,
            "weight": {"drop": 0.0, "down_weight": 0.25}.get(action, 1.0),
            "new_label": None, "check_ids": [check] if check else [], "decided_by": "policy",
        }
        for sample_id in samples["sample_id"]
        for action, outcome, check in [acts.get(sample_id, ("keep", "kept", ""))]
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={
        "weight": pl.Float32, "new_label": pl.String, "check_ids": pl.List(pl.String),
    })  # fmt: skip


def make_curves(rng: np.random.Generator) -> pl.DataFrame:
    """Return tables.Curves of two tiers, five arms and eight seeds."""
    rows = []
    for tier, (top, noise) in TIERS.items():
        for seed in range(SEEDS):
            luck = rng.normal(0, noise)
            for arm, gain in ARMS.items():
                for step in STEPS:
                    reach = 0.1 + (top + gain - 0.1) * (1 - np.exp(-step / 90))
                    accuracy = float(np.clip(reach + luck + rng.normal(0, noise / 2), 0, 1))
                    rows.append({
                        "tier": tier, "arm": arm, "seed": seed, "step": step,
                        "samples": step * 64, "cpu_s": step / 50, "wall_s": step / 90,
                        "val_acc": accuracy, "val_nll": 1.5 - accuracy,
                        "test_acc": accuracy if step == STEPS[-1] else None, "test_nll": None,
                    })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"test_acc": pl.Float64, "test_nll": pl.Float64})


def make_effects(noise: float) -> list[dict[str, Any]]:
    """Return effects as the experiment writes them: fractions, nats and steps."""
    half = 1.2 * noise
    contrasts = (("cleaned", "raw"), ("cleaned", "random_drop"), ("raw_again", "raw"),
                 ("random_drop", "raw"), ("oracle", "raw"))  # fmt: skip
    rows = []
    for arm, versus in contrasts:
        for endpoint, unit, per in (("final_acc", "fraction", 1), ("rmst_steps", "steps", -1500)):
            size, wide = (ARMS[arm] - ARMS[versus]) * per, half * abs(per) * 0.6 ** (per != 1)
            rows.append({
                "arm": arm, "versus": versus, "endpoint": endpoint, "unit": unit, "n": SEEDS,
                "estimate": size, "low": size - wide, "high": size + wide, "mde": 1.1 * wide,
                "p": 0.71 if arm == "raw_again" else 0.0008, "rho": 0.62,
            })  # fmt: skip
            if endpoint == "final_acc":
                rows[-1] |= {"low_new": size - 1.8 * half, "high_new": size + 1.8 * half}
            if endpoint == "final_acc" and arm == "cleaned":
                rows[-1]["p_holm"] = 0.0016
    return rows


def make_tier(top: float, noise: float) -> dict[str, Any]:
    """Return one tier of an experiment.json."""
    half = 1.2 * noise
    arms = [
        {"arm": arm, "n_train": 96 - 8 * (arm in ("cleaned", "random_drop")),
         "final_acc_mean": top + gain, "final_acc_low": top + gain - half,
         "final_acc_high": top + gain + half, "aulc_mean": top + gain - 0.11,
         "worst_class_acc_mean": top - 0.2 + gain, "verified_acc_mean": top + 1.1 * gain}
        for arm, gain in ARMS.items()
    ]  # fmt: skip
    speedups = [
        {"arm": "cleaned", "versus": "raw", "q": q, "accuracy": q * top, "ratio": 1 + q**8 / 2,
         "low": 1.02, "high": 1 + q**8, "at_least": q == 1.0, "reached": SEEDS, "n": SEEDS,
         "reached_versus": 6 if q == 1.0 else SEEDS, "saved_steps": 90 * q**8}
        for q in (0.5, 0.75, 0.9, 0.95, 1.0)
    ]  # fmt: skip
    curve = [
        {**speedups[0], "q": q / 20, "accuracy": q * top / 20, "ratio": 1 + (q / 20) ** 8 / 2,
         "low": 1 + (q / 20) ** 8 / 4, "high": 1 + (q / 20) ** 8, "at_least": q > 18}
        for q in range(6, 21)
    ]  # fmt: skip
    return {
        "arms": arms, "effects": make_effects(noise), "speedups": speedups,
        "speedup_curve": curve, **make_worth(top, half),
        "targets": [{"q": 1.0, "accuracy": top}],
        "recovered": {"fraction": 0.71, "low": 0.44, "high": 1.02},
        "verdict": {"word": "helps", "speedup": speedups[-1]}, "steps": STEPS[-1],
        "batch_size": 64, "recipe": {"optimiser": "sgd", "lr": 0.05}, "cpu_s": 91.5,
        "per_class": [{"class": str(k), "raw": 0.9, "cleaned": 0.915} for k in range(10)],
    }  # fmt: skip


def make_worth(top: float, half: float) -> dict[str, Any]:
    """Return what a tier tells beside its verdict: churn, break-even, groups, doses, words."""

    def around(middle: float) -> dict[str, Any]:
        told = {"estimate": middle, "low": middle - half, "high": middle + half}
        return {**told, "p": 0.01, "n": SEEDS, "mde": 1.1 * half}

    again = {"arm": "raw_again", "versus": "raw", **around(0.11)}
    churn = {"arm": "cleaned", "versus": "raw", **around(0.12), "excess": around(0.01)}
    paid = {"q": 1.0, "accuracy": top, "word": "pays", "trainings": 3.2, "low": 2.1, "high": 6.4,
            "n": SEEDS, "cleaning_cpu_s": 120.0, "at_most": True}  # fmt: skip
    equivalent = {"samples": 150.0, "factor": 1.56, "low": 1.2, "high": 2.1, "exponent": 0.5,
                  "limit": 0.95, "n": SEEDS, "refused": ""}  # fmt: skip
    groups = [{"group": name, **around(part), "p_by": 0.02}
              for name, part in (("copies", 0.004), ("labels", 0.012))]  # fmt: skip
    doses = [{"dose": dose, "arm": f"dose:{dose}", "final_acc": top + 0.016 * dose,
              **around(0.016 * dose)} for dose in (0.0, 0.5, 1.0)]  # fmt: skip
    return {
        "churn": [again, churn], "break_even": [{**paid, "q": 0.5, "word": "never",
                                                 "trainings": None, "low": None, "high": None},
                                                paid],
        "data_equivalent": equivalent, "shapley": groups,
        "dose": {"doses": doses, "trend": around(0.016), "rises": True},
        "says": {"break_even": "Cleaning cost 120 CPU seconds, paid for after at most 4 trainings.",
                 "churn": "Cleaning changes the predicted class of 12.0 % of the test items."},
    }  # fmt: skip


def make_experiment() -> dict[str, Any]:
    """Return an experiment.json in which cleaning helps by 1.6 points."""
    tiers = {tier: make_tier(*facts) for tier, facts in TIERS.items()}
    sentence = (
        "Cleaning helps: +1.6 points of test accuracy (95 % interval +0.9 to +2.3, 8 paired "
        "seeds), and it reaches raw's final accuracy at least 1.5x sooner. Against a random drop "
        "of the same size it is +2.0 (+1.3 to +2.7) points. Interval on new data +0.3 to +2.9."
    )
    return {
        "device": "cpu", "versions": {"torch": "2.13.0"}, "seeds": SEEDS, "primary_tier": "train",
        "facts": {"dropped": 10, "relabelled": 0}, "tiers": tiers,
        "verdict": {**tiers["train"]["verdict"], "sentence": sentence, "margin": 0.003},
        "agreement": {"sign": True, "words": {"probe": "helps", "train": "helps"},
                      "sentence": "Both tiers point the same way (probe: helps, train: helps)."},
        "audit": {"aa_interval": [-0.0066, 0.0078], "aa_holds_zero": True, "test_digest": "c" * 32},
    }  # fmt: skip


def write_run(path: Path, tables: dict[str, pl.DataFrame], documents: dict[str, Any]) -> None:
    """Write a run folder through the store, so that every table is guarded."""
    path.mkdir(parents=True)
    folder = RunFolder(path)
    for name, frame in tables.items():
        folder.write_table(name, frame)
    for name, document in documents.items():
        folder.write_json(f"{name}.json", document)
    digests = {"raw_manifest": "a" * 64, "cleaned_manifest": "b" * 64}
    cap = "cap reached: 3 more would go over 10% of the 96 train samples; down-weighted instead"
    folder.write_json("clean.json", {**digests, "caps": [cap]})
    calibration = {"noise_floor": 0.04, "estimated_precision": 0.86, "planted_recall": 0.91}
    folder.write_json("checks.json", {"facts": {"unlikely_label": calibration}})
    (path / "data_docs").mkdir()
    (path / "data_docs" / "index.html").write_text("<!doctype html>")


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
