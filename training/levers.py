"""What else would have bought training speed or accuracy, beside cleaning: one change at a time.

A lever is one change of the recipe, of the arm or of what the rows are read as; all else stays,
seeds pair its runs with those it is compared with. Steps stay the same, so that a lever that makes
a step dearer shows it in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arms import CLEANED, PILOT, RANDOM_DROP, RAW, Arms, TrainingData
from training.effects import pick
from training.errors import TrainingError
from training.jobs import Job, Place, plan_jobs, run_jobs
from training.recipe import Recipe
from training.statistics import benjamini_yekutieli
from training.tiers import compare_runs
from training.trainer import Run

TARGET = 0.95  # of what raw gains over chance
ORDERS = ("accuracy", "steps", "seconds")
Change = Mapping[str, Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Lever:
    """One change. change: fields of the recipe; {"net": {...}} changes the network's own fields.

    arm: what is trained on; versus: the arm that it is compared with, which takes versus_change.
    tier: another reading of the rows: probe where they are frozen features, own where they are
    features that the user brought.
    """

    name: str
    kind: str
    change: Change = field(default_factory=dict)
    arm: str = RAW
    versus: str = RAW
    versus_change: Change = field(default_factory=dict)
    tier: str = "train"


def list_levers(recipe: Recipe, kind: str) -> tuple[Lever, ...]:
    """Return the levers that this recipe has, for `image` or `table` rows; cleaning comes first."""
    half, double = max(2, recipe.batch_size // 2), 2 * recipe.batch_size
    hard = {"hardest": 0.5}
    levers = (
        Lever("cleaning", "data", arm=CLEANED),
        Lever("random drop of that size", "data", arm=RANDOM_DROP),
        Lever("half the rows", "data", arm="raw:0.5"),
        Lever("batches half as large", "batch size", {"batch_size": half}),
        Lever("batches twice as large", "batch size", {"batch_size": double}),
        Lever("learning rate halved", "learning rate", {"lr": recipe.lr / 2}),
        Lever("learning rate doubled", "learning rate", {"lr": recipe.lr * 2}),
        Lever("no weight decay", "regularisation", {"weight_decay": 0.0}),
        Lever("four times the weight decay", "regularisation",
              {"weight_decay": 4 * recipe.weight_decay}),
        Lever("label smoothing .1", "regularisation", {"label_smoothing": 0.1}),
        Lever("hardest half of each batch", "curriculum", hard),
        Lever("the same after cleaning", "curriculum", hard, arm=CLEANED, versus=CLEANED),
        *(_of_images(recipe) if kind == "image" else _of_tables(recipe)),
    )  # fmt: skip
    return tuple(lever for lever in levers if offers(recipe, lever.change))


def _of_images(recipe: Recipe) -> tuple[Lever, ...]:
    other = "sgd" if recipe.optimiser == "muon" else "muon"
    return (
        Lever(f"optimiser {other}", "optimiser", {"optimiser": other}),
        Lever("no augmentation", "augmentation", {"translate_px": 0, "flip": False}),
        Lever("mirroring" if not recipe.flip else "no mirroring", "augmentation",
              {"flip": not recipe.flip}),
        Lever("one convolution more in each block", "depth", {"net": {"convs": 3}}),
        Lever("one block more", "depth", {"net": {"widths": (16, 32, 64, 64)}}),
        Lever("twice the width", "width", {"net": {"widths": (32, 64, 128)}}),
        Lever("half the width", "width", {"net": {"widths": (8, 16, 32)}}),
        Lever("residual blocks", "depth", {"net": {"residual": True}}),
        Lever("dropout .2", "regularisation", {"net": {"dropout": 0.2}}),
        Lever("bfloat16", "precision", {"precision": "bf16"}),
        Lever("all frozen but a head", "freezing, transfer", tier="probe"),
    )  # fmt: skip


def _of_tables(recipe: Recipe) -> tuple[Lever, ...]:
    return (
        Lever("twice the width", "width", {"hidden": 2 * recipe.hidden}),
        Lever("half the width", "width", {"hidden": recipe.hidden // 2}),
        Lever("category vectors twice as wide", "width", {"embedding": 2 * recipe.embedding}),
        Lever("an ensemble of 8 members", "depth", {"members": 8}),
        Lever("categories one-hot, no vectors", "freezing, transfer", tier="probe"),
    )  # fmt: skip


def offers(settings: Any, change: Change) -> bool:
    """Say whether a recipe has all the fields that a change names.

    >>> offers(Recipe("train", 1, 2, 0.1, 0.0), {"lr": 0.2}), offers(object(), {"lr": 0.2})
    (True, False)
    """
    known = {one.name for one in fields(settings)} if is_dataclass(settings) else set()
    return all(
        name in known and (not isinstance(to, Mapping) or offers(getattr(settings, name), to))
        for name, to in change.items()
    )


def pull(settings: Any, change: Change) -> Any:
    """Return the recipe with the change made.

    >>> pull(Recipe("train", 1, 2, 0.1, 0.0), {"lr": 0.2}).lr
    0.2
    """
    inner = {
        name: pull(getattr(settings, name), to) if isinstance(to, Mapping) else to
        for name, to in change.items()
    }
    return replace(settings, **inner)


OWN_FEATURES = Lever("a head on your own features", "freezing, transfer", tier="own")


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
    order: str = "accuracy",
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each lever, the best by `order` (of `ORDERS`) first.

    readings: by tier, `train` first and those that levers name. Each row has name, kind, tier,
    final_acc (estimate, low, high, p, p_by adjusted over all levers, fractions), steps and seconds
    ({ratio, low, high, at_least, at_most, reached, n}: how many times sooner the target is reached,
    95 % of what raw gains over chance, as ratio of restricted mean times). None where raw is not
    above chance. Finished runs are kept in the place's cache.

    Raises:
        TrainingError: if an order is unknown, an arm cannot be trained on, or a worker died.
    """
    if order not in ORDERS:
        allowed = f"Orders: {', '.join(ORDERS)}."
        raise TrainingError("levers", "no such order", got=order, allowed=allowed)
    runs = _run_all(readings, arms, levers, place, seeds=seeds, progress=progress)
    rows = []
    for lever in levers:
        other = runs["train", lever.versus, _key(lever.versus_change)]
        mine = runs[lever.tier, lever.arm, _key(lever.change)]
        pilots = runs["train", PILOT, _key({})]
        spent = readings[lever.tier].prepared_s if lever.tier != "train" else 0.0
        rows.append(_weigh(lever, readings["train"].data, [mine, other, pilots], spent))
    adjusted = benjamini_yekutieli([row["final_acc"]["p"] for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        row["final_acc"]["p_by"] = p
    return sorted(rows, key=lambda row: -_worth(row, order))


def _worth(row: Mapping[str, Any], order: str) -> float:
    if order == "accuracy":
        return float(row["final_acc"]["estimate"])
    return float((row[order] or {"ratio": 0.0})["ratio"])


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
) -> dict[tuple[str, str, str], list[Run]]:  # fmt: skip
    """The runs of every (tier, arm, change), each once, in one pool of workers a tier."""
    wanted: dict[tuple[str, str, str], Change] = {("train", PILOT, _key({})): {}}
    for lever in levers:
        wanted["train", lever.versus, _key(lever.versus_change)] = lever.versus_change
        wanted[lever.tier, lever.arm, _key(lever.change)] = lever.change
    planned: dict[tuple[str, str, str], list[Job]] = {}
    for (tier, arm, key), change in wanted.items():
        reading = readings[tier]
        pairs = [(arm, seed) for seed in range(seeds)]
        recipe = pull(reading.recipe, change)
        planned[tier, arm, key] = plan_jobs(reading.data, arms, recipe, pairs, place.device)
    total = sum(map(len, planned.values()))
    found: dict[tuple[str, str, str], list[Run]] = {}
    before = 0
    for tier, reading in readings.items():
        own = {name: jobs for name, jobs in planned.items() if name[0] == tier}
        jobs = [job for part in own.values() for job in part]
        start = before

        def tell(done: int, _of: int, start: int = start) -> None:
            if progress is not None:
                progress(start + done, total)

        runs = iter(run_jobs(reading.data, arms, jobs, place, tell))
        for name, part in own.items():
            found[name] = [next(runs) for job in part for _ in job.runs]
        before += len(jobs)
    return found


def _weigh(
    lever: Lever, data: TrainingData, runs: Sequence[Sequence[Run]], spent: float
) -> dict[str, Any]:
    """One row. runs: of the lever, of what it is compared with, and the pilots. spent: CPU s."""
    mine, other, pilots = runs
    told = compare_runs(data, other, mine, pilots)
    effect = pick(told["effects"], CLEANED, RAW)
    timed = compare_runs(data, *_by_seconds(other, mine, spent), pilots)
    kept = ("estimate", "low", "high", "p", "mde", "n", "low_new", "high_new")
    return {
        "lever": lever.name, "kind": lever.kind, "tier": lever.tier, "versus": lever.versus,
        "final_acc": {name: effect[name] for name in kept},
        "steps": _sooner(told) if lever.tier == "train" else None,
        "seconds": _sooner(timed),
        "cpu_s": float(np.mean([run.cpu_s[-1] for run in mine])) + spent,
        "cpu_s_versus": float(np.mean([run.cpu_s[-1] for run in other])),
    }  # fmt: skip


def _sooner(told: Mapping[str, Any]) -> dict[str, Any] | None:
    kept = ("ratio", "low", "high", "at_least", "at_most", "reached", "reached_versus", "n")
    for row in told["speedups"]:
        if (row["arm"], row["q"]) == (CLEANED, TARGET):
            return {name: row[name] for name in kept}
    return None


def _by_seconds(
    other: Sequence[Run], mine: Sequence[Run], spent: float
) -> tuple[list[Run], list[Run]]:
    """Both sets of runs with CPU microseconds for steps, cut where the sooner of them ended."""
    late = [replace(run, cpu_s=run.cpu_s + spent) for run in mine]
    end = min(float(run.cpu_s[-1]) for run in (*other, *late))
    return [_cut(run, end) for run in other], [_cut(run, end) for run in late]


def _cut(run: Run, end: float) -> Run:
    """The curve over CPU microseconds up to `end` s; before the first reading it is level."""
    inside = run.cpu_s < end
    times: NDArray[np.float64] = np.append(run.cpu_s[inside], end)
    first = run.val_acc[0] if not inside.any() else np.interp(end, run.cpu_s, run.val_acc)
    accuracy = np.append(run.val_acc[inside], first)
    if times.size == 1:
        times, accuracy = np.array([0.0, end]), np.repeat(accuracy, 2)
    steps = np.rint(1e6 * times).astype(np.int64)
    return replace(run, steps=steps, val_acc=accuracy, cpu_s=times)
