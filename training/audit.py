"""The experiment under test: how often it cries wolf, how often it holds the truth, what it finds.

Everything goes through what a report goes through: arms, jobs, batched heads and `judge_tier`. A
null compares two arms between which nothing differs but chance: raw with other seeds, or two random
drops of one size, each drawn anew for each seed. (Two drops drawn once and kept differ in truth: a
seed's interval speaks of those very rows, and would rightly exclude zero.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.arms import (
    CLEANED,
    PILOT,
    RANDOM_AGAIN,
    RANDOM_DROP,
    RAW,
    RAW_AGAIN,
    Arm,
    Arms,
    TrainingData,
    guard_arm,
    raw_arm,
)
from training.digests import rows_digest
from training.effects import pick
from training.errors import TrainingError
from training.jobs import Place, plan_jobs, run_jobs
from training.recipe import Recipe
from training.tiers import compare_runs
from training.trainer import Run

LOOKS = (6, 8, 12)
ENDPOINTS = ("final_acc", "aulc", "rmst_steps")
NULLS = {"other seeds": (RAW, RAW_AGAIN), "other draw": (RANDOM_DROP, RANDOM_AGAIN)}
FEWER = "fewer rows"  # an effect whose truth is the mean over all experiments
CHEAP = Recipe("probe", 40, 32, 3e-3, 0.1, evals=12, hidden=16)
LEVEL = 0.05
SEEN = 0.9
_HEADS = 384
_PILOTS = 8
Progress = Callable[[int, int], None]
ByArm = Mapping[str, Sequence[Run]]


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened in n experiments, with Clopper and Pearson's 95 % interval.

    what: false_positive (the nominal rate is .05), coverage (.95) or power. pair: the arms that
    were compared. endpoint: of the effects, or `verdict` (helps or hurts). seeds: of each arm.
    """

    what: str
    pair: str
    endpoint: str
    seeds: int
    value: float
    low: float
    high: float
    n: int


def tell_rate(what: str, pair: str, endpoint: str, seeds: int, hits: Sequence[bool]) -> Rate:
    """Return the share of `hits` with its interval.

    >>> one = tell_rate("power", "planted", "verdict", 8, [True] * 10)
    >>> one.value, round(one.low, 3), one.high
    (1.0, 0.692, 1.0)
    """
    found = stats.binomtest(sum(hits), len(hits)).proportion_ci()
    share = sum(hits) / len(hits)
    return Rate(what, pair, endpoint, seeds, share, float(found.low), float(found.high), len(hits))


def audit_nulls(
    data: TrainingData,
    arms: Arms,
    place: Place,
    *,
    experiments: int = 400,
    looks: Sequence[int] = LOOKS,
    recipe: Recipe = CHEAP,
    progress: Progress | None = None,
) -> list[Rate]:
    """Return false positives and coverage of `experiments` nulls at each number of seeds.

    data: numbers (P, D), small: many thousand heads are trained. arms: as many samples as its
    cleaning drops or lowers, its control does. looks: seeds of an arm; fewer are the first ones of
    more. Targets are frozen from 8 other runs of a pair's first arm. Coverage is told of the
    difference that fewer rows make; its truth is the mean over all experiments.

    Raises:
        TrainingError: if held-out rows changed, which no arm may do.
    """
    seeds, before = max(looks), [rows_digest(data, split) for split in (1, 2)]
    names = dict.fromkeys(name for pair in NULLS.values() for name in pair)
    for name in names:
        guard_arm(data, arms.draw(name, 0))
    first = experiments * seeds  # seeds of the pilots come after those of all experiments
    wanted = [(name, seed) for seed in range(first) for name in names]
    wanted += [(name, first + seed) for seed in range(_PILOTS) for name in (RAW, RANDOM_DROP)]
    jobs = plan_jobs(data, arms, recipe, wanted, place.device, heads=_HEADS)
    runs = {(run.arm, run.seed): run for run in run_jobs(data, arms, jobs, place, progress)}
    if before != [rows_digest(data, split) for split in (1, 2)]:
        raise TrainingError("audit", "held-out rows changed while arms were trained")
    rates: list[Rate] = []
    for look in looks:
        told: dict[str, list[dict[str, Any]]] = {}
        for pair, (one, other) in {**NULLS, FEWER: (RAW, RANDOM_DROP)}.items():
            pilots = [runs[one, first + seed] for seed in range(_PILOTS)]
            for start in range(0, first, seeds):
                own = range(start, start + look)
                raw, cleaned = ([runs[arm, seed] for seed in own] for arm in (one, other))
                told.setdefault(pair, []).append(compare_runs(data, raw, cleaned, pilots))
        for pair in NULLS:
            rates += _false_positives(pair, look, told[pair])
        rates += _coverage(look, told[FEWER])
    return rates


