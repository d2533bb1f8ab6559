"""What cleaning wrong labels is worth to a network that learns them by heart.

CIFAR-10N, 10,000 train rows with labels by people (17 and 40 % wrong) and with the true ones; 4,000
test images stay untouched. Findings are whatever the label checks say at the time; it never sees a
true label. Every arm takes as many optimiser steps; seeds pair start, order and the random drops.
One drawing of rows: intervals tell of the seeds' chance, not of other images'.

`recovered_*`: share of the gain of the oracle drop (exactly the wrong labels) over the raw labels,
with Fieller's interval. `conv` runs take some 30 CPU s each.

Run it as `python -m bench.label_cleaning --json`; `--conv N` runs the convolutional network with
N seeds (8), 0 none; `--rows N` takes fewer rows to try it out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from bench.cleaning_arms import ASKS, SURE, Judgement, clean_arms, sure_findings, truth_arms
from bench.cleaning_nets import Runs, predict_conv, predict_mlp, with_numbers
from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.twins import decode
from checks.core.check import load_checks
from checks.core.run import run_set_checks
from training.arms import Arm, TrainingData
from training.features import compute_features, reduce
from training.statistics import Interval, fieller, paired_t

ROWS, SEEDS, AXES = 10_000, 8, 300
KINDS = {"clean": "label", "noise17": "random_label1", "noise40": "worse_label"}
MAIN = ("raw", "default", "random_drop", "all_flagged", "random_flagged")
TRUTH = ("oracle", "oracle_capped", "ideal_default", "ideal_forced")
OTHERS = (
    "forced",
    "half_rest_weighed",
    "constant_weight",
    "flags_soft",
    "flags_light",
    "soft_weights",
    "relabelled",
)
CONV_TRUTH = ("oracle", "ideal_forced")
OTHER_SEEDS = 3  # of what the default was chosen among
SHARE, LOSS = 0.75, -0.003
Predict = Callable[[TrainingData, Runs], npt.NDArray[np.int16]]
Hits = Mapping[str, npt.NDArray[np.float64]]  # by arm: (seeds, classes), share that is right


def load_images(folder: Path, split: str) -> pl.DataFrame:
    """Return images and labels of one split; neither file names nor names of classes."""
    columns = ["image", *(KINDS.values() if split == "train" else ["label"])]
    return pl.read_parquet(folder / f"{split}.parquet", columns=columns)


def judge_labels(features: npt.NDArray[np.float32], labels: pl.Series) -> Judgement:
    """Run the label checks with their defaults on train features (n, d) and given labels."""
    ids = [f"{row:032x}-0" for row in range(labels.len())]
    width = pl.Array(pl.Float32, features.shape[1])
    samples = pl.DataFrame({
        "sample_id": ids, "split": ["train"] * len(ids), "label": labels.cast(pl.String),
        "uri": ["train.parquet"] * len(ids), "row": range(len(ids)),
        "byte_size": [None] * len(ids), "xxh3_128": [one[:32] for one in ids],
    }, schema_overrides={"byte_size": pl.Int64})  # fmt: skip
    table = pl.DataFrame({"sample_id": ids, "features": pl.Series(features, dtype=width)})
    tables = {"samples": samples.lazy(), "features": table.lazy()}
    outcome = run_set_checks(tables, [load_checks()[name] for name in ASKS])
    return Judgement(samples, outcome.findings, outcome.scores, outcome.facts[SURE])


def score_arms(
    data: TrainingData, judged: Judgement, wrong: npt.NDArray[np.bool_], predict: Predict, *,
    seeds: int, names: Sequence[str],
) -> Hits:  # fmt: skip
    """Train every arm with every seed and return the share of each test class that is right."""
    cleaned = clean_arms(data, judged)
    drawn = [cleaned | truth_arms(data, judged, wrong, cleaned, at) for at in range(seeds)]
    runs = [(arms[name], seed) for name in names for seed, arms in enumerate(drawn)]
    single, place = _once(runs)
    predicted = predict(data, single)[place]
    truth = data.labels[data.rows_of(2)]
    hits = np.stack([(predicted[:, truth == k] == k).mean(1) for k in range(len(data.classes))], 1)
    return {name: hits[at * seeds : (at + 1) * seeds] for at, name in enumerate(names)}


def _once(runs: list[tuple[Arm, int]]) -> tuple[list[tuple[Arm, int]], list[int]]:
    """Return the runs without those that equal an earlier one, and which one stands for each."""
    single: list[tuple[Arm, int]] = []
    seen: dict[tuple[object, ...], int] = {}
    place = []
    for arm, seed in runs:
        key = (seed, arm.keep.tobytes(), arm.weights.tobytes(), arm.labels.tobytes())
        if key not in seen:
            seen[key] = len(single)
            single.append((arm, seed))
        place.append(seen[key])
    return single, place


def tell(kind: str, net: str, hits: Hits) -> dict[str, Figure]:
    """Return the figures of one set of labels and one network."""
    told = {f"{net}_{kind}_{arm}_acc": _plain(accuracy(by)) for arm, by in hits.items()}
    for arm, by in hits.items():
        if arm == "raw":
            continue
        raw = accuracy(hits["raw"])[: len(by)]
        target = LOSS if (kind, arm) == ("clean", "default") else None
        gain = paired_t(accuracy(by), raw, grain=1 / 4000)
        told[f"{net}_{kind}_{arm}_gain"] = _figure(gain, target)
        if kind != "clean" and arm != "oracle":
            aim = SHARE if arm == "default" else None
            share = fieller(accuracy(by) - raw, accuracy(hits["oracle"])[: len(by)] - raw)
            if share is not None:
                told[f"{net}_{kind}_{arm}_recovered"] = _figure(share, aim)
    for arm in ("default", "all_flagged", "ideal_default"):
        if arm in hits:
            before, after = hits["raw"].mean(0), hits[arm].mean(0)
            worst = int(before.argmin())
            change = paired_t(hits[arm][:, worst], hits["raw"][:, worst], grain=1 / 400)
            aim = 0.0 if (kind, arm) == ("noise40", "default") else None
            told[f"{net}_{kind}_{arm}_worst_class_change"] = _figure(change, aim)
            least = round(float(after.min() - before.min()), 4)
            told[f"{net}_{kind}_{arm}_least_change"] = Figure(least, None, "higher", SEEDS)
    return told


def accuracy(by_class: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean over classes, which are about equally many in the test rows."""
    mean: npt.NDArray[np.float64] = by_class.mean(1)
    return mean


