"""Ways to start the line: through Prefect, without it, or one station of it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.core.errors import GristmillError
from flows.app.config import Config
from flows.app.ending import FAULT, FOUND, WRONG_USAGE, error_of, run_command, say, sentence
from flows.app.intake import one_look, open_data
from flows.app.lock import alone
from flows.app.outcome import Outcome, exit_code, show
from flows.app.progress import station_line, terminal_bar
from flows.app.stations import STATIONS, Facts, gate_message, require_classes
from flows.app.store import RunFolder
from flows.app.targets import open_target, refuse_absent

if TYPE_CHECKING:
    from prefect import Flow, State

ORDER = tuple(STATIONS)


def run_plain(config: Path, out: Path | None) -> Outcome:
    """Run the whole line in this process, without Prefect.

    Raises:
        GristmillError: the configuration or the source is wrong.
    """
    settings, run = open_target(config, out)
    return run_line(settings, run, until="report", train=True)


def run_station(
    name: str, target: str, out: Path | None, labels: Path | None = None, **section: object
) -> Outcome:
    """Run the line up to the station `name`; what is unchanged is skipped.

    labels: takes the place of [checks] labels. On a run folder, `report` writes the report of what
    is there.

    Raises:
        GristmillError: the configuration or the source is wrong.
    """
    settings, run = open_target(target, out, labels, **section)
    if name == "report" and run.has("profile.json"):
        with alone(run.path):
            return Outcome(run.path, (_tell(name, settings, run),), gate_message(run))
    return run_line(settings, run, until=name, train=name in ("compare", "report"))


def run_line(config: Config, run: RunFolder, *, until: str, train: bool) -> Outcome:
    """Run the stations in their order up to `until`. A failed gate skips the training.

    The profile of a table ends with its report: nothing else shows it.
    """
    done = []
    refuse_absent(config, decide=ORDER.index(until) >= ORDER.index("clean"), train=train)
    with alone(run.path), one_look():
        wanted = list(ORDER[: ORDER.index(until) + 1])
        if until == "profile" and open_data(config).modality == "table":
            wanted.append("report")
        for name in wanted:
            if name == "compare" and gate_message(run) is not None:
                continue
            done.append(_tell(name, config, run))
            if name == "profile" and train:
                require_classes(config, run)
    judged = ORDER.index(until) >= ORDER.index("check")
    return Outcome(run.path, tuple(done), gate_message(run) if judged else None)


def _tell(name: str, config: Config, run: RunFolder) -> Facts:
    """Run one station under a bar, then tell in one line what it did; return its facts."""
    begun = time.monotonic()
    with terminal_bar(name) as progress:
        facts = STATIONS[name](config, run, progress)
    say(station_line(facts, time.monotonic() - begun))
    return facts


def run_flow(config: Path, out: Path | None, *, debug: bool = False) -> Outcome:
    """Run the whole line as the Prefect flow `full-pipeline`.

    Raises:
        GristmillError: the configuration or the source is wrong; told before a server starts.
    """
    settings, run = open_target(config, out)
    open_data(settings)
    refuse_absent(settings, decide=True, train=True)
    from flows.full_pipeline import full_pipeline  # noqa: PLC0415 - prefect is slow to import

    return follow(full_pipeline, config, run, debug=debug)


def follow(flow: Flow[..., Any], config: Path, run: RunFolder, *, debug: bool = False) -> Outcome:
    """Run one of our flows in this process and return what it came to.

    Raises:
        Exception: what ended the flow, if that was no failed gate.
    """
    from flows.app.engine_log import quieten  # noqa: PLC0415 - imports prefect
    from flows.app.tasks import gathering  # noqa: PLC0415 - imports prefect

    if quieten(debug=debug):
        say("Prefect starts a server for this run: 15 s or more. --no-prefect needs none.")
    with gathering() as done:
        ended: Any = flow(str(config), run.path, return_state=True)
    state: State[Any] = ended
    message = None if state.is_completed() else gate_message(run)
    if not state.is_completed() and (message is None or error_of(state) is not None):
        raise error_of(state) or GristmillError(
            flow.name, f"ended as {state.name}: {state.message}"
        )
    return Outcome(run.path, tuple(done), gate=message)


def state_code(state: State[Any]) -> int:
    """Return 0 for a completed flow, 2 and 3 as `run_command` for an error, 1 for the rest."""
    if state.is_completed():
        return 0
    error = error_of(state)
    if error is None:
        return FOUND
    return WRONG_USAGE if sentence(error) else FAULT


def start_flow(
    flow: Flow[..., Any], config: Path, out: Path | None = None, *, debug: bool = False
) -> int:
    """Run one of our flows, tell a person all of it, and return the exit code."""

    def start() -> int:
        _, run = open_target(config, out)
        outcome = follow(flow, config, run, debug=debug)
        show(outcome, flow.name, as_json=False)
        return exit_code(outcome, "never")

    return run_command(start, debug=debug)


def start_module(flow: Flow[..., Any]) -> None:
    """Run `flow` with the options of the command line: python -m flows.<name> --config FILE."""
    parser = argparse.ArgumentParser(description=flow.description)
    parser.add_argument("--config", type=Path, default=Path("gristmill.toml"))
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--debug", action="store_true", help="Show all logs and tracebacks.")
    given = parser.parse_args()
    sys.exit(start_flow(flow, given.config, given.out, debug=given.debug))
