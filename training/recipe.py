"""How a tier trains: one frozen value, the same for every arm and seed, part of each job's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch

from training.errors import TrainingError
from training.limits import (
    RECIPE,
    UNREAD,
    Engine,
    Layout,
    OptimiserName,
    Precision,
    Schedule,
    check,
)
from training.models import Net
from training.optim import warm_up, wind_down


def _known(kind: type[Any], where: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields, JSON's lists as tuples; refuse names that are none."""
    known = [one.name for one in fields(kind)]
    if strange := [name for name in told if name not in known]:
        listed = f"Fields: {', '.join(known)}."
        raise TrainingError(where, "has no such field", got=strange[0], allowed=listed)
    return {name: tuple(v) if isinstance(v, list) else v for name, v in told.items()}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a tier trains; the same for every arm and seed.

    weight_decay: of images the share, below 1, that a step takes off the weights (of the head alone
    under muon); of tables lr times it is that share. steps: optimiser steps, of batch_size samples
    each. evals: points of the curve after step 0. ema_share: the averaged weights remember this
    share of all steps. hidden: width of a head, which has so many `layers` of it. embedding: width
    of a category's vector, 0 for none: `training.experiment.tier_data` then hands over indicators
    of the codes among the numbers. flip, translate_px: augmentation of images. label_smoothing:
    0..1. hardest: share of each batch, by the highest loss, that a step learns from (0..1, 1 all).
    net: the network of images. members: networks that each head of a table is the mean of, 1 for a
    plain one (see `training.ensemble`). schedule: constant after the warm-up, or wsd, whose last
    `decay_share` of the steps winds down to 0. sparsity: share (0 to below 1) of the weights of
    each 3x3 filter bank, or hidden layer of a table's network, that are held at zero from
    `sparse_from` (0..1) of the steps on (see `training.sparsity`). freeze: block k of an image
    network (see its `stages`) stops learning after share freeze[k] of the steps, 0..1, none before
    the one in front of it, so that nothing is computed backwards through it; source: FreezeOut
    (Brock et al. 2017, arXiv 1706.04983). start: what names the weights that an image network
    starts from (see `training.weights`), empty for its own. layout, precision, engine: how a device
    computes (see `training.probing`).

    Raises:
        TrainingError: if a choice is unknown or a number out of range.
    """

    tier: str
    steps: int
    batch_size: int
    lr: float
    weight_decay: float
    evals: int = 24
    ema_share: float = 0.1
    label_smoothing: float = 0.0
    optimiser: OptimiserName = "sgd"
    hidden: int = 128
    embedding: int = 0
    flip: bool = False
    translate_px: int = 2
    hardest: float = 1.0
    net: Net = field(default_factory=Net)
    members: int = 1
    schedule: Schedule = "constant"
    decay_share: float = 0.2
    sparsity: float = 0.0
    sparse_from: float = 0.5
    freeze: tuple[float, ...] = ()
    start: str = ""
    layers: int = 2
    layout: Layout = "channels_last"
    precision: Precision = "fp32"
    engine: Engine = "eager"

    def __post_init__(self) -> None:
        """Refuse what no loop knows."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        check("recipe", RECIPE, told)
        if not isinstance(net := told["net"], Net):
            allowed = "A Net, or for `change` a mapping of its fields."
            raise TrainingError("recipe.net", "cannot be", got=net, allowed=allowed)

    def change(self, told: Mapping[str, Any]) -> Recipe:
        """Return this recipe with other values of some fields; `net` may be a mapping of its own.

        Raises:
            TrainingError: if a field is unknown or cannot be.

        >>> Recipe("train", 9, 4, 0.1, 0.0).change({"net": {"widths": [8, 16]}}).net.widths
        (8, 16)
        """
        changed = _known(Recipe, "recipe", told)
        if isinstance(net := changed.get("net"), Mapping):
            changed["net"] = replace(self.net, **_known(Net, "recipe.net", net))
        return replace(self, **changed)

    def read_by(self, kind: str) -> dict[str, Any]:
        """Return the fields that networks of this kind of data read: image or table.

        >>> "flip" in Recipe("train", 9, 4, 0.1, 0.0).read_by("table")
        False
        """
        return {name: v for name, v in asdict(self).items() if name not in UNREAD[kind]}

    @property
    def stable_steps(self) -> int:
        """The steps before any decay: all of them where the schedule is constant."""
        if self.schedule == "constant":
            return self.steps
        return self.steps - max(1, round(self.decay_share * self.steps))

    def eval_steps(self) -> list[int]:
        """Return the steps at which the curve is read: 0 first, the end of the stable phase last.

        A decay is left out: under it the time to a target is a property of the schedule.

        >>> Recipe("probe", 10, 8, 0.1, 0.0, evals=2).eval_steps()
        [0, 5, 10]
        >>> Recipe("probe", 10, 8, 0.1, 0.0, evals=2, schedule="wsd").eval_steps()
        [0, 4, 8]
        """
        steps = self.stable_steps
        grid = np.linspace(0, steps, min(self.evals, steps) + 1).round()
        return [int(step) for step in grid]

    def factor(self, step: int) -> float:
        """Return what this step's learning rate is multiplied by."""
        if self.schedule == "constant":
            return warm_up(step, self.steps)
        return wind_down(step, self.steps, self.decay_share)

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of images and filters in memory."""
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format
