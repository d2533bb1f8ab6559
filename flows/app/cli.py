"""The command line: `gristmill`. Heavy libraries are imported inside the commands that need them.

Exit codes: 0 clean; 1 findings at or above --fail-on, or a failed quality gate; 2 a wrong command,
configuration or source; 3 a fault of Gristmill itself; 130 and 143 stopped by Ctrl-C and SIGTERM.
Humans read stderr, --json goes to stdout.
"""

import atexit
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from flows.app.ending import WRONG_USAGE, run_command, say
from flows.app.shards_cli import shards

FailOn = Literal["info", "warning", "error", "never"]
Kind = Literal["auto", "image_folder", "image_table", "table"]

app = App(
    name="gristmill",
    help="Profile, check and clean a data set, then measure what the cleaning did to training.",
    version="0.1.0",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # `run_command` tells of it
)


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """Where results go and what counts as failure."""

    out: Annotated[Path | None, Parameter(help="Run folder (default: runs/NAME-DIGEST).")] = None
    json: Annotated[bool, Parameter(negative="", help="Print the result as JSON on stdout.")] = (
        False
    )
    debug: Annotated[bool, Parameter(negative="", help="Show tracebacks.")] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Data:
    """How a source is read where no configuration says it."""

    kind: Annotated[Kind | None, Parameter(help="Layout of the data.")] = None
    label: Annotated[str | None, Parameter(help="Column that holds the class.")] = None
    image: Annotated[str | None, Parameter(help="Column that holds the image bytes.")] = None
    split: Annotated[str | None, Parameter(help="Column that holds train, val or test.")] = None


NO_DATA = Data()
NO_OUTPUT = Output()


@app.command
def init(
    source: str, *, config: Path = Path("gristmill.toml"), data: Data = NO_DATA, force: bool = False
) -> int:
    """Look at SOURCE and write a commented gristmill.toml.

    Args:
        source: folder of images, Parquet, CSV or a glob.
        config: file to write.
        data: how the source is read; guessed where not given.
        force: replace an existing file.
    """
    from flows.app.init_config import write_config  # noqa: PLC0415

    say(write_config(source, config, force=force, **vars(data)))
    return 0


@app.command
def run(
    config: Path, *, output: Output = NO_OUTPUT, fail_on: FailOn = "never", no_prefect: bool = False
) -> int:
    """Run the whole line of a CONFIG: raw data in, verdict out.

    Args:
        config: a gristmill.toml, or the run folder of an earlier run.
        output: run folder, JSON, tracebacks.
        fail_on: lowest severity of a finding that makes the exit code 1.
        no_prefect: run the same functions without a Prefect server.
    """
    from flows.app.launch import run_flow, run_plain  # noqa: PLC0415

    if no_prefect:
        return _finish(lambda: run_plain(config, output.out), "run", output, fail_on)
    return _finish(lambda: run_flow(config, output.out, debug=output.debug), "run", output, fail_on)


def _station(name: str, default: FailOn, summary: str) -> None:
    """Register the command that runs the line up to the station `name`."""

    def command(
        target: str, *, data: Data = NO_DATA, output: Output = NO_OUTPUT,
        fail_on: FailOn = default, labels: Path | None = None,
    ) -> int:  # fmt: skip
        from flows.app.launch import run_station  # noqa: PLC0415

        def start() -> object:
            return run_station(name, target, output.out, labels, **vars(data))

        return _finish(start, name, output, fail_on)

    command.__doc__ = f"""{summary}

    Args:
        target: the data, a gristmill.toml, or a run folder.
        data: how the data is read, where TARGET is the data.
        output: run folder, JSON, tracebacks.
        fail_on: lowest severity of a finding that makes the exit code 1.
        labels: CSV of rows whose wrong cells a person marked, as rows_to_mark.csv of a run asks.
    """
    app.command(command, name=name)


_station("profile", "never", "Measure every sample, or every column.")
_station("check", "error", "Profile, then judge: findings, worst first, and the quality gate.")
_station("clean", "never", "Check, then decide and write cleaned shards.")
_station("compare", "never", "Clean, then train on raw and cleaned data with controls.")
_station("report", "never", "Write the report of a run folder, or of the whole line.")


