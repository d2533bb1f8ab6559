"""The levers' runs, and what each gained in accuracy, steps and seconds: one row a lever."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arms import CLEANED, PILOT, RAW, Arms, TrainingData
from training.effects import pick
from training.errors import DivergedError, TrainingError
from training.jobs import Job, Place, plan_jobs, run_jobs
from training.judged import compare
from training.levers import Change, Lever, pull
from training.recipe import Recipe
from training.speedups import TESTED
from training.statistics import benjamini_yekutieli, mean_t
from training.tiers import compare_runs, judged_runs, spent_cpu_s
from training.trainer import Run

ORDERS = ("accuracy", "steps", "seconds")
Progress = Callable[[int, int], None]
Row = dict[str, Any]
_Key = tuple[str, str, str]  # tier, arm, change


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Rows as a tier reads them, its recipe, and the CPU seconds that reading them took."""

    data: TrainingData
    recipe: Recipe
    prepared_s: float = 0.0


def weigh_levers(
    readings: Mapping[str, Reading],
    arms: Arms,
    levers: Sequence[Lever],
    place: Place,
    *,
    seeds: int = 5,
    progress: Progress | None = None,
) -> list[Row]:
    """Return a row for each lever, in their order; `rank` sorts them.

    A lever whose loss grows beyond all numbers has none.

    readings: by tier, `train` first and those that levers name. Each row has lever, kind, tier,
    versus, final_acc (estimate, low, high, p, p_by adjusted over all levers, fractions), steps and
    seconds ({ratio, low, high, at_least, at_most, reached, n}: how many times sooner the target is
    reached, 95 % of what raw gains over chance, as ratio of restricted mean times; None where raw
    is not above chance), cpu_s and cpu_s_versus of a run, and over_cleaning (accuracy over that of
    cleaning, keys as of final_acc, p_by over all that have it; None for cleaning itself and for
    changes of cleaned rows). Finished runs are kept in the place's cache.

    Raises:
        TrainingError: if there are fewer than 2 seeds, an arm cannot be trained on, a worker died,
            or what levers are compared with diverges.
    """
    if seeds < 2:  # noqa: PLR2004 - an interval needs two
        raise TrainingError("levers", "too few seeds", got=seeds, allowed="At least 2.")
    runs = _run_all(readings, arms, levers, place, seeds=seeds, progress=progress)
    cleaned = runs["train", CLEANED, _key({})]
    rows: list[Row] = []
    for lever in levers:
        other = runs.get(("train", lever.versus, _key(lever.versus_change)))
        mine = runs.get((lever.tier, lever.arm, _key(lever.change)))
        if mine is None or other is None:
            continue
        pilots = runs["train", PILOT, _key({})]
        over = None
        if lever.versus == RAW and mine is not cleaned:
            over = _compare(readings["train"].data, mine, cleaned)
        row = _weigh(lever, readings, [mine, other, pilots])
        rows.append({**row, "over_cleaning": over})
    _adjust([row["final_acc"] for row in rows])
    _adjust([row["over_cleaning"] for row in rows if row["over_cleaning"] is not None])
    return rows


def _adjust(effects: Sequence[dict[str, Any]]) -> None:
    adjusted = benjamini_yekutieli([effect["p"] for effect in effects])
    for effect, p in zip(effects, adjusted, strict=True):
        effect["p_by"] = p


def guard_order(order: str) -> None:
    """Refuse an order that `rank` does not know.

    Raises:
        TrainingError: if it is none of `ORDERS`.
    """
    if order not in ORDERS:
        allowed = f"Orders: {', '.join(ORDERS)}."
        raise TrainingError("levers", "no such order", got=order, allowed=allowed)


def rank(rows: Sequence[Row], order: str = "accuracy") -> list[Row]:
    """Return the rows with the best by `order` first; what has no ratio comes last.

    Raises:
        TrainingError: if it is none of `ORDERS`.
    """
    guard_order(order)

    def worth(row: Row) -> float:
        if order == "accuracy":
            return float(row["final_acc"]["estimate"])
        return float((row[order] or {"ratio": 0.0})["ratio"])

    return sorted(rows, key=lambda row: -worth(row))


