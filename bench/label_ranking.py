"""The order of label suspicion on CIFAR-10N against cleanlab, on CPU: average precision and cost.

Features are fitted on the rows judged; no training loop, no weights from elsewhere. Weights and
rules were chosen on subset 0 with random_label1, worse_label, aggre_label, symmetric and
look-alike noise; `held_out_*` are label columns, rows and seeds that were not looked at then.
cleanlab ranks the left-out probabilities of the given label from the same run. Three draws of
10,000 of the 20,000 rows: the first two share none, the third overlaps with both by half.

Run it as `python -m bench.label_ranking --json`.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from statistics import mean
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import average_precision_score

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.twins import decode
from checks.labels.noise_matrix import estimate_noise
from checks.labels.suspicion import Ints, Verdict, gather, judge
from data.digits import load_digits
from training.features import compute_features
from training.jobs import repeatable

ROWS, SUBSETS, CLASSES = 10_000, 3, 10
TARGETS = {"random_label1": 0.65, "worse_label": 0.81, "aggre_label": 0.43,
           "symmetric_20": 0.83, "look_alikes_40": 0.40}  # fmt: skip
HELD_OUT = ("random_label2", "random_label3")
LOOK_ALIKES = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}  # truck, bird, deer, cat, dog
Doubles = npt.NDArray[np.float64]
Figures = dict[str, Figure]
Result = TypeVar("Result")


def load_rows() -> tuple[npt.NDArray[np.uint8], dict[str, Ints]]:
    """Return the train images, (20000, 3, 32, 32), and every label column; no other is read."""
    columns = ["image", "label", "random_label1", *HELD_OUT, "worse_label", "aggre_label"]
    table = pl.read_parquet(find_shared_data() / "cifar10n" / "train.parquet", columns=columns)
    return decode(table), {name: table[name].to_numpy().astype(np.int64) for name in columns[1:]}


def draw_rows(count: int) -> Iterator[Ints]:
    """Yield three draws of half the rows: two that share none, and one of its own seed."""
    order = np.random.default_rng([7, 0]).permutation(count)
    yield np.sort(order[:ROWS])
    yield np.sort(order[ROWS : 2 * ROWS])
    yield np.sort(np.random.default_rng([7, 1]).permutation(count)[:ROWS])


def flip_evenly(truth: Ints, share: float, seed: int) -> Ints:
    """Return labels of which a `share` is moved to any other class."""
    draw = np.random.default_rng([11, seed])
    moved = (truth + draw.integers(1, CLASSES, truth.size)) % CLASSES
    return np.where(draw.random(truth.size) < share, moved, truth)


def flip_look_alikes(truth: Ints, seed: int) -> Ints:
    """Return labels of which 40 % of five classes are moved into a class that looks alike."""
    draw, given = np.random.default_rng([12, seed]), truth.copy()
    for one, other in LOOK_ALIKES.items():
        given[(truth == one) & (draw.random(truth.size) < 0.4)] = other  # noqa: PLR2004
    return given


def rank_cleanlab(verdict: Verdict, labels: Ints) -> dict[str, Doubles]:
    """Return cleanlab's two rankings of the same left-out probabilities, wrong ones high."""
    chances = verdict.chances / verdict.chances.sum(axis=1, keepdims=True)
    return {
        "cleanlab_self_confidence": -get_label_quality_scores(labels, chances),
        "cleanlab_adjusted_margin": -get_label_quality_scores(
            labels, chances, method="normalized_margin", adjust_pred_probs=True
        ),
    }


def suspect(verdict: Verdict, labels: Ints) -> Doubles:
    """Return the suspicion that the check tells."""
    return verdict.refine(estimate_noise(verdict.beliefs, labels).reading.wrong)


