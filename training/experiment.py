"""What cleaning does to training: every arm and seed of every tier, judged against its controls.

The recipe, the steps and the untouched test set are the same in all arms; only the training rows
differ. Two tiers give one report: `probe` (frozen features, batched heads) and `train` (the small
network for images, heads with learnt category vectors for tables).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from training.arms import RAW_AGAIN, Arms, TrainingData
from training.digests import rows_digest
from training.dynamics import dynamics_frame
from training.effects import LEAST_SEEDS, pick
from training.errors import TrainingError
from training.features import features_of, probe_features
from training.jobs import Place, repeatable
from training.limits import OptimiserName, refuse_unread
from training.matching import MATCHED_ON
from training.packing import pack
from training.probing import settle
from training.recipe import Recipe
from training.sequential import boundaries
from training.shards.store import write_atomic
from training.store_arms import Comparison, load_comparison
from training.telling import agree, finite
from training.tiers import TierPlan, curve_frame, run_tier, spent_cpu_s
from training.trail import Clock
from training.trainer import Pictures
from training.yardstick import is_cheap, measure_yardstick

TIERS = ("probe", "train")
HELD_OUT = {"val_digest": 1, "test_digest": 2}
PLAIN: OptimiserName = "sgd"
WAY = {"layout", "precision", "engine"}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentOptions:
    """How an experiment is run.

    tiers: of `TIERS`; train gives the headline if it is run. seeds: paired seeds an arm, at least
    2; pilots: raw runs that freeze the targets, at least 1. looks: counts of seeds, rising from at
    least 5, in place of seeds: each tier stops at the first one where its effect is clear (see
    `training.stopping`). steps, batch_size: None chooses by the number of rows. image_size in
    pixels a side. device: auto, cpu or cuda. workers: processes on a CPU, None for all cores;
    packed: those that share a GPU, None for as many as are fastest (see `training.packing`).
    None for yardstick fits trees where they cost little, for probe tries on a GPU alone.
    margin: accuracy difference (fraction) that does not matter. optimiser: sgd or muon, of the
    network. ablations: also run each check's group alone and left out, in the probe tier.
    doses: shares (0..1) of what cleaning changed, surest first (`training.doses.rank_reasons`);
    raw_shares: shares of raw's rows; subsets: all sets of at most 5 groups of checks; each an arm
    of the probe tier. equal_epochs: train cleaned once more for as many epochs as raw, where rows
    were dropped. groups, acting, leave_out: see `load_comparison`. cleaning_cpu_s: what profile,
    check and clean took for each part of the data, CPU seconds, for the break-even. recipe: fields
    of the train tier's recipe that are not to be as chosen (network, members, schedule and so on).
    yardstick: also fit boosted trees on each arm of a table, for the facts. probe: try how the
    device computes images fastest (see `training.probing`), once for all arms.
    """

    tiers: tuple[str, ...] = TIERS
    seeds: int = 8
    pilots: int = 8
    looks: tuple[int, ...] = ()
    steps: int | None = None
    batch_size: int | None = None
    image_size: int = 32
    device: str = "auto"
    workers: int | None = None
    margin: float = 0.003
    optimiser: OptimiserName = PLAIN
    ablations: bool = False
    doses: tuple[float, ...] = ()
    raw_shares: tuple[float, ...] = ()
    subsets: bool = False
    equal_epochs: bool = False
    groups: Mapping[str, Sequence[str]] | None = None
    acting: Sequence[str] | None = None
    leave_out: tuple[str, ...] = ()
    cleaning_cpu_s: tuple[float, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    yardstick: bool | None = False
    probe: bool | None = False
    packed: int | None = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        unknown = [tier for tier in self.tiers if tier not in TIERS]
        if unknown or not self.tiers:
            raise TrainingError(
                "training.tiers", "no such tier", got=unknown, allowed="Tiers: probe, train."
            )
        if self.seeds < 2:  # noqa: PLR2004 - an interval needs two
            raise TrainingError("training.seeds", "too few", got=self.seeds, allowed="At least 2.")
        if self.looks:
            boundaries(self.looks)  # refuses counts that do not rise
            if (first := self.looks[0]) < LEAST_SEEDS:
                allowed = f"At least {LEAST_SEEDS}: fewer give no verdict."
                raise TrainingError("training.looks", "too few", got=first, allowed=allowed)
        least = {"pilots": 1, "steps": 1, "batch_size": 2, "margin": 0, "packed": 1}
        for name, bound in least.items():
            if (value := getattr(self, name)) is not None and value < bound:
                allowed = f"At least {bound}."
                raise TrainingError(f"training.{name}", "too small", got=value, allowed=allowed)
        for name in ("doses", "raw_shares"):
            if wrong := [share for share in getattr(self, name) if not 0 < share < 1]:
                raise TrainingError(
                    f"training.{name}", "no such share", got=wrong[0],
                    allowed="Above 0 and below 1.",
                )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """report: what experiment.json holds. curves: one row for each evaluation of each run.

    dynamics: see `training.dynamics.dynamics_frame`; of the raw runs of the primary tier.
    """

    report: Mapping[str, Any]
    curves: pl.DataFrame
    dynamics: pl.DataFrame


def run_experiment(
    store: Path,
    raw: str,
    cleaned: str,
    options: ExperimentOptions,
    *,
    truth: pl.DataFrame | None = None,
    out: Path,
    progress: Progress | None = None,
) -> Experiment:
    """Compare two manifests of a store; write curves, dynamics and experiment.json into `out`.

    Finished runs are kept in `out`/runs: a second call trains only what changed or is missing.

    store: the shard store; raw, cleaned: digests of two of its manifests. truth: see
    `load_comparison`. progress: called with (tier, jobs done, jobs in all).

    Raises:
        TrainingError: if the data cannot be trained on, or a worker died.
    """
    comparison = load_comparison(
        store, raw, cleaned, image_size=options.image_size, truth=truth, groups=options.groups,
        leave_out=options.leave_out, acting=options.acting,
    )  # fmt: skip
    experiment = compare(comparison, options, out / "runs", progress)
    report = {"manifests": {"raw": raw, "cleaned": cleaned}, **experiment.report}
    experiment.curves.write_parquet(out / "curves.parquet")
    experiment.dynamics.write_parquet(out / "dynamics.parquet")
    text = json.dumps(finite(report), indent=1, sort_keys=True)
    write_atomic(out / "experiment.json", text.encode())
    if comparison.encoder is not None:
        write_atomic(out / "encoder.json", comparison.encoder.to_json().encode())
    return replace(experiment, report=report)


def compare(
    comparison: Comparison,
    options: ExperimentOptions,
    cache: Path,
    progress: Progress | None = None,
) -> Experiment:
    """Run and judge all tiers over pool and arms in memory; `cache` keeps finished runs."""
    device = choose_device(options.device)
    before = {name: rows_digest(comparison.data, at) for name, at in HELD_OUT.items()}
    tiers: dict[str, dict[str, Any]] = {}
    curves, primary = [], options.tiers[-1] if "train" not in options.tiers else "train"
    place = Place(cache, options.workers or os.cpu_count() or 1, device)
    for tier in options.tiers:
        clock, tell = Clock(), None if progress is None else partial(progress, tier)
        data = tier_data(comparison.data, tier, options)
        recipe, tried = _settle(data, choose_recipe(data, tier, options), options, place)
        plan = plan_tier(recipe, comparison.arms, options)
        shared, packing = pack(data, comparison.arms, recipe, place, plan.runs, options.packed)
        prepared, _ = clock.read()
        told, runs = run_tier(data, comparison.arms, plan, shared, tell)
        spent = spent_cpu_s(runs, recipe) + prepared
        tiers[tier] = {**told, **tried, **packing, "prepared_s": prepared, "cpu_s": spent}
        tiers[tier]["wall_s"] = clock.read()[1]
        curves.append(curve_frame(tier, runs, comparison.data))
        if tier == primary:
            left = [run.dynamics for run in runs if run.dynamics is not None]
            dynamics = dynamics_frame(comparison.data.keys[comparison.data.train], left)
    if before != {name: rows_digest(comparison.data, at) for name, at in HELD_OUT.items()}:
        raise TrainingError("experiment", "held-out rows changed while arms were trained")
    facts = {**comparison.facts, **_fit_trees(comparison, options.yardstick)}
    effects = tiers[primary]["effects"]
    again = pick(effects, "raw_again", "raw")
    report = {
        "device": device.type,
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "seeds": tiers[primary]["seeds"],
        "facts": {**facts, "compute_matched_on": MATCHED_ON},
        "tiers": tiers,
        "primary_tier": primary,
        "verdict": tiers[primary]["verdict"],
        "agreement": agree(tiers),
        "audit": {
            "aa_interval": [again["low"], again["high"]],
            "aa_holds_zero": again["low"] <= 0 <= again["high"],
            **before,
        },
    }
    return Experiment(report, pl.concat(curves).sort("tier", "arm", "seed", "step"), dynamics)


def _fit_trees(comparison: Comparison, asked: bool | None) -> dict[str, Any]:
    """Return what boosted trees make of each arm of a table, if asked for; raw again is raw."""
    data, arms = comparison.data, comparison.arms
    if data.kind != "table" or not (is_cheap(data) if asked is None else asked):
        return {}
    fixed = [arms.draw(name, 0) for name in arms.names() if name != RAW_AGAIN]
    return {"yardstick": measure_yardstick(data, fixed)}


def choose_device(name: str) -> torch.device:
    """Return the device: `auto` takes a GPU if there is one.

    Raises:
        TrainingError: if cuda is asked for and absent.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("training.device", "there is no GPU", got=name, advice="Use 'auto'.")
    return torch.device(name)


