"""One tier of an experiment: its runs, planned, trained and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from training.arms import (
    CLEANED,
    CLEANED_EPOCHS,
    PILOT,
    RANDOM_DROP,
    RAW,
    RAW_AGAIN,
    Arms,
    TrainingData,
    guard_arm,
)
from training.effects import judge_tier
from training.jobs import Job, Place, plan_jobs, run_jobs
from training.judged import Judged
from training.matching import match_compute, match_epochs
from training.recipe import Recipe
from training.trainer import Run, curve_rows

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPlan:
    """What a tier trains, all with one recipe.

    names: arms that are judged, raw first. between: arms that explain. seeds of each arm, pilots of
    raw. equal_epochs: cleaned once more, for as many epochs as raw.
    margin, cleaning_cpu_s: see `training.judged.Judged`.
    """

    recipe: Recipe
    names: tuple[str, ...]
    between: tuple[str, ...] = ()
    seeds: int
    pilots: int
    equal_epochs: bool = False
    margin: float = 0.003
    cleaning_cpu_s: tuple[float, ...] = ()


def run_tier(
    data: TrainingData, arms: Arms, plan: TierPlan, place: Place, tell: Progress | None = None
) -> tuple[dict[str, Any], list[Run]]:
    """Return the tier's part of the report and all its runs.

    Raises:
        TrainingError: if an arm cannot be trained on, or a worker died.
    """
    for name in (*plan.names, *plan.between):
        guard_arm(data, arms.draw(name, 0))
    runs = run_jobs(data, arms, _plan(data, arms, plan, place), place, tell)
    by_arm: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        by_arm.setdefault(run.arm, []).append(run)
    shorter = by_arm.pop(CLEANED_EPOCHS, [])
    judged = judged_runs(data, by_arm, plan.margin)
    cost = plan.cleaning_cpu_s
    report = judge_tier(replace(judged, groups=tuple(arms.groups), cleaning_cpu_s=cost))
    given = data.labels[data.rows_of(2)]
    return {
        **report,
        "matching": match_compute(by_arm[RAW], by_arm[CLEANED], shorter, given)
        if plan.equal_epochs else [],
        "steps": plan.recipe.steps,
        "batch_size": plan.recipe.batch_size,
        "recipe": asdict(plan.recipe),
        "seeds": plan.seeds,
    }, runs  # fmt: skip


def _plan(data: TrainingData, arms: Arms, plan: TierPlan, place: Place) -> list[Job]:
    """The jobs of the judged arms first: more arms never change what those are batched with."""
    seeds, recipe = range(plan.seeds), plan.recipe
    wanted = [(name, seed) for seed in seeds for name in plan.names]
    wanted += [(PILOT, seed) for seed in range(plan.pilots)]
    jobs = plan_jobs(data, arms, recipe, wanted, place.device)
    if between := [(name, seed) for seed in seeds for name in plan.between]:
        jobs += plan_jobs(data, arms, recipe, between, place.device)
    kept, whole = arms.cleaned.n_train, arms.raw.n_train
    if plan.equal_epochs and kept != whole:
        short = match_epochs(recipe, kept, whole)
        again = [(CLEANED_EPOCHS, seed) for seed in seeds]
        jobs += plan_jobs(data, arms, short, again, place.device)
    return jobs


def judged_runs(
    data: TrainingData, by_arm: Mapping[str, Sequence[Run]], margin: float = 0.003
) -> Judged:
    """Return runs by arm with the test labels and the chance that they are judged by."""
    test, val = data.rows_of(2), data.labels[curve_rows(data)]
    given = data.labels[test]
    known = None if data.true_labels is None else data.true_labels[test]
    true = None if known is None else np.where(known >= 0, known, given)
    corrected = true is not None and bool((true != given).any())
    chance = float(np.bincount(val, minlength=len(data.classes)).max() / val.size)
    return Judged(by_arm, given, data.classes, chance, margin, true if corrected else None)


def compare_runs(
    data: TrainingData, raw: Sequence[Run], cleaned: Sequence[Run], pilots: Sequence[Run]
) -> dict[str, Any]:
    """Return what a report says of two sets of paired runs; raw is its own control."""
    by_arm = {RAW: raw, CLEANED: cleaned, RAW_AGAIN: raw, RANDOM_DROP: raw, PILOT: pilots}
    return judge_tier(judged_runs(data, by_arm))


def curve_frame(tier: str, runs: Sequence[Run], data: TrainingData) -> pl.DataFrame:
    """Return one row for each evaluation: the Curves table, test figures at the last step only."""
    labels, frames = data.labels[data.rows_of(2)], []
    for run in runs:
        last = np.arange(run.steps.size) == run.steps.size - 1
        hits = float((run.test_pred == labels).mean())
        columns = {
            "step": run.steps, "samples": run.samples, "cpu_s": run.cpu_s, "wall_s": run.wall_s,
            "val_acc": run.val_acc, "val_nll": run.val_nll,
            "test_acc": [hits if at else None for at in last],
            "test_nll": [run.test_nll if at else None for at in last],
        }  # fmt: skip
        who = (pl.lit(tier).alias("tier"), pl.lit(run.arm).alias("arm"))
        seed = pl.lit(run.seed, pl.Int64).alias("seed")
        schema = {"test_acc": pl.Float64, "test_nll": pl.Float64}
        frames.append(pl.DataFrame(columns, schema_overrides=schema).select(*who, seed, pl.all()))
    return pl.concat(frames)
