"""Processes that share a piece of work: the results in order, no process left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import TypeVar

from training.errors import TrainingError

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int
) -> Iterator[Result]:
    """Yield what `work` returns for each task, in order. processes: 1 works in this one.

    The first error ends it: what runs is waited for, what waits is dropped. Processes end with this
    one, however it ends. `work`, tasks and results must be picklable.

    Raises:
        TrainingError: if a process dies.
    """
    if processes == 1 or len(tasks) == 1:
        yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(
        min(processes, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
    )
    try:
        yield from pool.map(work, tasks)
    except BrokenProcessPool as broken:
        problem = "a process that writes shards died"
        advice = "Run again: finished shards are kept. Short of memory: fewer processes."
        raise TrainingError("shards", problem, got=f"{processes} processes", advice=advice) from (
            broken
        )
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow_parent()


def follow_parent() -> None:
    """End this process when its parent does: kill -9 gives that one no time to tell."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()
