"""Ways to start the line: through Prefect, without it, or one station of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.core.errors import GristmillError
from flows.app.config import Config
from flows.app.intake import open_data
from flows.app.outcome import Outcome
from flows.app.progress import terminal_bar
from flows.app.stations import STATIONS, gate_message, require_classes
from flows.app.store import RunFolder
from flows.app.targets import open_target

if TYPE_CHECKING:
    from prefect import Flow, State

ORDER = tuple(STATIONS)
FAILED, WRONG_USAGE = 1, 2


def run_plain(config: Path, out: Path | None) -> Outcome:
    """Run the whole line in this process, without Prefect.

    Raises:
        GristmillError: the configuration or the source is wrong.
    """
    settings, run = open_target(config, out)
    return run_line(settings, run, until="report", train=True)


def run_station(name: str, target: str, out: Path | None, **section: object) -> Outcome:
    """Run the line up to the station `name`; what is unchanged is skipped.

    On a run folder, `report` writes the report of what is there.

    Raises:
        GristmillError: the configuration or the source is wrong.
    """
    settings, run = open_target(target, out, **section)
    if name == "report" and run.has("samples.parquet"):
        facts = STATIONS[name](settings, run, None)
        return Outcome(run.path, (facts,), gate_message(run))
    return run_line(settings, run, until=name, train=name in ("compare", "report"))


def run_line(config: Config, run: RunFolder, *, until: str, train: bool) -> Outcome:
    """Run the stations in their order up to `until`. A failed gate skips the training."""
    done = []
    for name in ORDER[: ORDER.index(until) + 1]:
        if name == "compare" and gate_message(run) is not None:
            continue
        with terminal_bar(name) as progress:
            done.append(STATIONS[name](config, run, progress))
        if name == "profile" and train:
            require_classes(config, run)
    judged = ORDER.index(until) >= ORDER.index("check")
    return Outcome(run.path, tuple(done), gate_message(run) if judged else None)


def run_flow(config: Path, out: Path | None) -> Outcome:
    """Run the whole line as the Prefect flow `full-pipeline`.

    Raises:
        GristmillError: the configuration or the source is wrong; told before a server starts.
    """
    settings, run = open_target(config, out)
    open_data(settings)
    from flows.full_pipeline import full_pipeline  # noqa: PLC0415 - prefect is slow to import

    state: State[Any] = full_pipeline(config, run.path, return_state=True)
    message = gate_message(run)
    if message is None and not state.is_completed():
        raise _cause(state)
    return Outcome(run.path, gate=message)


def _cause(state: State[Any]) -> BaseException:
    """Return the error that ended a flow."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, BaseException):
        return error
    return GristmillError("full-pipeline", f"the flow ended as {state.type.value}: {state.message}")


def state_code(state: State[Any]) -> int:
    """Return 0 for a completed flow, 2 where a person's input was wrong, 1 for the rest."""
    if state.is_completed():
        return 0
    error = state.result(raise_on_failure=False)
    return WRONG_USAGE if isinstance(error, GristmillError) else FAILED


def start_module(flow: Flow[..., Any]) -> None:
    """Run `flow` with the options of the command line: python -m flows.<name> --config FILE."""
    parser = argparse.ArgumentParser(description=flow.description)
    parser.add_argument("--config", type=Path, default=Path("gristmill.toml"))
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    state: Any = flow(options.config, options.out, return_state=True)
    sys.exit(state_code(state))