def _figure(seen: Interval, target: float | None) -> Figure:
    ends = (round(seen.low, 4), round(seen.high, 4))
    return Figure(round(seen.estimate, 4), target, "higher", seen.n, ends)


def _plain(values: npt.NDArray[np.float64]) -> Figure:
    return Figure(round(float(values.mean()), 4), None, "higher", values.size)


def tell_findings(kind: str, judged: Judgement, wrong: npt.NDArray[np.bool_]) -> dict[str, Figure]:
    """Return how many are flagged and how many of them are wrong."""
    ids = judged.samples["sample_id"].sort()
    flagged = ids.is_in(sure_findings(judged)["sample_id"].implode()).to_numpy()
    shares = {"wrong": wrong.mean(), "flagged": flagged.mean()}
    told = {
        f"{kind}_{name}_frac": Figure(float(share), None, "lower", wrong.size)
        for name, share in shares.items()
    }
    if flagged.any():
        precision = round(float(wrong[flagged].mean()), 4)
        told[f"{kind}_precision"] = Figure(precision, None, "higher", int(flagged.sum()))
    return told


def main() -> None:
    """Judge each set of labels, train all arms, and record the figures."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--conv", type=int, default=SEEDS)
    asked.add_argument("--rows", type=int, default=ROWS)
    options = asked.parse_args()
    torch.set_num_threads(1)  # two that wait for each other cost five times as much
    folder = find_shared_data() / "cifar10n"
    train = load_images(folder, "train").sample(options.rows, seed=0)
    test = load_images(folder, "test")
    images = np.ascontiguousarray(decode(pl.concat([train.select("image"), test.select("image")])))
    fit = np.arange(train.height)
    features = compute_features(images, fit)
    axes = reduce(features, fit, AXES)
    split = np.repeat(np.array([0, 2], np.int8), [train.height, test.height])
    figures: dict[str, Figure] = {}
    for kind, column in KINDS.items():
        judged = judge_labels(features[fit], train[column])
        wrong = (train[column] != train["label"]).to_numpy()
        labels = np.concatenate([train[column].to_numpy(), test["label"].to_numpy()])
        classes = tuple(str(code) for code in range(10))
        keys = np.array([f"{row}" for row in range(labels.size)])
        pictures = TrainingData("image", classes, keys, labels.astype(np.int64), split, images)
        figures |= tell_findings(kind, judged, wrong)
        truth = TRUTH * (kind != "clean")
        rows, few = with_numbers(pictures, axes), OTHER_SEEDS
        hits = score_arms(rows, judged, wrong, predict_mlp, seeds=SEEDS, names=MAIN + truth)
        others = OTHERS + ("ideal_light",) * (kind != "clean")
        hits |= score_arms(rows, judged, wrong, predict_mlp, seeds=few, names=others)
        figures |= tell(kind, "mlp", hits)
        if options.conv:
            arms = ("raw", "default", "random_drop", "forced", *CONV_TRUTH * (kind != "clean"))
            seen = score_arms(pictures, judged, wrong, predict_conv, seeds=options.conv, names=arms)
            figures |= tell(kind, "conv", seen)
        print(f"{kind}: {judged.facts}", file=sys.stderr, flush=True)
    show(record("label_cleaning", figures))


if __name__ == "__main__":
    main()
