"""Weights for `gristmill levers --from`: of another run of the user's, or of a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flows.app.store import RunFolder
from training.arms import TrainingData
from training.errors import TrainingError
from training.experiment import ExperimentOptions, choose_recipe, tier_data
from training.jobs import Place
from training.store_arms import load_comparison
from training.trail import Clock
from training.transfer import as_channels, count_fitting, learn_weights, name_weights
from training.weights import digest_file, place_of, read_weights, write_weights

COST = "cpu_s"  # kept among the tensors that this run learnt


def bring_weights(
    origin: str, data: TrainingData, options: ExperimentOptions, place: Place
) -> dict[str, Any]:
    """Bring weights into the place's cache, for networks of these rows to start from.

    origin: a run folder, on whose cleaned rows the same network is trained once, or a .npz or
    .safetensors file.

    Returns:
        name (of the folder or file), digest (for a recipe's `start`), taken and of (tensors that
        fit, and that the network has but for its head), cpu_s (that learning them took, 0 for a
        file).

    Raises:
        TrainingError: if the rows are no images, the run is not cleaned or holds no images, the
            file cannot be read, or no tensor fits.
    """
    if data.images is None:
        raise TrainingError("levers --from", "only image networks can start from weights",
                            got=origin)  # fmt: skip
    path, recipe = Path(origin), choose_recipe(data, "train", options)
    place.cache.mkdir(parents=True, exist_ok=True)
    digest = _learn(path, data, options, place) if path.is_dir() else _copy(path, place.cache)
    tensors = read_weights(place_of(place.cache, digest))
    taken, of = count_fitting(tensors, data, recipe)
    return {"name": path.resolve().name, "digest": digest, "taken": taken, "of": of,
            "cpu_s": float(tensors.get(COST, 0.0))}  # fmt: skip


def _copy(path: Path, cache: Path) -> str:
    tensors, digest = read_weights(path), digest_file(path)
    write_weights(place_of(cache, digest), tensors)
    return digest


def _learn(folder: Path, data: TrainingData, options: ExperimentOptions, place: Place) -> str:
    """Train on another run's cleaned rows, read as these are: as large, as many channels."""
    assert data.images is not None
    other = RunFolder(folder)
    if not other.has("clean.json"):
        raise TrainingError("levers --from", "this is no cleaned run", got=str(folder),
                            advice="Run `gristmill clean` on it first.")  # fmt: skip
    told = other.read_json("clean.json")
    theirs = load_comparison(
        other.file("shards"), str(told["raw_manifest"]), str(told["cleaned_manifest"]),
        image_size=data.images.shape[2],
    )  # fmt: skip
    if theirs.data.images is None:
        raise TrainingError("levers --from", "this run holds no images", got=str(folder))
    rows = as_channels(tier_data(theirs.data, "train"), data.images.shape[1])
    recipe = choose_recipe(rows, "train", options)
    digest = name_weights(rows, theirs.arms, recipe, place.device)
    if not place_of(place.cache, digest).is_file():
        clock = Clock()
        learnt = learn_weights(rows, theirs.arms, recipe, place.device)
        learnt[COST] = torch.tensor(clock.read()[0])
        write_weights(place_of(place.cache, digest), learnt)
    return digest
