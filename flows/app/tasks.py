"""Prefect's view of the stations: thin tasks, progress and verdict artifacts, the gate's state.

The work is in `stations`; a task adds what a server can show. Nothing is cached by Prefect: our
stamps and the cache of bundles skip what is done, with or without a server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from prefect import State, get_run_logger, task, unmapped
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency
from prefect.futures import PrefectFutureList
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.app.config import Config
from flows.app.costs import BUNDLES, counting
from flows.app.ending import say
from flows.app.engine_log import tell_mistakes_shortly
from flows.app.progress import Progress, at_most, station_line, terminal_bar
from flows.app.stations import STATIONS, gate_message, plan_profile
from flows.app.store import RunFolder
from flows.report import render_markdown

BUNDLES_MAX = 512
VERDICT_KEY = "gristmill-verdict"
_gathered: ContextVar[list[dict[str, Any]]] = ContextVar("gathered")
ONE_AT_A_TIME: Any = ThreadPoolTaskRunner(max_workers=1)  # a bundle has worker processes of its own
tell_mistakes_shortly()


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="bundle-{index}")
def profile_bundle(index: int, bundle: Any, config: Config, run: str) -> int:
    """Measure one bundle of samples into the cache; return how many samples it holds."""
    from flows.app.intake import measure_bundle  # noqa: PLC0415 - numba is slow to import

    del index
    return measure_bundle(bundle, config, RunFolder(Path(run)))


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="{name}")
def run_station(name: str, config: Config, run: str, begun: float | None = None) -> dict[str, Any]:
    """Run one station and tell in one line what it did; return its small facts.

    begun: time.monotonic() at which the work began, where some of it was done before.
    """
    begun = time.monotonic() if begun is None else begun
    with _telling(name) as progress, _alone_on_the_gpu(name, config):
        facts = STATIONS[name](config, RunFolder(Path(run)), progress)
    done = _gathered.get([])
    repeated = facts["skipped"] and any(one["station"] == name for one in done)
    if not repeated:  # a subflow looks again at what the flow before it has just done
        line = station_line(facts, time.monotonic() - begun)
        say(line)
        get_run_logger().info(line)
        done.append(facts)
    return facts


@contextmanager
def gathering() -> Iterator[list[dict[str, Any]]]:
    """Gather the facts of the stations that run inside."""
    done: list[dict[str, Any]] = []
    token = _gathered.set(done)
    try:
        yield done
    finally:
        _gathered.reset(token)


def profile_in_bundles(config: Config, run: RunFolder) -> dict[str, Any]:
    """Profile as one task for each bundle of images, then merge; tables are one task."""
    begun = time.monotonic()
    bundles = plan_profile(config, run, BUNDLES_MAX)
    if bundles:
        futures: PrefectFutureList[int] = profile_bundle.map(
            list(range(len(bundles))), bundles, unmapped(config), unmapped(str(run.path))
        )
        with _telling("bundles") as progress, counting(run, BUNDLES):
            for done, future in enumerate(futures, start=1):
                future.result()
                progress(done, len(bundles))
    return run_station("profile", config, str(run.path), begun)


@contextmanager
def _telling(name: str) -> Iterator[Progress]:
    """Show progress as a bar and as one artifact, renewed at most once a second."""
    made: list[Any] = []

    def publish(done: int, total: int) -> None:
        percent = 100.0 * done / max(total, 1)
        if made:
            update_progress_artifact(made[0], progress=percent)
        else:
            key = f"gristmill-{name}-progress"
            made.append(create_progress_artifact(percent, key=key, description=name))

    renew = at_most(publish)
    with terminal_bar(name) as bar:

        def tell(done: int, total: int) -> None:
            bar(done, total)
            renew(done, total)

        yield tell


@contextmanager
def _alone_on_the_gpu(name: str, config: Config) -> Iterator[None]:
    """Hold the global concurrency limit `gpu` while a GPU trains; free where none is set up."""
    if name != "compare" or config.training.device == "cpu" or not _has_cuda():
        yield
        return
    with concurrency("gpu", occupy=1):
        yield


def _has_cuda() -> bool:
    import torch  # noqa: PLC0415 - only the comparison needs it

    return torch.cuda.is_available()


def publish_verdict(run: RunFolder) -> None:
    """Show the report's summary and a link to it under one key: the UI keeps its history."""
    link = f"[Open the report]({run.file('report.html').resolve().as_uri()})"
    markdown = f"{render_markdown(run.read_json('report.json'))}\n\n{link}\n"
    create_markdown_artifact(markdown, key=VERDICT_KEY, description="What this run came to.")


def gate_state(run: RunFolder, facts: Mapping[str, Any]) -> State[Any]:
    """Return Completed with `facts`, or Failed with the reason of the quality gate."""
    message = gate_message(run)
    if message is not None:
        return Failed(message=f"Quality gate failed: {message}")
    return Completed(message="Quality gate passed", data=dict(facts))