def _effects(told: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for endpoint in ENDPOINTS:
        yield endpoint, pick(told["effects"], CLEANED, RAW, endpoint)


def _false_positives(pair: str, seeds: int, told: Sequence[Mapping[str, Any]]) -> list[Rate]:
    """Of each endpoint's p, of the speed-up's interval and of the verdict's word."""
    wrong: dict[str, list[bool]] = {}
    for one in told:
        for endpoint, effect in _effects(one):
            wrong.setdefault(endpoint, []).append(effect["p"] < LEVEL)
        if (sooner := one["verdict"]["speedup"]) is not None:
            outside = not sooner["low"] <= 1 <= sooner["high"]
            wrong.setdefault("rmst_ratio", []).append(outside)
        wrong.setdefault("verdict", []).append(one["verdict"]["word"] in {"helps", "hurts"})
    return [tell_rate("false_positive", pair, name, seeds, hits) for name, hits in wrong.items()]


def _coverage(seeds: int, told: Sequence[Mapping[str, Any]]) -> list[Rate]:
    rates = []
    for endpoint in ENDPOINTS:
        found = [dict(_effects(one))[endpoint] for one in told]
        truth = float(np.mean([one["estimate"] for one in found]))
        held = [one["low"] <= truth <= one["high"] for one in found]
        rates.append(tell_rate("coverage", FEWER, endpoint, seeds, held))
    return rates


def plant_noise(data: TrainingData, repeats: int, share: float = 0.2) -> Arms:
    """Return arms `only:<repeat>` in which `share` of the labels, other ones each, are wrong.

    A wrong label is any other class, all alike: symmetric noise. The data's own labels are raw.
    """
    raw, rng = raw_arm(data), np.random.default_rng(10)
    moved = rng.integers(1, len(data.classes), raw.labels.size)
    wrong = Arm(CLEANED, raw.keep, raw.weights, (raw.labels + moved) % len(data.classes), raw.rows)
    groups = {str(at): rng.random(raw.labels.size) < share for at in range(repeats)}
    return Arms(raw, wrong, groups=groups)


def audit_power(
    data: TrainingData,
    recipe: Recipe,
    place: Place,
    *,
    repeats: int = 100,
    seeds: int = 8,
    share: float = 0.2,
    progress: Progress | None = None,
) -> Rate:
    """Return how often planted label noise is told to hurt training, in `repeats` experiments."""
    arms = plant_noise(data, repeats, share)
    wanted = [
        (name, repeat * seeds + seed)
        for repeat in range(repeats) for seed in range(seeds) for name in (RAW, f"only:{repeat}")
    ]  # fmt: skip
    pilots = plan_jobs(data, arms, recipe, [(PILOT, s) for s in range(_PILOTS)], place.device)
    jobs = plan_jobs(data, arms, recipe, wanted, place.device)
    runs = run_jobs(data, arms, [*pilots, *jobs], place, progress)
    raw = {run.seed: run for run in runs if run.arm == RAW}
    noisy = {run.seed: run for run in runs if run.arm.startswith("only:")}
    first = [run for run in runs if run.arm == PILOT]
    found = []
    for repeat in range(repeats):
        own = range(repeat * seeds, (repeat + 1) * seeds)
        told = compare_runs(data, [raw[s] for s in own], [noisy[s] for s in own], first)
        found.append(told["verdict"]["word"] == "hurts")
    return tell_rate("power", f"{share:.0%} wrong labels", "verdict", seeds, found)


def audit_bound(data: TrainingData, arms: Arms, place: Place, recipe: Recipe = CHEAP) -> bool:
    """Say whether a raw arm that never reaches the target leaves a finite "at least x".

    Its curves are halved after training, those of the pilots, which set the target, are not.
    """
    wanted = [(name, seed) for seed in range(6) for name in (RAW, CLEANED, PILOT)]
    runs = run_jobs(data, arms, plan_jobs(data, arms, recipe, wanted, place.device), place)
    by_arm = {name: [r for r in runs if r.arm == name] for name in (RAW, CLEANED, PILOT)}
    never = [replace(run, val_acc=run.val_acc / 2) for run in by_arm[RAW]]
    pilots = by_arm[PILOT]
    told = compare_runs(data, never, pilots, pilots)["speedups"]
    last = [row for row in told if row["arm"] == CLEANED and row["reached"]]
    ends: list[NDArray[np.float64]] = [
        np.array([row["ratio"], row["low"], row["high"]]) for row in last
    ]
    return bool(last) and all(
        row["at_least"] == (row["reached"] == row["n"]) and row["reached_versus"] == 0
        for row in last
    ) and bool(np.isfinite(ends).all())  # fmt: skip


def check_rates(rates: Sequence[Rate]) -> list[Rate]:
    """Return the rates that are shown to be worse than they should be.

    Too many false positives, or intervals that hold the truth too rarely; being cautious is no
    fault (what is equivalent raises no alarm, so that a verdict alarms less than its test). Over
    many rates chance alone gives some: each is judged at its share of .05 (Bonferroni), so that a
    rate that is off by less than `seen_rate` says may well pass.
    """
    odd = []
    for rate in rates:
        hits, side = round(rate.value * rate.n), "greater"
        chance = LEVEL
        if rate.what == "coverage":
            side, chance = "less", 1 - LEVEL
        if stats.binomtest(hits, rate.n, chance, side).pvalue < LEVEL / len(rates):
            odd.append(rate)
    return odd


def seen_rate(rates: Sequence[Rate]) -> float | None:
    """Return the least true rate of false alarms that `check_rates` sees with .9, or of misses.

    A miss is an interval without the truth: both should happen in .05. Of rates of unequal n the
    one with the fewest experiments counts. None where even all of them would be too few.
    """
    n = min(rate.n for rate in rates)
    counts = np.arange(n + 1)
    enough = counts[stats.binom.sf(counts - 1, n, LEVEL) < LEVEL / len(rates)]
    return float(stats.beta.ppf(SEEN, enough[0], n - enough[0] + 1)) if enough.size else None


def as_rows(rates: Sequence[Rate]) -> list[dict[str, Any]]:
    """Return rates as plain data."""
    return [asdict(rate) for rate in rates]
