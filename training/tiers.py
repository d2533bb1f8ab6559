"""One tier of an experiment: its runs, planned, trained and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
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
    changed,
    guard_arm,
)
from training.effects import judge_tier
from training.jobs import Job, Place, plan_jobs, run_jobs
from training.judged import Judged
from training.matching import match_compute, match_epochs
from training.recipe import Recipe
from training.stopping import adjust, take_look
from training.trainer import Run, curve_rows

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPlan:
    """What a tier trains, all with one recipe.

    names: arms that are judged, raw first. between: arms that explain. seeds of each arm, pilots of
    raw. looks: counts of seeds to stop at if the effect is clear (see `training.stopping`), in
    place of seeds. equal_epochs: cleaned once more, for as many epochs as raw.
    margin, cleaning_cpu_s: see `training.judged.Judged`.
    """

    recipe: Recipe
    names: tuple[str, ...]
    between: tuple[str, ...] = ()
    seeds: int
    pilots: int
    looks: tuple[int, ...] = ()
    equal_epochs: bool = False
    margin: float = 0.003
    cleaning_cpu_s: tuple[float, ...] = ()

    @property
    def stages(self) -> tuple[int, ...]:
        """The counts of seeds that the tier may end at, rising."""
        return self.looks or (self.seeds,)

    @property
    def runs(self) -> int:
        """The runs that are trained at least."""
        return self.stages[0] * (len(self.names) + len(self.between)) + self.pilots


def run_tier(
    data: TrainingData, arms: Arms, plan: TierPlan, place: Place, tell: Progress | None = None
) -> tuple[dict[str, Any], list[Run]]:
    """Return the tier's part of the report and all its runs.

    Raises:
        TrainingError: if an arm cannot be trained on, or a worker died.
    """
    for name in (*plan.names, *plan.between):
        guard_arm(data, arms.draw(name, 0))
    runs, taken = _train(data, arms, plan, place, tell)
    by_arm = _by_arm(runs)
    shorter = by_arm.pop(CLEANED_EPOCHS, [])
    judged = judged_runs(data, by_arm, plan.margin)
    judged = replace(
        judged, groups=tuple(arms.groups), cleaning_cpu_s=plan.cleaning_cpu_s,
        unchanged=not changed(arms.raw, arms.cleaned).any() and arms.cleaned.held is None,
    )  # fmt: skip
    report = judge_tier(judged)
    if taken:
        report = adjust(report, judged, plan.looks, taken)
    given = data.labels[data.rows_of(2)]
    return {
        **report,
        "matching": match_compute(
            by_arm[RAW], by_arm[CLEANED], shorter, given, curve_rows(data).size
        ) if plan.equal_epochs else [],
        "steps": plan.recipe.steps,
        "batch_size": plan.recipe.batch_size,
        "recipe": plan.recipe.read_by("table" if data.images is None else "image"),
        "seeds": len(by_arm[RAW]),
    }, runs  # fmt: skip


def _train(
    data: TrainingData, arms: Arms, plan: TierPlan, place: Place, tell: Progress | None
) -> tuple[list[Run], list[dict[str, Any]]]:
    """Return the runs up to the look that stops, and what each look said; none are planned: all."""
    runs: list[Run] = []
    taken: list[dict[str, Any]] = []
    for first, count in pairwise((0, *plan.stages)):
        jobs = _plan(data, arms, plan, place, range(first, count))
        runs += run_jobs(data, arms, jobs, place, tell)
        if plan.looks:
            judged = judged_runs(data, _by_arm(runs), plan.margin)
            taken.append(take_look(judged, plan.looks))
            if taken[-1]["word"] == "stop":
                break
    return runs, taken


def _by_arm(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each arm, by seed."""
    by_arm: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        by_arm.setdefault(run.arm, []).append(run)
    return by_arm


def _plan(data: TrainingData, arms: Arms, plan: TierPlan, place: Place, seeds: range) -> list[Job]:
    """The jobs of these seeds, pilots with the first.

    Judged arms come first: more arms never change what those are batched with.
    """
    recipe = plan.recipe
    wanted = [(name, seed) for seed in seeds for name in plan.names]
    wanted += [(PILOT, seed) for seed in range(plan.pilots) if seeds.start == 0]
    jobs = plan_jobs(data, arms, recipe, wanted, place.device)
    if between := [(name, seed) for seed in seeds for name in plan.between]:
        jobs += plan_jobs(data, arms, recipe, between, place.device)
    kept, whole = arms.cleaned.n_train, arms.raw.n_train
    if plan.equal_epochs and kept != whole:
        short = match_epochs(recipe, kept, whole)
        again = [(CLEANED_EPOCHS, seed) for seed in seeds]
        jobs += plan_jobs(data, arms, short, again, place.device)
    return jobs


def spent_cpu_s(runs: Sequence[Run], recipe: Recipe) -> float:
    """Return the CPU seconds of the steps of one recipe's runs, a decay after the curve included.

    A curve ends where the decay begins; a step of the decay costs what the steps before it did.
    """
    told = float(sum(run.cpu_s[-1] for run in runs))
    return told * recipe.steps / max(1, recipe.stable_steps)


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