@app.command
def suggest(
    target: str, *, data: Data = NO_DATA, out: Path | None = None, against: str | None = None,
    format: Literal["python", "yaml"] | None = None, batch_rows: int | None = None,  # noqa: A002
    force: bool = False, json: Annotated[bool, Parameter(negative="")] = False,
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> int:  # fmt: skip
    """Suggest a contract for a table, each rule with its evidence, for a person to review.

    Args:
        target: the data, a gristmill.toml, or a run folder.
        data: how the data is read, where TARGET is the data.
        out: file to write (default: contract.py beside the configuration).
        against: contract in use, to compare with (default: the one that [contract] names).
        format: a pandera model in Python, or pandera's YAML form (default: by the name of OUT).
        batch_rows: rows of the batches to be judged (default: as many as TARGET has).
        force: replace existing files.
        json: print the rules and the differences as JSON on stdout.
        debug: show tracebacks.
    """
    from flows.app.suggesting import suggest_contract  # noqa: PLC0415 - pandera is slow to import
    from flows.app.suggesting_page import show_suggested  # noqa: PLC0415

    del debug  # `main` looks for it
    told = suggest_contract(target, out=out, against=against, form=format, batch_rows=batch_rows,
                            force=force, **vars(data))  # fmt: skip
    show_suggested(told, as_json=json)
    return 0


@app.command
def audit(
    run: Path | None = None, /, *, experiments: int = 100, seeds: tuple[int, ...] = (6, 8, 12),
    json: Annotated[bool, Parameter(negative="")] = False,
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> int:  # fmt: skip
    """Test the experiment itself: false alarms where nothing differs, and intervals' coverage.

    Args:
        run: folder of a run that has been cleaned, whose rows are used (default: made data).
        experiments: how many are repeated.
        seeds: of an arm; several numbers, each is told.
        json: print the rates as JSON on stdout.
        debug: show tracebacks.
    """
    from flows.app.auditing import audit_harness, show_audit  # noqa: PLC0415 - torch is slow

    del debug  # `main` looks for it
    told = audit_harness(run, experiments=experiments, seeds=seeds)
    show_audit(told, as_json=json)
    return 1 if told["odd"] or not told["bound_told"] else 0


@app.command
def levers(
    target: str, *, out: Path | None = None, seeds: int = 5, only: tuple[str, ...] = (),
    order: Literal["accuracy", "steps", "seconds"] = "accuracy",
    origin: Annotated[str | None, Parameter(name="--from")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> int:  # fmt: skip
    """Weigh what else would have bought accuracy or speed, one change at a time, beside cleaning.

    Args:
        target: a gristmill.toml, or a run folder; what is not cleaned yet is cleaned first.
        out: run folder (default: runs/NAME-DIGEST).
        seeds: paired runs of each change.
        only: kinds of changes (default: all): width, depth, optimiser ...
        order: what the table is ranked by.
        origin: another cleaned run, or a .npz or .safetensors file, that networks may start from.
        json: print the rows as JSON on stdout.
        debug: show tracebacks.
    """
    from flows.app.levers import pull_levers, show_levers  # noqa: PLC0415 - torch is slow

    del debug  # `main` looks for it
    told = pull_levers(target, out, seeds=seeds, only=only, order=order, origin=origin)
    show_levers(told, as_json=json)
    return 0


@app.command
def resplit(
    target: str, *, data: Data = NO_DATA, out: Path | None = None, times: int = 10, seeds: int = 5,
    pool: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> int:  # fmt: skip
    """Divide a small set anew many times: what cleaning is worth whichever rows are the test.

    Args:
        target: the data, a gristmill.toml, or a run folder.
        data: how the data is read, where TARGET is the data.
        out: run folder (default: runs/NAME-DIGEST); each division has its own below it.
        times: how many divisions; finished ones are not run again.
        seeds: paired runs of each arm in each division, in the probe tier.
        pool: divide samples too whose split the source gives: train and test may be mixed.
        json: print effects and divisions as JSON on stdout.
        debug: show tracebacks.
    """
    from flows.app import resplitting  # noqa: PLC0415 - torch is slow

    del debug  # `main` looks for it
    told = resplitting.resplit(target, out, times=times, seeds=seeds, pool=pool, **vars(data))
    resplitting.show_resplits(told, as_json=json)
    return 0


@app.command
def checks(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List every check.

    Args:
        json: print the catalogue as JSON on stdout.
    """
    from flows.app.catalogue import list_checks  # noqa: PLC0415

    list_checks(as_json=json)
    return 0


@app.command
def explain(check: str) -> int:
    """Tell what a CHECK looks for, why, with which parameters and from which source."""
    from flows.app.catalogue import explain_check  # noqa: PLC0415

    explain_check(check)
    return 0


@app.command
def server(*, port: int = 4200) -> int:
    """Start a Prefect server on loopback, set up for Gristmill; telemetry stays off.

    Args:
        port: port on 127.0.0.1.
    """
    from flows.app.server import serve  # noqa: PLC0415

    return serve(port)


baseline = App(name="baseline", help="Approve what a run looked like, for later runs to compare.")
app.command(baseline)


@baseline.command(name="approve")
def approve_baseline(run: Path, *, out: Path | None = None) -> int:
    """Store the distributions of RUN as the baseline that [drift] compares later runs with.

    Args:
        run: folder of a run that has been profiled.
        out: file to write (default: baseline.json beside the configuration).
    """
    from flows.app.baseline import approve  # noqa: PLC0415
    from flows.app.baseline_page import tell_approved  # noqa: PLC0415

    say(tell_approved(*approve(run, out)))
    return 0


@baseline.command(name="show")
def show_baseline(
    place: Path = Path("gristmill.toml"), *, json: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Show what a baseline holds.

    Args:
        place: a file that `gristmill baseline approve` has written, or the gristmill.toml or run
            folder beside whose configuration it lies.
        json: print it as JSON on stdout.
    """
    from flows.app.baseline import find_baseline  # noqa: PLC0415
    from flows.app.baseline_page import show  # noqa: PLC0415

    show(find_baseline(place), as_json=json)
    return 0


app.command(shards)

review = App(name="review", help="Ask people about labels, and take in what they say.")
app.command(review)


@review.command(name="export")
def export_labels(
    run: Path, file: Path, *, count: int = 200, seed: int = 0,
    again: Annotated[bool, Parameter(negative="")] = False,
) -> int:  # fmt: skip
    """Write the labels of RUN that need a person to FILE, the most valuable first.

    Args:
        run: folder of a run that has been checked.
        file: a .csv for a spreadsheet, or a .parquet.
        count: rows at most; a fifth of them is drawn at random among what nobody flagged.
        seed: of the draws.
        again: also those that have a verdict, for a second opinion.
    """
    from flows.app.reviewing import export_review  # noqa: PLC0415

    say(export_review(run, file, count=count, seed=seed, again=again))
    return 0


@review.command(name="import")
def import_labels(run: Path, file: Path, *, reviewer: str | None = None) -> int:
    """Take the verdicts in FILE in; they outrank the policy in this run and in later ones.

    Args:
        run: folder of the run that FILE was exported from, or of a later one.
        file: what `review export` wrote, with verdicts (right, wrong, unsure) filled in.
        reviewer: who judged the rows that name nobody (default: who is logged in).
    """
    from flows.app.review_import import take_in  # noqa: PLC0415

    say(take_in(run, file, reviewer))
    return 0


def _finish(start: Callable[[], object], station: str, output: Output, fail_on: FailOn) -> int:
    """Run, show the outcome, and return the exit code that it deserves."""
    from flows.app.outcome import Outcome, exit_code, show  # noqa: PLC0415

    outcome = start()
    assert isinstance(outcome, Outcome)
    show(outcome, station, as_json=output.json)
    return exit_code(outcome, fail_on)


def main(tokens: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    gc.set_threshold(200_000, 30, 30)  # imports make no garbage: looking for it cost a fifth,
    atexit.register(gc.freeze)  # and once more at the end a tenth
    given = sys.argv[1:] if tokens is None else tokens
    raise SystemExit(run_command(lambda: _dispatch(given), debug="--debug" in given))


def _dispatch(tokens: list[str]) -> int:
    """Return the exit code of the command that `tokens` spell."""
    try:
        code = app(tokens, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return WRONG_USAGE  # cyclopts has told what is wrong
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
