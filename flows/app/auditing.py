"""Tests the experiment itself: `gristmill audit`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from flows.app.learning import read_comparison
from flows.app.progress import terminal_bar
from flows.app.store import RunFolder
from training.arms import Arms, TrainingData
from training.audit import SEEN, Rate, as_rows, audit_bound, audit_nulls, check_rates, seen_rate
from training.audit_data import drop_some, make_clouds, sample_data
from training.experiment import tier_data
from training.jobs import Place

WORDS = {"false_positive": "alarms", "coverage": "coverage"}
NOMINAL = {"false_positive": 0.05, "coverage": 0.95}


def audit_harness(run: Path | None, *, experiments: int, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Return what the audit found, as plain data: rates, bound_told, odd, seen, source.

    run: folder of a run that has been cleaned, whose rows are trained on; None: made data.
    odd: the rates that are shown to be off. seen: what true rate of false alarms, or of intervals
    that miss the truth, would have been found odd with 90 %; None if even one of 1 would not.

    Raises:
        StoreError: it is no run folder, or nothing is cleaned yet.
        TrainingError: the data cannot be trained on.
    """
    data, arms = _made() if run is None else _own(run)
    with TemporaryDirectory(prefix="audit-") as kept, terminal_bar("audit") as progress:
        place = Place(Path(kept), os.cpu_count() or 1, torch.device("cpu"))
        rates = audit_nulls(
            data, arms, place, experiments=experiments, looks=seeds, progress=progress
        )
        bound = audit_bound(data, arms, place)
    return {
        "source": "made data" if run is None else str(run),
        "experiments": experiments,
        "rates": as_rows(rates),
        "odd": as_rows(check_rates(rates)),
        "seen": seen_rate(rates),
        "bound_told": bound,
    }


def _made() -> tuple[TrainingData, Arms]:
    data = make_clouds()
    return data, drop_some(data)


def _own(path: Path) -> tuple[TrainingData, Arms]:
    run = RunFolder(path)
    comparison = read_comparison(run.read_config(), run)
    return sample_data(tier_data(comparison.data, "probe"), comparison.arms.cleaned)


def show_audit(told: dict[str, Any], *, as_json: bool) -> None:
    """Print a table on stderr; JSON on stdout if asked for."""
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    rates = [Rate(**row) for row in told["rates"]]
    looks = sorted({rate.seeds for rate in rates})
    title = f"{told['experiments']} experiments where nothing differs but chance, {told['source']}"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title)
    for name in ("rate", "between", "endpoint"):
        table.add_column(name, no_wrap=True)
    for look in looks:
        table.add_column(f"{look} seeds, %", justify="right", no_wrap=True)
    table.add_column("right")
    rows: dict[tuple[str, str, str], dict[int, str]] = {}
    for rate in rates:
        shown = f"{100 * rate.value:.1f} ({100 * rate.low:.0f}..{100 * rate.high:.0f})"
        rows.setdefault((rate.what, rate.pair, rate.endpoint), {})[rate.seeds] = shown
    for (what, pair, endpoint), by in rows.items():
        right = f"{NOMINAL[what]:.0%}"
        table.add_row(WORDS[what], pair, endpoint, *(by.get(look, "") for look in looks), right)
    console = Console(stderr=True)
    console.print(table)
    console.print(tell_audit(told), markup=False, highlight=False, soft_wrap=True)


def tell_audit(told: dict[str, Any]) -> str:
    """Return the audit in two sentences: what is off, and how little of it could be seen.

    >>> print(tell_audit({"odd": [], "seen": 0.186, "bound_told": True}).split(". ")[0])
    No rate is shown to be off; one of 18.6% false alarms, or as many intervals without the truth, \
would have been seen with 90%
    """
    bound = "told as a bound" if told["bound_told"] else "NOT told as a bound"
    never = f"A raw arm that never reaches its target is {bound}."
    if not told["odd"]:
        if told["seen"] is None:
            return f"No rate is shown to be off, nor could any be, with so few experiments. {never}"
        return (
            f"No rate is shown to be off; one of {told['seen']:.1%} false alarms, or as many "
            f"intervals without the truth, would have been seen with {SEEN:.0%}. {never}"
        )
    listed = ", ".join(f"{one['endpoint']} at {one['seeds']} seeds ({one['what'].replace('_', ' ')}"
                       f" {one['value']:.1%})" for one in told["odd"])  # fmt: skip
    return f"Beyond chance: {listed}. {never}"