class Tally:
    """Average precisions by name, and CPU seconds of each stage."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self.seconds: dict[str, list[float]] = {}

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        """Return what `work` gives, its CPU seconds noted."""
        begun = time.process_time()
        result = work()
        self.seconds.setdefault(stage, []).append(time.process_time() - begun)
        return result

    def note(self, name: str, value: float) -> None:
        """Note one value."""
        self.values.setdefault(name, []).append(value)


def measure_subset(
    tally: Tally, features: npt.NDArray[np.float32], truth: Ints, sets: dict[str, Ints]
) -> None:
    """Rank every label set on these features."""
    for name, labels in sets.items():
        evidence = tally.time("first_score", lambda given=labels: gather(features, given, CLASSES))
        verdict = tally.time("rescore", lambda e=evidence, given=labels: judge(e, given))
        wrong = labels != truth
        order = tally.time("order", lambda v=verdict, given=labels: suspect(v, given))
        if not wrong.any():
            continue
        tally.note(f"{name}_ap", average_precision_score(wrong, order))
        for rival, score in rank_cleanlab(verdict, labels).items():
            tally.note(f"{name}_ap_{rival}", average_precision_score(wrong, score))


def compute(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Features as a run computes them."""
    with repeatable(torch.device("cpu")):
        return compute_features(images, np.arange(len(images)))


def measure() -> Figures:
    """All subsets and label sets, digits beside them, cost last."""
    images, columns = load_rows()
    tally = Tally()
    for seed, rows in enumerate(draw_rows(len(images))):
        pictures, truth = np.ascontiguousarray(images[rows]), columns["label"][rows]
        features = tally.time("features", lambda given=pictures: compute(given))
        sets = {name: columns[name][rows] for name in TARGETS if name in columns}
        sets |= {"symmetric_20": flip_evenly(truth, 0.2, seed),
                 "look_alikes_40": flip_look_alikes(truth, seed)}  # fmt: skip
        sets |= {f"held_out_{name}": columns[name][rows] for name in HELD_OUT}
        measure_subset(tally, features, truth, sets | {"clean": truth})
    peak = _peak_gib()
    figures = measure_whole(images, columns)
    digits, values = load_digits()
    truth = values.astype(np.int64)
    features = compute(digits[:, None])
    measure_subset(tally, features, truth, {"held_out_digits_5": flip_evenly(truth, 0.05, 0)})
    few = np.random.default_rng(0).permutation(truth.size)[:200]
    small = {"held_out_200_digits_10": flip_evenly(truth[few], 0.1, 0)}
    measure_subset(tally, features[few], truth[few], small)
    return {**_precisions(tally), **_costs(tally, peak), **figures}


def measure_whole(images: npt.NDArray[np.uint8], columns: dict[str, Ints]) -> Figures:
    """All 20,000 rows, features and first score: wall seconds and peak memory."""
    begun, labels = time.perf_counter(), columns["random_label1"]
    order = suspect(judge(gather(compute(images), labels, CLASSES), labels), labels)
    spent = time.perf_counter() - begun
    found = float(average_precision_score(labels != columns["label"], order))
    return {
        "all_20k_random_label1_ap": Figure(found, None, "higher", labels.size),
        "all_20k_wall": Figure(spent, 240.0, "lower", labels.size, unit="s"),
        "all_20k_peak_memory": Figure(_peak_gib(), 4.0, "lower", labels.size, unit="GiB"),
    }


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _precisions(tally: Tally) -> Figures:
    """Mean of the subsets beside the target, their range as the interval."""
    return {
        name: Figure(mean(v), TARGETS.get(name.removesuffix("_ap")), "higher" if "_ap" in name
                     else "lower", len(v), (min(v), max(v)))
        for name, v in tally.values.items()
    }  # fmt: skip


def _costs(tally: Tally, peak: float) -> Figures:
    costs = {
        f"{stage}_cpu": Figure(max(v), 1.0 if stage == "rescore" else None, "lower", len(v),
                               (min(v), max(v)), "CPU s")
        for stage, v in tally.seconds.items()
    }  # fmt: skip
    total = costs["features_cpu"].value + costs["first_score_cpu"].value
    total += costs["order_cpu"].value
    whole = {"features_and_scores_cpu": Figure(total, 200.0, "lower", ROWS, unit="CPU s")}
    return {**costs, **whole, "peak_memory": Figure(peak, 4.0, "lower", 1, unit="GiB")}


if __name__ == "__main__":
    show(record("label_ranking", measure()))