def _key(change: Change) -> str:
    return repr(sorted(change.items()))


def _run_all(
    readings: Mapping[str, Reading],
    arms: Arms,
    levers: Sequence[Lever],
    place: Place,
    *,
    seeds: int,
    progress: Progress | None,
) -> dict[_Key, list[Run]]:
    """The runs of every (tier, arm, change), each once, in one pool of workers a tier.

    Seed after seed, so that a machine that slows down slows all levers alike. Those of a changed
    recipe that diverges are left out.
    """
    wanted: dict[_Key, Change] = {("train", arm, _key({})): {} for arm in (PILOT, CLEANED)}
    for lever in levers:
        wanted["train", lever.versus, _key(lever.versus_change)] = lever.versus_change
        wanted[lever.tier, lever.arm, _key(lever.change)] = lever.change
    planned: dict[_Key, list[Job]] = {}
    for (tier, arm, key), change in wanted.items():
        reading = readings[tier]
        pairs = [(arm, seed) for seed in range(seeds)]
        recipe = pull(reading.recipe, change)
        planned[tier, arm, key] = plan_jobs(reading.data, arms, recipe, pairs, place.device)
    total = sum(map(len, planned.values()))
    found: dict[_Key, list[Run]] = {}
    before = 0
    for tier, reading in readings.items():
        own = {name: jobs for name, jobs in planned.items() if name[0] == tier}
        start = before

        def tell(done: int, _of: int, start: int = start) -> None:
            if progress is not None:
                progress(start + done, total)

        done = _run_tier(reading, arms, [job for part in own.values() for job in part], place, tell)
        for name, part in own.items():
            if all(job.digest in done for job in part):
                found[name] = [run for job in part for run in done[job.digest]]
        before += sum(map(len, own.values()))
    return found


def _run_tier(
    reading: Reading, arms: Arms, jobs: list[Job], place: Place, tell: Progress
) -> dict[str, list[Run]]:
    """The runs of jobs by digest, without those of a changed recipe that diverges."""
    jobs = sorted(jobs, key=lambda job: job.runs[0][1])
    while True:
        try:
            runs = iter(run_jobs(reading.data, arms, jobs, place, tell))
        except DivergedError as lost:
            left = [job for job in jobs if job.recipe != lost.recipe]
            if lost.recipe == reading.recipe or len(left) == len(jobs):
                raise
            jobs = left  # what was finished is kept, and read the next time
        else:
            return {job.digest: [next(runs) for _ in job.runs] for job in jobs}


def _weigh(lever: Lever, readings: Mapping[str, Reading], runs: Sequence[Sequence[Run]]) -> Row:
    """One row. runs: of the lever, of what it is compared with, and the pilots."""
    mine, other, pilots = runs
    data, same_tier = readings["train"].data, lever.tier == "train"
    spent = 0.0 if same_tier else readings[lever.tier].prepared_s
    told = compare_runs(data, *(_by_steps(other, mine) if same_tier else (other, mine)), pilots)
    effect = pick(told["effects"], CLEANED, RAW)
    timed = compare_runs(data, *_by_seconds(other, mine, spent), pilots)
    kept = ("estimate", "low", "high", "p", "mde", "n", "low_new", "high_new")
    recipe = pull(readings[lever.tier].recipe, lever.change)
    against = pull(readings["train"].recipe, lever.versus_change)
    return {
        "lever": lever.name, "kind": lever.kind, "tier": lever.tier, "versus": lever.versus,
        "final_acc": {name: effect[name] for name in kept},
        "steps": _sooner(told) if same_tier else None,
        "seconds": _sooner(timed),
        "cpu_s": spent_cpu_s(mine, recipe) / len(mine) + spent,
        "cpu_s_versus": spent_cpu_s(other, against) / len(other),
    }  # fmt: skip


