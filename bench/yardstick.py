"""What boosted trees cost beside the experiment that they are told with.

Adult as given (29,561 rows to train on), one in 20 of them dropped at random as the cleaned arm;
the experiment as a configuration without [training] runs it: both tiers, 8 seeds, doses, shares of
raw, equal epochs. One process on one thread; CPU seconds of both in one run, so the share is free
of the machine's load. The report tells the trees by default while the share stays below a tenth.
Run it as `python -m bench.yardstick --json`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.record import Figure, record, show
from bench.table_nets import load_adult
from flows.app.sections import TrainingSection
from training.arms import RAW_AGAIN, Arms, raw_arm
from training.experiment import ExperimentOptions, compare
from training.store_arms import Comparison
from training.yardstick import is_cheap, measure_yardstick

SHARE = 0.1


def measure() -> dict[str, Figure]:
    """Return the CPU seconds of trees and experiment, and their ratio."""
    data, own = load_adult(), TrainingSection()
    raw = raw_arm(data)
    keep = np.random.default_rng(0).random(raw.keep.size) > 0.05  # noqa: PLR2004 - as said
    arms = Arms(raw, replace(raw, name="cleaned", keep=keep))
    options = ExperimentOptions(
        tiers=own.tiers, seeds=own.seeds, doses=own.doses, raw_shares=own.raw_shares,
        equal_epochs=own.equal_epochs, device="cpu", workers=1,
    )  # fmt: skip
    marks = [time.process_time()]
    with TemporaryDirectory() as kept:
        compare(Comparison(data, arms), options, Path(kept))
    marks.append(time.process_time())
    measure_yardstick(data, [arms.draw(name, 0) for name in arms.names() if name != RAW_AGAIN])
    marks.append(time.process_time())
    experiment, trees = np.diff(marks).tolist()
    return {
        "trees_cpu_s": Figure(trees, None, "lower", 1, unit="s"),
        "experiment_cpu_s": Figure(experiment, None, "lower", 1, unit="s"),
        "trees_share": Figure(trees / experiment, SHARE, "lower", 1),
        "told_by_default": Figure(float(is_cheap(data)), 1.0, "higher", 1),
    }


if __name__ == "__main__":
    show(record("yardstick", measure()))
