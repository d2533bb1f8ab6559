"""What else would have bought accuracy or speed: `gristmill levers`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from flows.app.launch import run_station
from flows.app.learning import image_side, plan_experiment, read_comparison
from flows.app.progress import terminal_bar
from flows.app.store import RunFolder
from training.arms import TrainingData
from training.experiment import ExperimentOptions, choose_device, choose_recipe, tier_data
from training.features import reduce
from training.feeding import time_feeds
from training.jobs import Place
from training.levers import OWN_FEATURES, Lever, Reading, list_levers, weigh_levers
from training.shards.manifest import read_manifest
from training.store_arms import Comparison
from training.trail import Clock

FILE = "levers.json"
OWN_WIDTH = 256  # leading components of the user's features


def pull_levers(
    target: str, out: Path | None, *, seeds: int, only: tuple[str, ...], order: str
) -> dict[str, Any]:
    """Return the levers of a configuration or run as ranked rows, and keep them in levers.json.

    What is not cleaned yet is cleaned first. only: kinds of levers, none for all.

    Raises:
        GristmillError: the configuration or the source is wrong.
        TrainingError: the data cannot be trained on.
    """
    run = RunFolder(run_station("clean", target, out).run)
    config, manifests = run.read_config(), run.read_json("clean.json")
    comparison = read_comparison(config, run)
    options = plan_experiment(config, run)
    recipe = choose_recipe(tier_data(comparison.data, "train"), "train", options)
    levers = [
        lever for lever in list_levers(recipe, comparison.data.kind)
        if not only or lever.kind in only or lever.name == "cleaning"
    ]  # fmt: skip
    if config.labels.embedding is not None:
        levers.append(OWN_FEATURES)
    place = Place(run.path / "runs", os.cpu_count() or 1, choose_device(options.device))
    with terminal_bar("levers") as progress:
        rows = weigh_levers(
            _read(run, comparison, levers, options), comparison.arms, levers, place, seeds=seeds,
            order=order, progress=progress,
        )  # fmt: skip
    told = {"seeds": seeds, "order": order, "rows": rows}
    if comparison.data.kind == "image":
        raw = read_manifest(run.file("shards"), str(manifests["raw_manifest"]))
        feeds = time_feeds(run.file("shards"), raw, image_size=image_side(config, run),
                           batch_size=recipe.batch_size)  # fmt: skip
        told["feeds"] = {**feeds, "step": rows[0]["cpu_s_versus"] / recipe.steps}
    run.write_json(FILE, told)
    return told


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
            data = tier_data(comparison.data, tier)
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
    table.add_column("change")
    for name in ("accuracy, pp", "sooner, steps", "sooner, CPU s", "CPU s"):
        table.add_column(name, no_wrap=True, justify="right")
    for row in told["rows"]:
        gain = row["final_acc"]
        half = 100 * (gain["high"] - gain["estimate"])  # a t interval is symmetric
        style = "bold" if row["lever"] == "cleaning" else None
        table.add_row(
            row["lever"], f"{100 * gain['estimate']:+.2f} +-{half:.2f}", tell_ratio(row["steps"]),
            tell_ratio(row["seconds"]), f"{row['cpu_s']:.1f}", style=style,
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
    """Return in a sentence where cleaning stands.

    >>> row = {"lever": "cleaning", "final_acc": {"estimate": 0.01, "low": 0.005}}
    >>> tell_levers({"rows": [row]})
    'No other single change gained more test accuracy than cleaning.'
    """
    rows = told["rows"]
    mine = next(row for row in rows if row["lever"] == "cleaning")["final_acc"]["estimate"]
    better = [
        row["lever"] for row in rows
        if row["final_acc"]["estimate"] > mine and row["final_acc"]["low"] > 0
        and row.get("versus") != "cleaned"
    ]  # fmt: skip
    said = "No other single change gained more test accuracy than cleaning."
    if better:
        listed = ", ".join(better)
        said = f"More test accuracy than cleaning, with an interval above 0: {listed}."
    if feeds := told.get("feeds"):
        resident, loader, step = (1000 * feeds[name] for name in ("resident", "loader", "step"))
        said += (
            f" A batch costs {resident:.1f} ms of CPU from memory and {loader:.1f} ms from the "
            f"shards; a step of raw's recipe {step:.0f} ms."
        )
    return said
