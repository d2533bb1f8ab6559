"""How far a station has come, told to a person in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Progress = Callable[[int, int], None]
CHANGES = ("added", "removed", "changed", "touched", "changed_in_place")


def quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


@contextmanager
def terminal_bar(title: str) -> Iterator[Progress]:
    """Show a bar on stderr while the block runs; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield quiet
        return
    from rich.console import Console  # noqa: PLC0415 - a run without a terminal needs no rich
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def station_line(facts: Mapping[str, Any], seconds: float) -> str:
    """Return the line that a person reads when a station is done.

    >>> station_line({"station": "check", "skipped": False, "findings": 1200}, 3.21)
    'check        3.2 s  1,200 findings'
    >>> station_line({"station": "profile", "skipped": True}, 0.04)
    'profile      0.0 s  unchanged'
    >>> changes = {"added": 2, "removed": 0, "changed": 1, "touched": 0,
    ...     "changed_in_place": 1, "examples": {}}
    >>> station_line({"station": "profile", "skipped": False, "samples": 9, "changes": changes}, 1)
    'profile      1.0 s  9 samples; since the last state 2 added, 1 changed, 1 changed in place'
    >>> station_line({"station": "profile", "skipped": True, "verified": 200}, 0.2)
    'profile      0.2 s  200 read again, unchanged'
    >>> station_line({"station": "check", "skipped": True, "rewritten": 2}, 0.2)
    'check        0.2 s  2 lost files written again, unchanged'
    """
    counts = facts.get("outcomes") or {}
    told = [f"{facts[key]:,} {key}" for key in ("samples", "columns", "findings") if key in facts]
    told += [f"{count:,} {name}" for name, count in {**facts.get("splits", {}), **counts}.items()]
    again = facts.get("verified")
    told += [f"{again:,} read again"] if again else []
    lost = facts.get("rewritten")
    told += [f"{lost:,} lost file{'s' * (lost > 1)} written again"] if lost else []
    told += ["unchanged"] if facts["skipped"] else []
    said = ", ".join(told) or "done"
    if changes := facts.get("changes"):
        differ = [
            f"{changes[kind]:,} {kind.replace('_', ' ')}" for kind in CHANGES if changes[kind]
        ]
        said += f"; since the last state {', '.join(differ) or 'nothing changed'}"
    return f"{facts['station']:8}{seconds:8.1f} s  {said}"


def at_most(
    tell: Progress, every_s: float = 1.0, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """Return `tell` limited to one call in `every_s` seconds; the last step always passes.

    >>> seen = []
    >>> tell = at_most(lambda done, total: seen.append(done), clock=lambda: 0.0)
    >>> [tell(done, 9) for done in range(10)] and seen
    [0, 9]
    """
    last = -every_s

    def limited(done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if done >= total or now - last >= every_s:
            last = now
            tell(done, total)

    return limited
