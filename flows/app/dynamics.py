"""Networks trained for their word on the labels, before the checks: only where [labels] asks.

The runs are named by the digest of rows, labels, recipe and engine, so that a run folder beside
this one that has trained on the same is read, not repeated.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from flows.app.config import Config
from flows.app.learning import ROWS_MIN, image_side
from flows.app.packing import stored_name
from flows.app.progress import Progress
from flows.app.store import RunFolder, writing
from training.arms import TrainingData
from training.experiment import ExperimentOptions
from training.label_runs import (
    LabelRuns,
    plan_dynamics,
    plan_folds,
    probability_frame,
    read_dynamics,
    read_folds,
    table_folds,
)
from training.store_arms import load_raw

CACHE = "runs"


def train_on_labels(
    config: Config, run: RunFolder, raw: Any, progress: Progress | None = None
) -> dict[str, pl.DataFrame]:
    """Return the tables `dynamics` and `probabilities`, as far as [labels] asks for them.

    Nothing where the train split has fewer rows than features are fitted on.

    Raises:
        TrainingError: there are not two classes, or the shards do not fit into memory.
    """
    asked = config.labels
    if not (asked.training or asked.folds):
        return {}
    if "train" not in raw.splits or raw.split("train").rows < ROWS_MIN:
        return {}
    own, tables = config.training, {}
    options = ExperimentOptions(
        steps=own.steps, batch_size=own.batch_size, image_size=image_side(config, run),
        device=own.device, optimiser=own.optimiser,
    )  # fmt: skip
    left_out = [stored_name(name) for name in own.leave_out]
    data = load_raw(
        run.file("shards"), raw.digest, image_size=options.image_size, leave_out=left_out
    )
    if asked.training:
        runs = plan_dynamics(data, options)
        tables["dynamics"] = read_dynamics(runs, _train(runs, run, progress))
    if asked.folds:
        tables["probabilities"] = _score_folds(data, asked.folds, options, run, progress)
    return tables


def _score_folds(
    data: TrainingData, folds: int, options: ExperimentOptions, run: RunFolder,
    progress: Progress | None,
) -> pl.DataFrame:  # fmt: skip
    if data.images is None:
        return probability_frame(table_folds(data, folds), data.classes)
    runs = plan_folds(data, folds, options)
    return probability_frame(read_folds(runs, _train(runs, run, progress)), data.classes)


def _train(runs: LabelRuns, run: RunFolder, progress: Progress | None) -> list[Any]:
    for job in runs.jobs:
        _borrow(run, f"{job.digest}.npz")
    return runs.train(run.file(CACHE), None, progress)


def _borrow(run: RunFolder, name: str) -> None:
    """Copy the finished run `name` from a run folder beside this one, if one has it."""
    own = run.file(CACHE) / name
    beside = run.path.resolve().parent.glob(f"*/{CACHE}/{name}")
    found = next(iter(sorted(beside)), None)
    if found is None or own.is_file():
        return
    with writing(own) as file:
        file.write(found.read_bytes())
