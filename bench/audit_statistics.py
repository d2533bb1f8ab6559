"""The harness audits itself: do its intervals hold the truth, and how often does it cry wolf?

Made experiments (`bench.made_experiments`) pass through `judge_tier`, which writes what the report
tells; each interval is then held against what thousands of seeds on the same test set, or the
population of test sets, truly give. A pointwise 95 % interval should hold it in .93 to .97.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from bench.made_experiments import NULL, PLANTED, draw, make_world
from bench.record import Figure, record, show
from training.arms import CLEANED, RANDOM_DROP, RAW
from training.convergence import restricted
from training.economics import SUBSETS, data_equivalent
from training.effects import judge_tier, pick
from training.judged import Judged
from training.speedups import TESTED, cpu_per_step

SEED = 20261128
SEEDS = (6, 8, 12)
EXPERIMENTS, NULLS, REFERENCE = 600, 600, 4000
COVERED, ALARMS = 0.95, 0.05
LEAST, MOST = 0.93, 0.07  # coverage and false alarms that 600 experiments may show
ENDPOINTS = (
    "final_acc", "verified_acc", "worst_class_acc", "aulc", "nll", "brier", "ece", "rmst_steps",
)  # fmt: skip
Held = dict[str, list[bool]]


def know_truth(reference: Judged, targets: list[dict[str, float]]) -> dict[str, float]:
    """Return the true value of every interval, from an experiment of very many seeds."""
    told = {}
    tested = next(one["accuracy"] for one in targets if one["q"] == TESTED)
    for endpoint in ENDPOINTS:
        a, b = (reference.values(arm, endpoint, tested) for arm in (CLEANED, RAW))
        if endpoint == "rmst_steps":
            a, b = (restricted(times, reference.budget) for times in (a, b))
        told[endpoint] = float((a - b).mean())
    for target in targets:
        raw, cleaned = _mean_times(reference, target["accuracy"])
        told[f"rmst ratio q={target['q']:g}"] = raw / cleaned
    saved = (raw - cleaned) * cpu_per_step(reference, RAW)
    told["break-even"] = sum(reference.cleaning_cpu_s) / saved
    by_class = [reference.class_accuracy(arm).mean(axis=0) for arm in (CLEANED, RAW)]
    told |= {f"class {name}": d for name, d in zip(reference.classes, by_class[0] - by_class[1],
                                                   strict=True)}  # fmt: skip
    final = {arm: reference.values(arm, "final_acc") for arm in reference.runs}
    if "oracle" in final:
        floor = final[RANDOM_DROP].mean()
        told["recovered (Fieller)"] = (final[CLEANED].mean() - floor) / (
            final["oracle"].mean() - floor
        )
    if set(SUBSETS) <= set(final):
        accuracies = np.stack([final[arm] for arm in (*SUBSETS, RAW, CLEANED)])
        told["data-equivalent"] = data_equivalent(accuracies, 1).factor
    return told


def _mean_times(judged: Judged, target: float) -> tuple[float, float]:
    times = (judged.values(arm, "steps", target) for arm in (RAW, CLEANED))
    raw, cleaned = (float(restricted(one, judged.budget).mean()) for one in times)
    return raw, cleaned


def list_intervals(report: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Yield name, low and high of every interval that a tier's report tells of cleaned."""
    for endpoint in ENDPOINTS:
        found = pick(report["effects"], CLEANED, RAW, endpoint)
        yield endpoint, found["low"], found["high"]
    for row in report["speedups"]:
        if row["arm"] == CLEANED:
            yield f"rmst ratio q={row['q']:g}", row["low"], row["high"]
    for row in report["per_class"]:
        yield f"class {row['class']}", row["low"], row["high"]
    if paid := next((row for row in report["break_even"] if row["q"] == 1.0), None):
        bounds = (paid["low"], paid["high"])
        low, high = (np.inf if bound is None else bound for bound in bounds)
        yield "break-even", low, high
    if found := report["recovered"]:
        yield "recovered (Fieller)", found["low"], found["high"]
    found = report["data_equivalent"]
    if found and not found["refused"]:
        yield "data-equivalent", found["low"], found["high"]


