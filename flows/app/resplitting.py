"""What cleaning is worth whichever rows are the test: `gristmill resplit`, for small sets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from checks.core.errors import GristmillError, SourceError
from flows.app.config import Config
from flows.app.ending import say
from flows.app.intake import one_look, open_data, read_roles
from flows.app.launch import run_line
from flows.app.lock import alone
from flows.app.store import RESPLITS, RunFolder, open_run
from flows.app.targets import open_target
from training.arms import CLEANED, RANDOM_DROP, RAW
from training.effects import pick
from training.errors import TrainingError
from training.resplits import LEAST_SPLITS, judge_resplits, read_split

FOLDER = "resplits"
ENDPOINTS = {"final_acc": "accuracy", "aulc": "curve area"}


def resplit(
    target: str, out: Path | None, *, times: int, seeds: int, pool: bool = False, **section: object
) -> dict[str, Any]:
    """Run the whole line on `times` divisions of the data, judge them, and keep resplits.json.

    Each division has a run folder of its own below the target's and is checked and cleaned anew:
    what learns from labels sees none of its test rows. (The columns of a table are counted once,
    over all rows, as in every run.) What is finished is not done again. The first division is the
    one that the configuration names.

    times: divisions, at least 2. seeds: paired seeds of each, in the probe tier. pool: also divide
    samples whose split the source gives. section: of [source], used only where `target` is data.
    Returns what the file holds, and run, the folder.

    Raises:
        GristmillError: the configuration or the source is wrong, or the source gives the splits.
        TrainingError: fewer than two divisions can be trained on.
    """
    if times < LEAST_SPLITS:
        raise GristmillError(
            "resplit", "too few divisions for an interval", got=times,
            allowed=f"--times is at least {LEAST_SPLITS}; 10 tell more.",
        )  # fmt: skip
    config, run = open_target(target, out, None, **section)
    with alone(run.path), one_look():
        if not pool:
            _refuse_given(config)
        rows = [
            _run_split(_plan(config, config.split.seed + at, seeds, pool=pool), run, at, times)
            for at in range(times)
        ]
        run.write_json(RESPLITS, told := _judge(rows))
    return {**told, "run": str(run.path)}


def _refuse_given(config: Config) -> None:
    """Refuse a source that says itself which samples are the test, or the validation."""
    source = open_data(config)
    given = set(read_roles(config, source.entries())["split"].drop_nulls()) - {"train"}
    if given:
        advice = (
            "Its test may have been chosen with care. If train and test may be mixed, "
            "say --pool, or [split] pool = true."
        )
        told = f"the source gives the splits itself ({', '.join(sorted(given))})"
        raise SourceError(config.source.path, told, advice=advice)


def _plan(config: Config, seed: int, seeds: int, *, pool: bool) -> Config:
    """The same configuration with another division, and only the arms that are told of."""
    split = {"seed": seed} | ({"pool": True} if pool else {})
    training = {
        "tiers": ("probe",), "seeds": seeds, "looks": (), "ablations": False, "doses": (),
        "raw_shares": (), "subsets": False, "equal_epochs": False,
    }  # fmt: skip
    return config.model_copy(update={
        "split": config.split.model_copy(update=split),
        "training": config.training.model_copy(update=training),
    })  # fmt: skip


def _run_split(config: Config, run: RunFolder, at: int, times: int) -> dict[str, Any]:
    """Run one division's line and read what it came to; or why it came to nothing."""
    seed = config.split.seed
    row: dict[str, Any] = {"split_seed": seed, "run": f"{FOLDER}/{seed:04}", "refused": None}
    say(f"Division {at + 1} of {times}, {row['run']}:")
    folder = run.file(row["run"])
    _share_cache(run, folder)
    own = open_run(config, folder)
    try:
        outcome = run_line(config, own, until="compare", train=True)
    except (SourceError, TrainingError) as refused:
        return row | {"refused": str(refused)}
    if outcome.gate is not None:
        return row | {"refused": f"quality gate: {outcome.gate}"}
    return row | read_split(own.read_json("experiment.json"))


