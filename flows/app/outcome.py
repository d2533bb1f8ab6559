"""What a run came to, read from its folder: for a person, as JSON, and as an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from checks.core.words import SEVERITIES
from flows.app.held_shards import tell_current, tell_evaluated
from flows.app.store import RunFolder

WORST_FIRST = {name: rank for rank, name in enumerate(reversed(SEVERITIES))}
FOUND = 1
DRIFTED, SHOWN = ("moderate", "large"), 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run. `gate`: why the quality gate failed, None if it passed or did not run."""

    run: Path
    stations: tuple[Mapping[str, Any], ...] = ()
    gate: str | None = None

    @property
    def folder(self) -> RunFolder:
        """The run's files."""
        return RunFolder(self.run)


def findings_by_check(run: RunFolder) -> pl.DataFrame:
    """Return check_id, severity, samples and findings, worst first; empty before `check` ran."""
    if not run.has("findings.parquet"):
        return pl.DataFrame(schema={"check_id": pl.String, "severity": pl.String,
                                    "samples": pl.UInt32, "findings": pl.UInt32})  # fmt: skip
    counts = (
        run.read_table("findings")
        .group_by("check_id", "severity")
        .agg(pl.col("sample_id").n_unique().alias("samples"), pl.len().alias("findings"))
    )
    rank = pl.col("severity").replace_strict(WORST_FIRST, return_dtype=pl.Int8)
    return counts.sort(rank, -pl.col("samples").cast(pl.Int64), "check_id")


def exit_code(outcome: Outcome, fail_on: str) -> int:
    """Return 1 for a failed gate or a finding at or above `fail_on`, else 0."""
    if outcome.gate is not None:
        return FOUND
    if fail_on == "never":
        return 0
    bad = set(SEVERITIES[SEVERITIES.index(fail_on) :])
    found = findings_by_check(outcome.folder)["severity"].is_in(bad)
    return FOUND if found.any() else 0


def as_data(outcome: Outcome, station: str) -> dict[str, Any]:
    """Return the outcome as plain data, the shape that --json prints."""
    run = outcome.folder
    experiment = run.read_json("experiment.json")
    return {
        "station": station,
        "run": str(outcome.run),
        "gate": {"passed": outcome.gate is None, "message": outcome.gate},
        "stations": [dict(facts) for facts in outcome.stations],
        "warnings": warnings_of(run),
        "findings": findings_by_check(run).to_dicts(),
        "verdict": experiment.get("verdict"),
        "report": str(run.file("report.html")) if run.has("report.html") else None,
    }


def warnings_of(run: RunFolder) -> list[str]:
    """Return what a person should know that is no finding about a sample, a sentence each."""
    told = []
    profile: Mapping[str, Any] = run.read_json("profile.json")
    if count := profile.get("problem_count", 0):
        first = profile["problems"][0]
        more = f" (and {count - 1:,} more in profile.json)" if count > 1 else ""
        told.append(f"{first['uri']}: {first['problem']}{more}")
    gate: Mapping[str, Any] = run.read_json("gate.json")
    broken = [one for one in gate.get("results", []) if not one["passed"]]
    told += [str(one["sentence"]) for one in broken if one["severity"] == "warning"]
    told += drift_of(run)
    decided: Mapping[str, Any] = run.read_json("clean.json")
    told += [str(cap) for cap in decided.get("caps", [])]
    evaluated = decided.get("evaluation_changed_by_people")
    told += [tell_evaluated(evaluated)] if evaluated else []
    current = tell_current(run)
    return [*told, current] if current else told


def drift_of(run: RunFolder) -> list[str]:
    """Return what has moved far from the approved baseline, and why nothing was compared."""
    drift: Mapping[str, Any] = run.read_json("drift.json")
    notes = [str(drift["note"])] if drift.get("note") else []
    rows = [row for row in drift.get("columns", []) if row["word"] in DRIFTED]
    more = f"drift: {len(rows) - SHOWN} more columns have moved, see drift.parquet"
    told = [f"drift, {row['word']}: {row['sentence']}" for row in rows[:SHOWN]]
    return [*notes, *told, *([more] if len(rows) > SHOWN else [])]


def show(outcome: Outcome, station: str, *, as_json: bool) -> None:
    """Print the outcome: tables for a person on stderr, JSON on stdout if asked for."""
    data = as_data(outcome, station)
    if as_json:
        sys.stdout.write(json.dumps(data, indent=1, default=str) + "\n")
    console = Console(stderr=True)
    for line in data["warnings"]:
        console.print(f"Warning: {line}", markup=False, highlight=False, soft_wrap=True)
    for told in (_findings_table(data), _arms_table(outcome.folder)):
        if told is not None:
            console.print(told)
    for line in closing_lines(data):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def closing_lines(data: Mapping[str, Any]) -> list[str]:
    """Return the last lines that a person reads: verdict, gate, where everything is."""
    lines = []
    if not data["gate"]["passed"]:
        lines.append(f"Quality gate failed: {data['gate']['message']}")
    if isinstance(data["verdict"], Mapping):
        lines.append(f"Verdict: {data['verdict'].get('sentence', '')}")
    where = "report" if data["report"] else "run"
    return [*lines, f"{where.capitalize()}: {data[where]}"]


def _findings_table(data: Mapping[str, Any]) -> Table | None:
    if not data["findings"]:
        return None
    table = Table("severity", "check", "samples", "findings", title="Findings, worst first")
    for row in data["findings"]:
        table.add_row(row["severity"], row["check_id"], f"{row['samples']:,}",
                      f"{row['findings']:,}")  # fmt: skip
    return table


def _arms_table(run: RunFolder) -> Table | None:
    tiers = run.read_json("experiment.json").get("tiers")
    if not isinstance(tiers, Mapping) or not tiers:
        return None
    table = Table("tier", "arm", "train samples", "final accuracy (95 %)", title="Arms")
    for tier, facts in tiers.items():
        for arm in facts["arms"]:
            low, high = arm["final_acc_low"], arm["final_acc_high"]
            accuracy = f"{arm['final_acc_mean']:.4f} ({low:.4f} to {high:.4f})"
            table.add_row(tier, arm["arm"], f"{arm['n_train']:,}", accuracy)
    return table