def cover(seeds: int, experiments: int, reference: int) -> Held:
    """Return for each interval whether it held the truth, experiment by experiment."""
    rng = np.random.default_rng([SEED, seeds])
    world = make_world(np.random.default_rng(SEED))
    many = draw(world, PLANTED, reference, rng)
    targets = judge_tier(draw(world, PLANTED, 2, rng))["targets"]
    truth, held = know_truth(many, targets), defaultdict(list)
    for _ in range(experiments):
        report = judge_tier(draw(world, PLANTED, seeds, rng))
        for name, low, high in list_intervals(report):
            kind = "per class" if name.startswith("class ") else name
            held[kind].append(bool(low <= truth[name] <= high))
    return dict(held)


def cover_new_data(seeds: int, experiments: int) -> Held:
    """Return whether the intervals on new data held the mean over the population of test sets."""
    rng, held = np.random.default_rng([SEED, seeds, 1]), defaultdict(list)
    truths = {arm: PLANTED[arm] for arm in NULL}
    large = [draw(make_world(rng, 10_000), truths, 2, rng) for _ in range(10)]
    truth = {
        name: float(np.mean([(one.values(CLEANED, name) - one.values(RAW, name)).mean()
                             for one in large]))
        for name in ("final_acc", "verified_acc")
    }  # fmt: skip
    for _ in range(experiments):
        effects = judge_tier(draw(make_world(rng), truths, seeds, rng))["effects"]
        for name, value in truth.items():
            found = pick(effects, CLEANED, RAW, name)
            held[f"{name}, new data"].append(bool(found["low_new"] <= value <= found["high_new"]))
    return dict(held)


def raise_alarms(seeds: int, nulls: int) -> Held:
    """Return for each test whether it called two equal arms different, experiment by experiment."""
    rng, alarms = np.random.default_rng([SEED, seeds, 2]), defaultdict(list)
    world = make_world(np.random.default_rng(SEED))
    world = replace(world, gain=np.zeros_like(world.gain))
    for _ in range(nulls):
        report = judge_tier(draw(world, NULL, seeds, rng))
        for endpoint in ENDPOINTS:
            alarms[endpoint].append(pick(report["effects"], CLEANED, RAW, endpoint)["p"] < ALARMS)
        for ratio in (row for row in report["speedups"] if row["arm"] == CLEANED):
            alarm = not ratio["low"] <= 1 <= ratio["high"]
            alarms[f"rmst ratio q={ratio['q']:g}"].append(alarm)
        alarms["verdict"].append(report["verdict"]["word"] in ("helps", "hurts"))
    return dict(alarms)


def audit_seeds(seeds: int) -> dict[str, Figure]:
    """Return coverage of each interval and the rate of false alarms of each test, full size."""
    held = cover(seeds, EXPERIMENTS, REFERENCE) | cover_new_data(seeds, EXPERIMENTS)
    alarms = raise_alarms(seeds, NULLS)
    return {
        **{f"coverage, {name}, {seeds} seeds": _rate(hits, COVERED, LEAST, "higher")
           for name, hits in held.items()},
        **{f"false alarms, {name}, {seeds} seeds": _rate(hits, ALARMS, MOST, "lower")
           for name, hits in alarms.items()},
    }  # fmt: skip


def _rate(hits: list[bool], true: float, target: float, better: Any) -> Figure:
    rate, n = float(np.mean(hits)), len(hits)
    half = 1.96 * (true * (1 - true) / n) ** 0.5
    return Figure(rate, target, better, n, (rate - half, rate + half))


def main() -> None:
    """Audit each count of seeds in a process of its own, and record all."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(audit_seeds, SEEDS))
    show(record("audit_statistics", {name: one for part in parts for name, one in part.items()}))


if __name__ == "__main__":
    main()