def _compare(data: TrainingData, mine: Sequence[Run], cleaned: Sequence[Run]) -> dict[str, Any]:
    """The lever's test accuracy minus that of cleaning, paired over seeds."""
    judged = judged_runs(data, {RAW: mine, CLEANED: cleaned})
    a, b = (judged.values(arm, "final_acc") for arm in (RAW, CLEANED))
    told = compare(a, b, grain=judged.grain(RAW, CLEANED))
    return {name: told[name] for name in ("estimate", "low", "high", "p", "mde", "n")}


def _sooner(told: Mapping[str, Any]) -> dict[str, Any] | None:
    kept = ("ratio", "low", "high", "at_least", "at_most", "reached", "reached_versus", "n")
    for row in told["speedups"]:
        if (row["arm"], row["q"]) == (CLEANED, TESTED):
            return {name: row[name] for name in kept}
    return None


def _by_steps(other: Sequence[Run], mine: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Both sets of runs up to where the shorter curves end."""
    end = float(min(run.steps[-1] for run in (*other, *mine)))
    return [_cut(run, run.steps, end) for run in other], [_cut(run, run.steps, end) for run in mine]


def _by_seconds(
    other: Sequence[Run], mine: Sequence[Run], spent: float
) -> tuple[list[Run], list[Run]]:
    """Both sets of runs with CPU microseconds for steps, cut where the sooner of them ended."""
    late = [replace(run, cpu_s=run.cpu_s + spent) for run in mine]
    end = 1e6 * min(float(run.cpu_s[-1]) for run in (*other, *late))
    return [_cut(run, 1e6 * run.cpu_s, end) for run in other], [
        _cut(run, 1e6 * run.cpu_s, end) for run in late
    ]


def _cut(run: Run, times: NDArray[Any], end: float) -> Run:
    """The curve over `times` up to `end`; before the first reading it is level."""
    if end == times[-1] and times.dtype == run.steps.dtype:
        return run
    inside = times < end
    at = np.append(times[inside], end)
    first = run.val_acc[0] if not inside.any() else np.interp(end, times, run.val_acc)
    accuracy = np.append(run.val_acc[inside], first)
    if at.size == 1:
        at, accuracy = np.array([0.0, end]), np.repeat(accuracy, 2)
    return replace(run, steps=np.rint(at).astype(np.int64), val_acc=accuracy)


def weigh_feeds(feeds: Sequence[Mapping[str, float]], step_s: float, steps: int) -> Row:
    """Return the row of reading batches from the shards and not from memory.

    The rows and their pixels are the same, so accuracy and steps are so by construction; a step
    costs the difference of the batches more.

    feeds: CPU seconds of a batch, `resident` and `loader`, measured again and again. step_s: CPU
    seconds of one of the `steps` of raw's recipe.

    >>> weigh_feeds([{"resident": 1.0, "loader": 2.0}] * 2, 9.0, 5)["seconds"]["ratio"]
    0.9
    """
    dearer = [max(0.0, step_s - one["resident"]) + one["loader"] for one in feeds]
    got = mean_t(np.log(step_s / np.array(dearer)))
    ratio, low, high = (round(float(np.exp(v)), 12) for v in (got.estimate, got.low, got.high))
    even = {"n": len(feeds), "at_least": False, "at_most": False}
    return {
        "lever": "rows read from the shards", "kind": "loading", "tier": "train", "versus": RAW,
        "same_runs": True,
        "final_acc": {**dict.fromkeys(("estimate", "low", "high"), 0.0), "p": 1.0, "p_by": 1.0},
        "steps": {**even, **dict.fromkeys(("ratio", "low", "high"), 1.0)},
        "seconds": {**even, "ratio": ratio, "low": low, "high": high},
        "cpu_s": steps * float(np.mean(dearer)), "cpu_s_versus": steps * step_s,
    }  # fmt: skip
