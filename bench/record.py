"""What a benchmark prints and stores: one JSON line of figures, targets, machine and versions."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "gristmill", "polars", "torch", "prefect", "great_expectations", "pandera", "pillow",
    "simplejpeg", "numba",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number beside its target; `target` is None where only a record is kept."""

    value: float
    target: float | None
    better: Literal["higher", "lower"]
    n: int
    interval: tuple[float, float] | None = None
    unit: str = ""


def record(bench: str, figures: Mapping[str, Figure]) -> str:
    """Store `figures` as bench/results/<bench>.json and return the same as one line of JSON."""
    document = {
        "bench": bench,
        "command": f"python -m bench.{bench} --json",
        "machine": describe_machine(),
        "versions": {name: version(name) for name in PACKAGES} | {"python": _python()},
        "figures": {name: _plain(figure) for name, figure in figures.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{bench}.json").write_text(json.dumps(document, indent=1) + "\n")
    return json.dumps(document)


def show(line: str) -> None:
    """Print the line for machines, or a table for people when --json was not asked for."""
    if "--json" in sys.argv[1:]:
        print(line)
        return
    for name, figure in json.loads(line)["figures"].items():
        target = "" if figure["target"] is None else f"  (target {figure['target']:g})"
        print(f"{name:58} {figure['value']:>10.4g} {figure.get('unit', '')}{target}")


def describe_machine() -> str:
    """Return the processor, cores and memory in one phrase."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _plain(figure: Figure) -> dict[str, object]:
    return {key: value for key, value in asdict(figure).items() if value not in (None, "")} | {
        "target": figure.target
    }
