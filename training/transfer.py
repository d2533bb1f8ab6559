"""Weights learnt on other rows, for networks to start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.arms import CLEANED, Arms, TrainingData
from training.errors import TrainingError
from training.jobs import plan_jobs, repeatable
from training.learner import Learner
from training.models import build
from training.recipe import Recipe
from training.trainer import Pictures, train
from training.weights import body, fitting

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's mode L


def name_weights(data: TrainingData, arms: Arms, recipe: Recipe, device: torch.device) -> str:
    """Return what names the weights of `learn_weights`: rows, arm, recipe and engine."""
    return plan_jobs(data, arms, recipe, [(CLEANED, 0)], device)[0].digest


def learn_weights(
    data: TrainingData, arms: Arms, recipe: Recipe, device: torch.device
) -> dict[str, Tensor]:
    """Train the recipe's network once on the cleaned rows; return its averaged tensors by name."""
    left: dict[str, Tensor] = {}

    def keep(learner: Learner) -> None:
        left.update(learner.averaged())

    with repeatable(device):
        train(Pictures(data, device), arms.draw(CLEANED, 0), 0, recipe, done=keep)
    return left


def as_channels(data: TrainingData, channels: int) -> TrainingData:
    """Return image rows in one channel, their luma, or in three, all alike."""
    assert data.images is not None
    return replace(data, images=convert(data.images, channels))


def convert(images_NCHW: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Return images with so many channels, 1 or 3.

    >>> convert(np.full((1, 1, 2, 2), 7, np.uint8), 3).shape
    (1, 3, 2, 2)
    """
    if images_NCHW.shape[1] == channels:
        return images_NCHW
    if channels == 1:
        grey = np.tensordot(_LUMA, images_NCHW, axes=(0, 1))
        return np.rint(grey).astype(np.uint8)[:, None]
    return np.repeat(images_NCHW, channels, axis=1)


def count_fitting(
    tensors: Mapping[str, Tensor], data: TrainingData, recipe: Recipe
) -> tuple[int, int]:
    """Return how many tensors of the recipe's network the weights fill, and how many there are.

    The head, which stays as it was, is not counted.

    Raises:
        TrainingError: if none fits.
    """
    assert data.images is not None
    channels = data.images.shape[1]
    filters = torch.zeros(8 * channels, channels, 2, 2)
    net = build(filters, len(data.classes), 0, torch.device("cpu"), recipe.net)
    taken, own = fitting(net, tensors), body(net)
    if not taken:
        shapes = ", ".join(f"{name} {tuple(one.shape)}" for name, one in list(own.items())[:3])
        raise TrainingError(
            "weights", f"no tensor fits the network {recipe.net.name!r}", got=sorted(tensors)[:3],
            allowed=f"It has {shapes} and so on.",
            advice="Names and shapes must agree; choose the network in [training] recipe.",
        )  # fmt: skip
    return len(taken), len(own)
