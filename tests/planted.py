"""Runs a demo's data through the line, for the tests that judge it against what was planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.app.config import read_config
from flows.app.launch import run_line
from flows.app.stations import report
from flows.app.store import RunFolder, open_run

SEED = 20261123


def run_demo(folder: Path, source: dict[str, str], training: dict[str, Any] | None) -> RunFolder:
    """Run `folder`/data with `folder`/truth.parquet to its report; None trains nothing."""
    raw = {"version": 1, "source": source, "truth": {"path": "truth.parquet"}}
    config = read_config(raw | {"training": training or {}}, base=folder)
    run = open_run(config, folder / "run")
    run_line(config, run, until="compare" if training else "clean", train=training is not None)
    report(config, run)
    return run


def defects_of(run: RunFolder) -> dict[str, dict[str, Any]]:
    """Return the report's row for each planted kind."""
    told = json.loads((run.path / "report.json").read_text())
    return {row["defect"]: row for row in told["defects"]}
