"""How far the experiment can be trusted: false alarms, coverage, and what it finds.

500 experiments on made data in which nothing differs but chance, through arms, jobs, heads and
verdict; an effect whose truth is known; and 100 experiments on 10,000 real images of which a fifth
of the labels were made wrong (CIFAR-10N's images with their true labels, features computed once).

Finished runs are kept in runs/audit: what was stopped goes on. Run it as
`python -m bench.audit --json`; `--experiments N` and `--repeats N` take fewer.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

import numpy as np
import polars as pl
import torch

from bench.demo_runs import RUNS
from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.twins import decode
from training.arms import TrainingData
from training.audit import Rate, audit_bound, audit_nulls, audit_power
from training.audit_data import drop_some, make_clouds
from training.experiment import ExperimentOptions, choose_recipe, tier_data
from training.jobs import Place

TRAIN, VAL = 10_000, 1_000
ENDPOINTS = ("final_acc", "aulc", "rmst_steps")


def load_pictures(labels: str = "label", train: int = TRAIN) -> TrainingData:
    """Return rows of CIFAR-10N: train labels of a column; 1,000 val and 3,000 test, true labels."""
    folder = find_shared_data() / "cifar10n"
    columns = ["image", *dict.fromkeys([labels, "label"])]
    first = pl.read_parquet(folder / "train.parquet", columns=columns).sample(train, seed=0)
    held = pl.read_parquet(folder / "test.parquet", columns=["image", "label"])
    given = np.concatenate([first[labels].to_numpy(), held["label"].to_numpy()]).astype(np.int64)
    true = np.concatenate([first["label"].to_numpy(), held["label"].to_numpy()]).astype(np.int64)
    images = decode(pl.concat([first.select("image"), held.select("image")]))
    split = np.repeat([0, 1, 2], [train, VAL, held.height - VAL]).astype(np.int8)
    keys = np.array([f"{row:032x}-0" for row in range(given.size)])
    classes = tuple(str(code) for code in range(10))
    return TrainingData("image", classes, keys, given, split, np.ascontiguousarray(images),
                        true_labels=true)  # fmt: skip


def _tell(rates: list[Rate]) -> Iterator[tuple[str, Figure]]:
    for rate in rates:
        interval = (round(100 * rate.low, 2), round(100 * rate.high, 2))
        target, better = (7.0, "lower") if rate.what == "false_positive" else (93.0, "higher")
        if rate.endpoint not in ENDPOINTS:
            target = None if rate.endpoint != "verdict" else 7.0
        name = f"{rate.what}, {rate.pair}, {rate.endpoint}, {rate.seeds} seeds"
        yield name, Figure(round(100 * rate.value, 2), target, better, rate.n, interval, "%")  # type: ignore[arg-type]
    for what, target, better, end in (
        ("false_positive", 3.0, "higher", min),
        ("coverage", 97.0, "lower", max),
    ):
        told = [r.value for r in rates if r.what == what and r.endpoint in ENDPOINTS]
        yield f"{what}, most cautious", Figure(100 * end(told), target, better, len(told), unit="%")  # type: ignore[arg-type]


def main() -> None:
    """Audit nulls, coverage and the bound on made data, and power on real images."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--experiments", type=int, default=500)
    asked.add_argument("--repeats", type=int, default=100)
    options = asked.parse_args()
    data = make_clouds()
    arms = drop_some(data)
    place = Place(RUNS / "audit", os.cpu_count() or 1, torch.device("cpu"))
    figures = dict(_tell(audit_nulls(data, arms, place, experiments=options.experiments)))
    told = float(audit_bound(data, arms, place))
    figures["never reached is told as a bound"] = Figure(told, 1.0, "higher", 1)
    if options.repeats:
        pictures = tier_data(load_pictures(), "probe")
        recipe = choose_recipe(pictures, "probe", ExperimentOptions())
        rate = audit_power(pictures, recipe, place, repeats=options.repeats)
        interval = (round(100 * rate.low, 1), round(100 * rate.high, 1))
        name = "power: 20 % wrong labels told to hurt, 8 seeds"
        figures[name] = Figure(100 * rate.value, 95.0, "higher", rate.n, interval, "%")
    show(record("audit", figures))


if __name__ == "__main__":
    main()
