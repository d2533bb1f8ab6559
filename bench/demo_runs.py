"""Runs the demos and the real data as a user would: the command line, in a process of its own."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.real_data import REAL
from bench.record import ROOT

RUNS = ROOT / "runs"  # where `make demo` writes too: what it ran is not run again


@dataclass(frozen=True, slots=True)
class Timing:
    """What one process and its children took, in seconds."""

    wall_s: float
    cpu_s: float


def time_demo(name: str) -> Timing:
    """Run the demo `name` from nothing through Prefect and return what it took."""
    out = RUNS / name
    shutil.rmtree(out, ignore_errors=True)
    before, start = _children_cpu(), time.perf_counter()
    _run(ROOT / "data" / f"{name}.toml", out)
    timing = Timing(time.perf_counter() - start, _children_cpu() - before)
    (out / "timing.json").write_text(json.dumps({"wall_s": timing.wall_s, "cpu_s": timing.cpu_s}))
    return timing


def result_of(name: str, file: str) -> dict[str, Any]:
    """Return report.json or experiment.json of a demo or of a real data set.

    What was run before, on the same data and settings, is not run again.
    """
    out = RUNS / name
    _run(_config(name), out, "--no-prefect")
    return dict(json.loads((out / file).read_text()))


def _config(name: str) -> Path:
    if name not in REAL:
        return ROOT / "data" / f"{name}.toml"
    folder = RUNS / f"{name}.data"
    made = folder / "gristmill.toml"
    return made if made.exists() else REAL[name](folder)


def _run(config: Path, out: Path, *options: str) -> None:
    gristmill = Path(sys.executable).parent / "gristmill"
    command = [
        str(gristmill),
        "run",
        str(config),
        "--out",
        str(out),
        "--fail-on",
        "never",
        *options,
    ]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
