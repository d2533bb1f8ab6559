"""What else would have bought training speed or accuracy, beside cleaning: one change at a time.

A lever is one change of the recipe, of the arm or of what the rows are read as; all else stays,
seeds pair its runs with those it is compared with. Steps stay the same, so that a lever that makes
a step dearer shows it in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from training.arms import CLEANED, RANDOM_DROP, RAW, Arms, TrainingData
from training.errors import TrainingError
from training.limits import IMAGES
from training.models import Net
from training.recipe import Recipe
from training.resnet import STAGES

Change = Mapping[str, Any]
TRANSFER = "freezing, transfer"


@dataclass(frozen=True, slots=True)
class Lever:
    """One change. change: fields of the recipe; {"net": {...}} changes the network's own fields.

    arm: what is trained on; versus: the arm that it is compared with, which takes versus_change.
    tier: another reading of the rows: probe where they are frozen features, own where they are
    features that the user brought.
    """

    name: str
    kind: str
    change: Change = field(default_factory=dict)
    arm: str = RAW
    versus: str = RAW
    versus_change: Change = field(default_factory=dict)
    tier: str = "train"


OWN_FEATURES = Lever("a head on your own features", TRANSFER, tier="own")


def list_levers(recipe: Recipe, data: TrainingData, arms: Arms) -> tuple[Lever, ...]:
    """Return the levers that this recipe has on these rows, each of which changes something.

    Cleaning comes first and is always there.
    """
    half, double = max(2, recipe.batch_size // 2), 2 * recipe.batch_size
    hard = {"hardest": 0.5}
    constant = recipe.schedule == "constant"
    levers = (
        Lever("cleaning", "data", arm=CLEANED),
        *_of_dropping(arms),
        Lever("half the rows", "data", arm="raw:0.5"),
        Lever("batches half as large", "batch size", {"batch_size": half}),
        Lever("batches twice as large", "batch size", {"batch_size": double}),
        Lever("learning rate halved", "learning rate", {"lr": recipe.lr / 2}),
        Lever("learning rate doubled", "learning rate", {"lr": recipe.lr * 2}),
        Lever("learning rate wound down" if constant else "constant learning rate", "schedule",
              {"schedule": "wsd" if constant else "constant"}),
        *_of_decay(recipe, images=data.images is not None),
        Lever("label smoothing .1", "regularisation", {"label_smoothing": 0.1}),
        Lever("hardest half of each batch", "curriculum", hard),
        Lever("hardest half, cleaned rows", "curriculum", hard, arm=CLEANED, versus=CLEANED),
        Lever("four weights of five at zero", "sparsity", {"sparsity": 0.8}),
        *(_of_tables(recipe, data) if data.images is None else _of_images(recipe)),
    )  # fmt: skip
    return tuple(lever for lever in levers if changes(recipe, lever))


def _of_dropping(arms: Arms) -> tuple[Lever, ...]:
    """The control of a cleaning that drops or down-weights something."""
    raw, cleaned = arms.raw, arms.cleaned
    same = np.array_equal(raw.keep, cleaned.keep) and np.array_equal(raw.weights, cleaned.weights)
    return () if same else (Lever("random drop as large", "data", arm=RANDOM_DROP),)


def _of_decay(recipe: Recipe, *, images: bool) -> tuple[Lever, ...]:
    """Muon decays no filter; four times as much may be more than images can have."""
    of = " of the head" if images and recipe.optimiser == "muon" else ""
    more = 4 * recipe.weight_decay
    can = not images or IMAGES["weight_decay"].holds(more)
    return (
        Lever(f"no weight decay{of}", "regularisation", {"weight_decay": 0.0}),
        *((Lever(f"four times the weight decay{of}", "regularisation", {"weight_decay": more}),)
          if can else ()),
    )  # fmt: skip


def _of_images(recipe: Recipe) -> tuple[Lever, ...]:
    other = "sgd" if recipe.optimiser == "muon" else "muon"
    low = recipe.precision == "bf16"
    return (
        Lever(f"optimiser {other}", "optimiser", {"optimiser": other}),
        Lever("no augmentation", "augmentation", {"translate_px": 0, "flip": False}),
        Lever("mirroring" if not recipe.flip else "no mirroring", "augmentation",
              {"flip": not recipe.flip}),
        *(_of_small_nets(recipe.net) if recipe.net.name == "small" else _of_resnets(recipe)),
        Lever("dropout .2", "regularisation", {"net": {"dropout": 0.2}}),
        Lever("full precision" if low else "bfloat16", "precision",
              {"precision": "fp32" if low else "bf16"}),
        Lever("blocks freeze one by one", TRANSFER, {"freeze": freeze_out(stages(recipe.net))}),
        Lever("all frozen but a head", TRANSFER, tier="probe"),
    )  # fmt: skip


def _of_small_nets(net: Net) -> tuple[Lever, ...]:
    double, half = (tuple(max(1, int(by * w)) for w in net.widths) for by in (2, 0.5))
    return (
        Lever("one convolution more in each block", "depth", {"net": {"convs": net.convs + 1}}),
        Lever("one block more", "depth", {"net": {"widths": (*net.widths, net.widths[-1])}}),
        Lever("no residual blocks" if net.residual else "residual blocks", "depth",
              {"net": {"residual": not net.residual, "convs": max(2, net.convs)}}),
        Lever("twice the width", "width", {"net": {"widths": double}}),
        Lever("half the width", "width", {"net": {"widths": half}}),
    )  # fmt: skip


def _of_resnets(recipe: Recipe) -> tuple[Lever, ...]:
    net = recipe.net
    fewer = {"freeze": recipe.freeze[: len(net.widths)]} if recipe.freeze else {}
    return (
        Lever("the small network", "depth", {"net": {"name": "small"}, **fewer}),
        Lever("twice the width", "width", {"net": {"width": 2 * net.width}}),
        Lever("half the width", "width", {"net": {"width": max(1, net.width // 2)}}),
    )


def _of_tables(recipe: Recipe, data: TrainingData) -> tuple[Lever, ...]:
    coded = (
        Lever("category vectors twice as wide", "width", {"embedding": 2 * recipe.embedding}),
        Lever("categories one-hot, no vectors", TRANSFER, tier="probe"),
    )
    return (
        Lever("twice the width", "width", {"hidden": 2 * recipe.hidden}),
        Lever("half the width", "width", {"hidden": max(1, recipe.hidden // 2)}),
        Lever("one hidden layer more", "depth", {"layers": recipe.layers + 1}),
        Lever("an ensemble of 8 members", "ensemble", {"members": 8}),
        *(coded if data.levels and recipe.embedding else ()),
    )


def start_levers(name: str, digest: str, recipe: Recipe, *, whole: bool) -> tuple[Lever, ...]:
    """Return the levers of weights that were learnt elsewhere, by the name of where.

    whole: they fit all of the network but its head; only then can the network be frozen.
    """
    told = {"start": digest}
    frozen = {**told, "freeze": (0.0,) * stages(recipe.net)}
    return (
        Lever(f"starts from {name}", TRANSFER, told),
        *((Lever(f"{name} frozen, a new head", TRANSFER, frozen),) if whole else ()),
    )


def stages(net: Net) -> int:
    """Return how many parts of a network can be frozen, one after another."""
    return len(net.widths) if net.name == "small" else STAGES


def freeze_out(blocks: int) -> tuple[float, ...]:
    """Return after which share of the steps each block stops: the first at half, then evenly.

    Source: the linear schedule of FreezeOut (Brock et al. 2017, arXiv 1706.04983), t0 = .5.

    >>> freeze_out(2)
    (0.5, 0.75)
    """
    return tuple(round(0.5 + 0.5 * at / blocks, 6) for at in range(blocks))


def changes(recipe: Recipe, lever: Lever) -> bool:
    """Say whether a lever's runs can be, and differ from those that it is compared with.

    >>> recipe = Recipe("train", 1, 2, 0.1, 0.0)
    >>> [changes(recipe, Lever("", "", {"weight_decay": decay})) for decay in (0.0, 0.1)]
    [False, True]
    """
    if not offers(recipe, lever.change):
        return False
    try:
        same = pull(recipe, lever.change) == pull(recipe, lever.versus_change)
    except TrainingError:  # beyond what a recipe can be
        return False
    return not same or lever.arm != lever.versus or lever.tier != "train"


def offers(settings: Any, change: Change) -> bool:
    """Say whether a recipe has all the fields that a change names.

    >>> offers(Recipe("train", 1, 2, 0.1, 0.0), {"lr": 0.2}), offers(object(), {"lr": 0.2})
    (True, False)
    """
    known = {one.name for one in fields(settings)} if is_dataclass(settings) else set()
    return all(
        name in known and (not isinstance(to, Mapping) or offers(getattr(settings, name), to))
        for name, to in change.items()
    )


def pull(settings: Any, change: Change) -> Any:
    """Return the recipe with the change made.

    >>> pull(Recipe("train", 1, 2, 0.1, 0.0), {"lr": 0.2}).lr
    0.2
    """
    inner = {
        name: pull(getattr(settings, name), to) if isinstance(to, Mapping) else to
        for name, to in change.items()
    }
    return replace(settings, **inner)
