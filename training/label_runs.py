"""Runs that are made for their word on the labels: one raw run, or one run for each fold.

They go through the jobs of the experiment: cached by content, spread over workers, the same bits
for any count of them. No curve is read but its ends.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from training.arms import RAW, Arms, TrainingData, assign_folds, fold_names, held_out_rows, raw_arm
from training.dynamics import dynamics_frame
from training.errors import TrainingError
from training.experiment import ExperimentOptions, choose_device, choose_recipe, tier_data
from training.jobs import Job, Place, Progress, plan_jobs, run_jobs
from training.probabilities import OutOfFold, out_of_fold
from training.recipe import Recipe

Table = NDArray[np.float32]
PASSES = 20
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class LabelRuns:
    """Planned runs over one pool of rows; `jobs` name their files in the cache."""

    data: TrainingData
    arms: Arms
    jobs: tuple[Job, ...]
    device: torch.device

    def train(self, cache: Path, workers: int | None, progress: Progress | None) -> list[Table]:
        """Return what each run left: dynamics (n, 6) of raw, probabilities (R, K) of a fold."""
        place = Place(cache, workers or os.cpu_count() or 1, self.device)
        runs = run_jobs(self.data, self.arms, self.jobs, place, progress)
        left = [run.dynamics if run.held_out is None else run.held_out for run in runs]
        assert all(part is not None for part in left)
        return [part for part in left if part is not None]


def plan_label_runs(
    data: TrainingData, names: Sequence[str], options: ExperimentOptions
) -> LabelRuns:
    """Return the runs of the named arms, of one seed, with the recipe of the train tier.

    Raises:
        TrainingError: if there are not two classes, or cuda is asked for and absent.
    """
    if (count := np.unique(data.labels[data.train]).size) < 2:  # noqa: PLR2004
        raise TrainingError("labels", "training needs two classes in its train split", got=count)
    rows, device = tier_data(data, "train", options), choose_device(options.device)
    recipe, raw = label_recipe(rows, options), raw_arm(rows)
    arms = Arms(raw, raw)
    jobs = plan_jobs(rows, arms, recipe, [(name, SEED) for name in names], device)
    return LabelRuns(rows, arms, tuple(jobs), device)


def label_recipe(data: TrainingData, options: ExperimentOptions) -> Recipe:
    """Return the train tier's recipe, for images with `PASSES` over the data; options.steps wins.

    Why: in six passes, as the experiment takes, the small network has not learnt what the right
    labels have in common; after 20 its last margin falls, for it learns wrong ones by heart.
    Measured on 5,000 rows of CIFAR-10N, random label 1, one seed: average precision of the rank
    average .54 after 6 passes, .61 after 20, .62 after 40. A table's heads learn by heart sooner:
    .760 after 8 passes and .745 after 20 on 10,000 rows of Adult, 15 % of the labels flipped.
    """
    recipe = replace(choose_recipe(data, "train", options), evals=1)
    if options.steps is not None or data.images is None:
        return recipe
    return replace(recipe, steps=math.ceil(PASSES * data.train.size / recipe.batch_size))


def plan_dynamics(data: TrainingData, options: ExperimentOptions) -> LabelRuns:
    """Return the one raw run whose dynamics rank the labels."""
    return plan_label_runs(data, [RAW], options)


def plan_folds(data: TrainingData, folds: int, options: ExperimentOptions) -> LabelRuns:
    """Return the runs that each leave one fold out.

    Raises:
        TrainingError: as `plan_label_runs`, or if there are fewer training samples than folds.
    """
    if data.train.size < folds:
        raise TrainingError("labels.folds", "fewer training samples than folds", got=folds,
                            allowed=f"At most {data.train.size}.")  # fmt: skip
    return plan_label_runs(data, fold_names(folds), options)


def read_dynamics(runs: LabelRuns, left: Sequence[Table]) -> pl.DataFrame:
    """Return the table `dynamics` of the train samples, averaged over the runs."""
    return dynamics_frame(runs.data.keys[runs.data.train], left)


def read_folds(runs: LabelRuns, left: Sequence[Table]) -> OutOfFold:
    """Return each train sample's probabilities by the network that never saw it.

    Validation and test samples get the mean over all; only labelled samples have a row.
    """
    data, folds = runs.data, len(left)
    rows, count = data.train, len(data.classes)
    probs, fold = np.zeros((data.labels.size, count)), np.full(data.labels.size, -1)
    for name, part in zip(fold_names(folds), left, strict=True):
        asked = held_out_rows(data, runs.arms.draw(name, SEED))
        assert asked is not None
        probs[asked] += part / np.where(data.split[asked] == 0, 1, folds)[:, None]
    fold[rows] = assign_folds(rows.size, folds)
    known = np.flatnonzero(data.labels >= 0)
    return OutOfFold(data.keys[known], probs[known].astype(np.float32), fold[known])


def table_folds(data: TrainingData, folds: int) -> OutOfFold:
    """Return a table's out-of-fold probabilities, by small heads on what the probe tier reads."""
    got = out_of_fold(tier_data(data, "probe"), folds=folds, seed=SEED)
    known = data.labels >= 0
    return OutOfFold(got.keys[known], got.probs[known], got.fold[known])


def probability_frame(scored: OutOfFold, classes: Sequence[str]) -> pl.DataFrame:
    """Return the table `probabilities`: sample_id, class_name, prob, fold, sorted by the first two.

    >>> scored = OutOfFold(np.array(["a"]), np.array([[0.25, 0.75]]), np.array([0]))
    >>> probability_frame(scored, ("no", "yes"))["prob"].to_list()
    [0.25, 0.75]
    """
    count = len(classes)
    columns = {
        "sample_id": np.repeat(scored.keys, count).tolist(),
        "class_name": list(classes) * scored.keys.size,
        "prob": scored.probs.round(4).astype(np.float32).ravel(),
        "fold": np.repeat(scored.fold, count).astype(np.int64),
    }
    return pl.DataFrame(columns).sort("sample_id", "class_name")
