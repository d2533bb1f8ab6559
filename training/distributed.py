"""One arm trained from shards by as many processes as torchrun starts, or by this one.

    torchrun --nproc-per-node 2 -m training.distributed STORE MANIFEST recipe.json --out runs/big

STORE is a shard store, MANIFEST the digest of one of its manifests, recipe.json the fields of a
`Recipe`. Rank 0 writes curves.parquet, as `training.experiment.curve_frame` gives it, and keeps a
checkpoint beside it: a killed command goes on where it was, with any number of processes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.checkpoint import EVERY_S, Checkpoint
from training.errors import TrainingError
from training.experiment import choose_device
from training.jobs import repeatable
from training.ranks import join
from training.recipe import Recipe
from training.shards.manifest import read_manifest
from training.streamed import Splits, train_streamed
from training.tiers import curve_frame


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


def main(words: list[str] | None = None) -> None:
    """Train and write the curve."""
    asked = read_arguments(words)
    recipe = read_recipe(json.loads(asked.recipe.read_text(encoding="utf-8")))
    splits = Splits.open(
        asked.store, read_manifest(Path(asked.store), asked.manifest),
        image_size=asked.image_size, channels=asked.channels,
    )  # fmt: skip
    device = choose_device(asked.device)
    asked.out.mkdir(parents=True, exist_ok=True)
    saved = Checkpoint(asked.out / f"{asked.arm}-{asked.seed}.open", asked.checkpoint_s)
    with join(device) as ranks, repeatable(device):
        run, told = train_streamed(
            splits, asked.seed, recipe, arm=asked.arm, device=device, ranks=ranks, saved=saved
        )
        if ranks.rank == 0:
            curve_frame(recipe.tier, [run], told).write_parquet(asked.out / "curves.parquet")
            saved.clear()


if __name__ == "__main__":
    main()
