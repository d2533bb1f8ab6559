"""What else would have bought accuracy or speed: `gristmill levers`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from flows.app.config import Config
from flows.app.launch import run_station
from flows.app.learning import image_side, plan_experiment, read_comparison
from flows.app.progress import terminal_bar
from flows.app.store import LEVERS, RunFolder
from flows.app.transfer import bring_weights
from flows.report.levers import list_notes, place_cleaning
from training.arms import TrainingData
from training.errors import TrainingError
from training.experiment import ExperimentOptions, choose_device, choose_recipe, tier_data
from training.features import reduce
from training.feeding import time_feeds
from training.jobs import Place, repeatable
from training.levers import OWN_FEATURES, Lever, list_levers, start_levers
from training.shards.manifest import read_manifest
from training.store_arms import Comparison
from training.trail import Clock
from training.weighing import Reading, guard_order, rank, weigh_feeds, weigh_levers

OWN_WIDTH = 256  # leading components of the user's features


def pull_levers(
    target: str,
    out: Path | None,
    *,
    seeds: int,
    only: tuple[str, ...],
    order: str,
    origin: str | None = None,
) -> dict[str, Any]:
    """Return the levers of a configuration or run as ranked rows, and keep them in levers.json.

    What is not cleaned yet is cleaned first. only: kinds of levers, none for all. origin: another
    run, or a file of weights, that networks may start from.

    Raises:
        GristmillError: the configuration or the source is wrong.
        TrainingError: the data cannot be trained on, or what `origin` names cannot be started from.
    """
    guard_order(order)
    run = RunFolder(run_station("clean", target, out).run)
    config = run.read_config()
    comparison, options = read_comparison(config, run), plan_experiment(config, run)
    data = tier_data(comparison.data, "train", options)
    recipe = choose_recipe(data, "train", options)
    place = Place(run.path / "runs", os.cpu_count() or 1, choose_device(options.device))
    offered = list_levers(recipe, data, comparison.arms)
    guard_kinds(only, offered, images=data.images is not None)
    levers = [
        lever for lever in offered if not only or lever.kind in only or lever.name == "cleaning"
    ]
    told: dict[str, Any] = {"seeds": seeds, "order": order}
    if config.labels.embedding is not None:
        levers.append(OWN_FEATURES)
    if origin is not None:
        brought = bring_weights(origin, data, options, place)
        told["transfer"] = brought
        whole = brought["taken"] == brought["of"]
        levers += start_levers(brought["name"], brought["digest"], recipe, whole=whole)
    with terminal_bar("levers") as progress:
        rows = weigh_levers(
            _read(run, comparison, levers, options), comparison.arms, levers, place, seeds=seeds,
            progress=progress,
        )  # fmt: skip
    if data.images is not None and (not only or "loading" in only):
        step_s = rows[0]["cpu_s_versus"] / recipe.steps
        feeds = _time_feeds(config, run, recipe.batch_size, seeds)
        typical = {name: float(np.median([one[name] for one in feeds])) for name in feeds[0]}
        told["feeds"] = {**typical, "step": step_s}
        rows.append(weigh_feeds(feeds, step_s, recipe.steps))
    told["diverged"] = [
        lever.name for lever in levers if lever.name not in {row["lever"] for row in rows}
    ]
    told["rows"] = rank(rows, order)
    run.write_json(LEVERS, told)
    return told


def guard_kinds(only: Sequence[str], offered: Sequence[Lever], *, images: bool) -> None:
    """Refuse a kind of change that these data have none of.

    Raises:
        TrainingError: with the kinds that there are.

    >>> guard_kinds(["width"], [Lever("twice the width", "width")], images=False)
    """
    kinds = {lever.kind for lever in offered if lever.name != "cleaning"}
    kinds |= {"loading"} if images else set()
    if unknown := sorted(set(only) - kinds):
        allowed = f"Kinds: {', '.join(sorted(kinds))}."
        raise TrainingError("--only", "no such kind of change here", got=", ".join(unknown),
                            allowed=allowed)  # fmt: skip


def _time_feeds(
    config: Config, run: RunFolder, batch_size: int, times: int
) -> list[dict[str, float]]:
    manifest = str(run.read_json("clean.json")["raw_manifest"])
    raw, side = read_manifest(run.file("shards"), manifest), image_side(config, run)
    with repeatable(torch.device("cpu")):  # on one thread, as runs are trained
        told = [
            time_feeds(run.file("shards"), raw, image_size=side, batch_size=batch_size)
            for _ in range(times + 1)
        ]
    return told[1:]  # the first one warms up


def _read(
    run: RunFolder, comparison: Comparison, levers: list[Lever], options: ExperimentOptions
) -> dict[str, Reading]:
    """The rows as each tier reads them that a lever needs; `train` always, first."""
    readings = {}
    for tier in dict.fromkeys(["train", *(lever.tier for lever in levers)]):
        clock = Clock()
        if tier == OWN_FEATURES.tier:
            data = _read_features(run, comparison.data)
        else:
            data = tier_data(comparison.data, tier, options)
        recipe = choose_recipe(data, "train" if tier == "train" else "probe", options)
        readings[tier] = Reading(data, recipe, clock.read()[0])
    return readings


def _read_features(run: RunFolder, data: TrainingData) -> TrainingData:
    """The rows as the features that the run's label checks read, which are the user's own."""
    table = run.read_table("features")
    asked = pl.DataFrame({"sample_id": data.keys.tolist()}).join(
        table, on="sample_id", how="left", maintain_order="left"
    )
    width = len(table["features"][0])
    found = asked["features"].cast(pl.Array(pl.Float32, width)).to_numpy()
    numbers = reduce(np.nan_to_num(found.astype(np.float32)), data.train, OWN_WIDTH)
    spread = np.float32(max(float(numbers[data.train].std(dtype=np.float64)), 1e-6))
    return replace(data, images=None, codes=None, levels=(), numbers=numbers / spread)


def show_levers(told: dict[str, Any], *, as_json: bool) -> None:
    """Print the ranked table on stderr; JSON on stdout if asked for."""
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
        title=f"One change at a time, {told['seeds']} paired seeds, best by {told['order']} first",
    )  # fmt: skip
    table.add_column("change", overflow="fold")
    for name in ("accuracy, pp", "sooner, steps", "sooner, CPU s", "CPU s"):
        table.add_column(name, no_wrap=True, justify="right")
    for row in told["rows"]:
        gain = row["final_acc"]
        half = 100 * (gain["high"] - gain["estimate"])  # a t interval is symmetric
        found = f"{100 * gain['estimate']:+.2f} +-{half:.2f}"
        table.add_row(
            row["lever"], "the same runs" if row.get("same_runs") else found,
            tell_ratio(row["steps"]), tell_ratio(row["seconds"]), f"{row['cpu_s']:.1f}",
            style="bold" if row["lever"] == "cleaning" else None,
        )  # fmt: skip
    console = Console(stderr=True)
    console.print(table)
    console.print(tell_levers(told), markup=False, highlight=False, soft_wrap=True)


def tell_ratio(found: dict[str, Any] | None) -> str:
    """Return how many times sooner, with interval; a bound where the other never arrived.

    >>> tell_ratio({"ratio": 1.2, "low": 1.1, "high": 1.3, "at_least": True, "at_most": False})
    '>= 1.20 (1.10..1.30)'
    """
    if found is None:
        return ""
    bound = ">= " if found["at_least"] else "<= " if found["at_most"] else ""
    return f"{bound}{found['ratio']:.2f} ({found['low']:.2f}..{found['high']:.2f})"


def tell_levers(told: dict[str, Any]) -> str:
    """Return in a sentence where cleaning stands, and what must be known of other rows."""
    return " ".join([place_cleaning(told), *list_notes(told)])