def _share_cache(run: RunFolder, folder: Path) -> None:
    """Let a division read what was measured of the samples: that depends on no split."""
    run.file("cache").mkdir(exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / "cache"
    if not own.exists():
        own.symlink_to(Path("../../cache"), target_is_directory=True)


def _judge(rows: list[dict[str, Any]]) -> dict[str, Any]:
    done = [row for row in rows if row["refused"] is None]
    if len(done) < LEAST_SPLITS:
        first = next(row["refused"] for row in rows if row["refused"] is not None)
        raise TrainingError(
            "resplits", f"{len(rows) - len(done)} of {len(rows)} divisions cannot be trained on",
            got=first, advice="Give more samples, or larger [split] fractions.",
        )  # fmt: skip
    return {**judge_resplits(done), "divisions": rows}


def show_resplits(told: Mapping[str, Any], *, as_json: bool) -> None:
    """Print effects and divisions, the largest effect first, on stderr; JSON on stdout if asked."""
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    console = Console(stderr=True)
    console.print(_table_effects(told))
    console.print(_table_divisions(told))
    for line in closing_lines(told):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table_effects(told: Mapping[str, Any]) -> Table:
    title = f"{told['splits']} divisions, {told['seeds']} paired seeds each; points"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title)
    for name in ("effect", "on"):
        table.add_column(name, no_wrap=True)
    for name in ("mean", "95 % interval", "plain t, too narrow", "could see"):
        table.add_column(name, justify="right", no_wrap=name == "95 % interval")
    for row in told["effects"]:
        least = "" if row["mde"] is None else f"{100 * row['mde']:.2f}"
        style = "bold" if (row["arm"], row["versus"]) == (CLEANED, RAW) else None
        table.add_row(
            f"{row['arm']} - {row['versus']}", ENDPOINTS[row["endpoint"]],
            f"{100 * row['estimate']:+.2f}", _between(row), _between(row["plain"]), least,
            style=style,
        )  # fmt: skip
    return table


def _between(row: Mapping[str, Any]) -> str:
    return f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}"


def _table_divisions(told: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Divisions, largest effect first")
    table.add_column("division", no_wrap=True)
    for name in ("train", "test", "over raw", "over random drop", "verdict"):
        table.add_column(name, justify="right")
    for row in _ranked(told["divisions"]):
        if row["refused"] is not None:
            table.add_row(row["run"], "", "", "", "", "none")
            continue
        raw, control = (
            f"{100 * pick(row['effects'], CLEANED, versus)['estimate']:+.2f}"
            for versus in (RAW, RANDOM_DROP)
        )
        counts = [f"{row['rows'][name]:,}" for name in ("train", "test")]
        table.add_row(row["run"], *counts, raw, control, row["word"])
    return table


def _ranked(divisions: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those with the largest gain over raw first, those that were refused last."""

    def place(row: Mapping[str, Any]) -> float:
        refused = row["refused"] is not None
        return float("inf") if refused else -pick(row["effects"], CLEANED, RAW)["estimate"]

    return sorted(divisions, key=place)


def closing_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the last lines that a person reads: the verdict, its spread, why not the plain t."""
    main = pick(told["effects"], CLEANED, RAW)
    yield f"Verdict: {told['verdict']['sentence']}"
    words = ", ".join(f"{count} {word}" for word, count in told["words"].items())
    yield (
        f"By themselves: {words}; cleaned is ahead in {main['above']} of {told['splits']}, "
        f"{100 * main['least']:+.2f} to {100 * main['most']:+.2f} points."
    )
    yield told["verdict"]["why"]
    for row in told["divisions"]:
        if row["refused"] is not None:
            yield f"{row['run']} is left out: {row['refused']}"
    yield f"All divisions: {told['run']}/{RESPLITS}. `gristmill report {told['run']}` shows them."
