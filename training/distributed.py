"""One arm trained from shards by as many processes as torchrun starts, or by this one.

    torchrun --nproc-per-node 2 -m training.distributed STORE MANIFEST recipe.json --out runs/big

STORE is a shard store, MANIFEST the digest of one of its manifests, recipe.json the fields of a
`Recipe`. Rank 0 writes curves.parquet, as `training.experiment.curve_frame` gives it, and keeps a
checkpoint beside it: a killed command goes on where it was, with any number of processes. The exit
code is 0, or 2 after one line on stderr that says what to mend; a checkpoint stays either way.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from training.checkpoint import EVERY_S, Checkpoint
from training.errors import TrainingError
from training.experiment import choose_device
from training.jobs import name_result, repeatable
from training.limits import SIDE_PX
from training.ranks import join
from training.recipe import Recipe
from training.shards.manifest import read_manifest
from training.shards.store import write_atomic, writing
from training.streamed import Splits, train_streamed
from training.tiers import curve_frame


def open_recipe(path: Path) -> Recipe:
    """Return the recipe that a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        TrainingError: if it is no JSON object or has a field that cannot be.
    """
    wanted = "Needs an object with the fields of a recipe."
    try:
        told = json.loads(path.read_bytes())
    except ValueError as broken:
        raise TrainingError(str(path), "is no JSON", got=str(broken), allowed=wanted) from broken
    if not isinstance(told, Mapping):
        raise TrainingError(str(path), "is no object", got=type(told).__name__, allowed=wanted)
    return read_recipe(told)


def read_recipe(told: Mapping[str, Any]) -> Recipe:
    """Return a recipe of JSON's values.

    Raises:
        TrainingError: if a field is unknown, missing or cannot be.
    """
    least = ("tier", "steps", "batch_size", "lr", "weight_decay")
    if lost := [name for name in least if name not in told]:
        raise TrainingError("recipe", "lacks a field", got=lost[0], allowed=f"Needs {least}.")
    return Recipe(*(told[name] for name in least)).change(told)


def read_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(prog="training.distributed", description=__doc__)
    parser.add_argument("store")
    parser.add_argument("manifest")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arm", default="raw", help="name of the run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=32, help="pixels a side")
    parser.add_argument("--channels", type=int, default=3, choices=(1, 3))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--checkpoint-s", type=float, default=EVERY_S, help="seconds between two")
    return parser.parse_args(words)


def name_run(asked: argparse.Namespace, recipe: Recipe, device: torch.device) -> str:
    """Return the name of all that decides the bits of the run but the number of processes."""
    own = ("manifest", "arm", "seed", "image_size", "channels")
    return name_result(
        {"recipe": asdict(recipe), **{name: getattr(asked, name) for name in own}}, device
    )


def train(asked: argparse.Namespace) -> None:
    """Train and write the curve.

    Raises:
        OSError, TrainingError: if anything asked for is not there or cannot be.
    """
    if not SIDE_PX.holds(asked.image_size):
        raise TrainingError("--image-size", "cannot be", got=asked.image_size,
                            allowed=f"{SIDE_PX.told()} px.")  # fmt: skip
    recipe, device = open_recipe(asked.recipe), choose_device(asked.device)
    splits = Splits.open(
        asked.store, read_manifest(asked.store, asked.manifest),
        image_size=asked.image_size, channels=asked.channels,
    )  # fmt: skip
    with writing(asked.out):
        asked.out.mkdir(parents=True, exist_ok=True)
    saved = Checkpoint(asked.out / f"{name_run(asked, recipe, device)}.open", asked.checkpoint_s)
    with join(device) as ranks, repeatable(device):
        run, told = train_streamed(
            splits, asked.seed, recipe, arm=asked.arm, device=device, ranks=ranks, saved=saved
        )
        if ranks.rank == 0:
            curve = BytesIO()
            curve_frame(recipe.tier, [run], told).write_parquet(curve)
            write_atomic(asked.out / "curves.parquet", curve.getvalue())
            saved.clear()


def main(words: list[str] | None = None) -> int:
    """Return the exit code: 0, or 2 after saying on stderr what must be mended."""
    try:
        train(read_arguments(words))
    except TrainingError as wrong:
        told = wrong
    except OSError as broken:
        where = str(broken.filename or "training.distributed")
        why, advice = broken.strerror or str(broken), "Check the path and what may be done there."
        told = TrainingError(where, "cannot be used", got=why, advice=advice)
    else:
        return 0
    print(told, file=sys.stderr)  # noqa: T201 - the command speaks
    return 2


if __name__ == "__main__":
    sys.exit(main())
