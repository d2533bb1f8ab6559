"""What a whole process costs: CPU seconds with its start and its imports, and its peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.record import ROOT


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took, and the JSON that it printed last."""

    cpu_s: float
    peak_mb: float
    told: dict[str, Any]


def run_module(module: str, *arguments: str) -> Cost:
    """Run `python -m module` and return what it took."""
    return run_process([sys.executable, "-m", module, *arguments])


def run_process(command: Sequence[str]) -> Cost:
    """Run a command and return what it took.

    A child's peak is at least its parent's size when it was started, so the parent stays small.
    Modules are compiled once and kept, as where they were installed, whoever's they are.

    Raises:
        CalledProcessError: it ended with another code than 0.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(command, cwd=ROOT, env=kept, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    lines = [line for line in said.splitlines() if line.startswith("{")]
    told = json.loads(lines[-1]) if lines else {}
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, told)
