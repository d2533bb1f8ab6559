"""What each station took when it last had work to do: the price of cleaning, in CPU seconds.

Kept in a hidden file of the run folder, since it differs from run to run and nothing may depend
on it. Of a data set that grew it is the price of the new part.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from flows.app.progress import Progress
from flows.app.store import RunFolder

COSTS = ".costs.json"
CLEANING = ("profile", "check", "clean")
BUNDLES = "bundles"  # measured before the station that merges them
Station = Callable[[Any, RunFolder, Progress | None], dict[str, Any]]


def used_cpu_s() -> float:
    """Return the CPU seconds of this process and of its workers that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def counted(name: str, station: Station) -> Station:
    """Return the station, keeping what it took unless it had nothing to do."""

    @wraps(station)
    def run_counted(config: Any, run: RunFolder, progress: Progress | None = None) -> Any:
        begun = used_cpu_s()
        facts = station(config, run, progress)
        if not facts["skipped"]:
            keep_cost(run, name, used_cpu_s() - begun)
        return facts

    return run_counted


@contextmanager
def counting(run: RunFolder, name: str) -> Iterator[None]:
    """Keep what is done inside as the cost `name`."""
    begun = used_cpu_s()
    yield
    keep_cost(run, name, used_cpu_s() - begun)


def keep_cost(run: RunFolder, name: str, cpu_s: float) -> None:
    """Write what `name` took into the run folder."""
    run.write_json(COSTS, {**run.read_json(COSTS), name: round(cpu_s, 3)})


def cleaning_cpu_s(run: RunFolder) -> float | None:
    """Return what profile, check and clean took together; None where one was not counted."""
    costs = run.read_json(COSTS)
    told = [costs.get(name) for name in CLEANING]
    numbers = [one for one in told if isinstance(one, int | float)]
    if len(numbers) < len(CLEANING):
        return None
    bundles = costs.get(BUNDLES)
    return float(sum(numbers)) + (float(bundles) if isinstance(bundles, int | float) else 0.0)