def tier_data(
    data: TrainingData, tier: str, options: ExperimentOptions | None = None
) -> TrainingData:
    """Return the pool as a tier reads it: frozen features for `probe`, the rows for `train`.

    options: a recipe whose `embedding` is 0 learns no vectors of categories, so that `train` too
    has indicators of the common ones among its numbers.
    """
    if tier == "train" and data.kind != "table":
        return replace(data, numbers=None, codes=None)
    flat = options is not None and options.recipe.get("embedding") == 0
    if tier == "train" and not (flat and data.levels):
        return data
    if data.images is not None:
        with repeatable(torch.device("cpu")):
            numbers = probe_features(features_of(data), data.train)
    else:
        numbers = features_of(data)
    return replace(data, images=None, numbers=numbers, codes=None, levels=())


def choose_recipe(data: TrainingData, tier: str, options: ExperimentOptions) -> Recipe:
    """Return the tier's recipe for these rows; options.steps, batch_size and recipe win.

    Probe: at least 300 steps of 256. Network: six epochs of 100, at least 150 steps and at most
    3,000. Table: four epochs, two above 100,000 rows, at least 300 steps.

    Raises:
        TrainingError: if options.recipe or optimiser, whichever the tier, name what networks of
            such data do not read, or hold what cannot be.
    """
    n, own = data.train.size, options.optimiser
    refuse_unread(data.kind, ({} if own == PLAIN else {"optimiser": own}) | dict(options.recipe))
    if data.images is not None:
        size = options.batch_size or 100
        steps = options.steps or min(3000, max(150, math.ceil(6 * n / size)))
        made = Recipe(
            tier, steps, size, 0.05, 5e-4, evals=20, optimiser=own,
            flip=data.images.shape[1] > 1,
        )  # fmt: skip
        return made.change(options.recipe)
    size = options.batch_size or (256 if n < 50_000 else 512)  # noqa: PLR2004
    if tier == "probe":
        steps = options.steps or min(600, max(300, math.ceil(4 * n / size)))
        return Recipe(tier, steps, size, 1e-3, 1.0)
    epochs = 4 if n < 100_000 else 2  # noqa: PLR2004
    steps = options.steps or min(2000, max(300, math.ceil(epochs * n / size)))
    return Recipe(tier, steps, size, 1e-3, 0.1, embedding=8).change(options.recipe)


def _settle(
    data: TrainingData, recipe: Recipe, options: ExperimentOptions, place: Place
) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe as the device computes it fastest, if asked for, and what was found."""
    asked = place.device.type != "cpu" if options.probe is None else options.probe
    if not asked or data.images is None or WAY & set(options.recipe):  # named: nothing to choose
        return recipe, {}
    with repeatable(place.device):
        settled, told = settle(Pictures(data, place.device), recipe, place.cache)
    return settled, {"device_probe": told}


def plan_tier(recipe: Recipe, arms: Arms, options: ExperimentOptions) -> TierPlan:
    """Return the arms of a tier: those that judge in all, those that explain in the probe tier."""
    probing = recipe.tier == "probe"
    between = arms.steps_between(options.doses, options.raw_shares, subsets=options.subsets)
    return TierPlan(
        recipe=recipe,
        names=arms.names(ablations=options.ablations and probing),
        between=between if probing else (),
        seeds=options.seeds,
        pilots=options.pilots,
        looks=options.looks,
        equal_epochs=options.equal_epochs,
        margin=options.margin,
        cleaning_cpu_s=options.cleaning_cpu_s,
    )
