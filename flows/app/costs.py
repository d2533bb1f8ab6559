"""The price of cleaning, in CPU seconds: what each station took for each part of the data.

A data set that grows is cleaned part by part, and its cleaned set has cost all of them. What is
done anew on the same data, for other settings, takes the place of what that part had cost; where
the data goes back to an earlier state, the parts after it count no more. Kept in a hidden file of
the run folder, since it differs from run to run and nothing may depend on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import polars as pl

from flows.app.config import digest
from flows.app.outputs import COSTS
from flows.app.progress import Progress
from flows.app.store import RunFolder

CLEANING = ("profile", "check", "clean")
BUNDLES = "bundles"  # measured before the station that merges them
CACHED = ("profile",)  # measures a sample once: done anew it costs next to nothing
Station = Callable[[Any, RunFolder, Progress | None], dict[str, Any]]
Parts = list[tuple[str, float]]  # (mark of the data, CPU seconds), in the order they came


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
    """Add what is done inside to what waits for the next station, as `name`."""
    begun = used_cpu_s()
    yield
    costs = run.read_json(COSTS)
    run.write_json(COSTS, {**costs, name: _waiting(costs, name) + used_cpu_s() - begun})


def keep_cost(run: RunFolder, name: str, cpu_s: float) -> None:
    """Write what station `name` took for the data as it is now."""
    costs, mark = run.read_json(COSTS), _mark(run)
    cpu_s += _waiting(costs, BUNDLES) if name in CACHED else 0.0
    kept = {key: value for key, value in costs.items() if key != BUNDLES or name not in CACHED}
    parts = add_part(_parts(costs, name), mark, cpu_s, cached=name in CACHED)
    run.write_json(COSTS, {**kept, name: parts})


def add_part(parts: Parts, mark: str, cpu_s: float, *, cached: bool = False) -> Parts:
    """Return the parts with what the data of this mark cost; cached: no less than before.

    >>> add_part([("a", 9.0), ("b", 2.0)], "c", 1.0)
    [('a', 9.0), ('b', 2.0), ('c', 1.0)]
    >>> add_part([("a", 9.0), ("b", 2.0)], "b", 3.0), add_part([("a", 9.0), ("b", 2.0)], "a", 5.0)
    ([('a', 9.0), ('b', 3.0)], [('a', 5.0)])
    >>> add_part([("a", 9.0)], "a", 0.1, cached=True)
    [('a', 9.0)]
    """
    marks = [one for one, _ in parts]
    at = marks.index(mark) if mark in marks else len(parts)
    least = parts[at][1] if cached and at < len(parts) else 0.0
    return [*parts[:at], (mark, round(max(cpu_s, least), 3))]


def cleaning_cpu_s(run: RunFolder) -> tuple[float, ...]:
    """Return what profile, check and clean took together for each part of the data, in order.

    Empty where a station was not counted. Their sum is what the cleaned set has cost.
    """
    costs = run.read_json(COSTS)
    by_mark: dict[str, float] = {}
    for name in CLEANING:
        if not (parts := _parts(costs, name)):
            return ()
        for mark, cpu_s in parts:
            by_mark[mark] = by_mark.get(mark, 0.0) + cpu_s
    return tuple(by_mark.values())


def _parts(costs: dict[str, object], name: str) -> Parts:
    held = costs.get(name)
    return [(str(mark), float(cpu_s)) for mark, cpu_s in held] if isinstance(held, list) else []


def _waiting(costs: dict[str, object], name: str) -> float:
    held = costs.get(name)
    return float(held) if isinstance(held, int | float) else 0.0


def _mark(run: RunFolder) -> str:
    """What the data is now, whatever the settings: the content of a table, the ids of images."""
    if content := run.read_json("profile.json").get("content"):
        return str(content)[:16]
    if not run.has("samples.parquet"):
        return ""
    ids = pl.read_parquet(run.file("samples.parquet"), columns=["sample_id"])["sample_id"]
    return digest(ids.to_list())[:16]
