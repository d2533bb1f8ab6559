"""Made experiments with known truth: runs of every arm on one test set, drawn seed by seed.

A run is right on an item where item, seed, arm and luck add up to more than 0; half of the luck
and the seed's own part are shared by paired runs. Curves rise exponentially to a top and at a rate
of their own. What an arm truly is, is read off many seeds on the same test set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.arms import CLEANED, ORACLE, PILOT, RANDOM_DROP, RAW, RAW_AGAIN
from training.calibration import brier_score, calibration_error
from training.judged import Judged
from training.trainer import Run

CLASSES = ("a", "b", "c", "d")
STEPS = np.linspace(0, 300, 21).round().astype(np.int64)
FLIPPED = 0.08  # of the test labels as given
CPU_PER_STEP, CLEANING_CPU_S = 0.01, 5.0
CHANCE = 0.25
LUCK = 0.4  # of an item in a run, in deviations of the ease of items


@dataclass(frozen=True, slots=True)
class Truth:
    """What an arm is: shift of its items in deviations, top of its curve, steps to 63 % of it."""

    shift: float
    top: float
    scale: float


NULL = {arm: Truth(0.0, 0.80, 60.0) for arm in (RAW, RAW_AGAIN, CLEANED, RANDOM_DROP, PILOT)}
PLANTED = {
    **NULL,
    CLEANED: Truth(0.15, 0.82, 45.0),
    RANDOM_DROP: Truth(-0.05, 0.79, 62.0),
    ORACLE: Truth(0.25, 0.83, 40.0),
    "raw:0.25": Truth(-0.8, 0.70, 70.0),
    "raw:0.5": Truth(-0.33, 0.76, 65.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """One test set: true and given labels, the ease of each item, and what cleaning adds to it."""

    true: NDArray[np.int64]
    given: NDArray[np.int64]
    ease: NDArray[np.float64]
    gain: NDArray[np.float64]


def make_world(rng: np.random.Generator, items: int = 400) -> World:
    """Draw a test set of the population."""
    true = rng.integers(0, len(CLASSES), items)
    given = np.where(rng.random(items) < FLIPPED, (true + 1) % len(CLASSES), true)
    return World(true, given, rng.normal(0.9, 1.0, items), rng.normal(0, 0.3, items))


def draw(world: World, truths: dict[str, Truth], seeds: int, rng: np.random.Generator) -> Judged:
    """Draw an experiment of `seeds` paired seeds; the pilots are the same in every experiment."""
    shape = (seeds, world.true.size)
    shared, luck = rng.normal(0, 1, (seeds, 3)), rng.normal(0, 1, shape)
    runs = {}
    for arm, truth in truths.items():
        mine, key = rng, seeds
        base, own_luck = shared, luck
        if arm == PILOT:
            mine, key = np.random.default_rng(77), 8
        if arm in (PILOT, RAW_AGAIN):
            base = mine.normal(0, 1, (key, 3))
            own_luck = mine.normal(0, 1, (key, world.true.size))
        runs[arm] = _train(world, arm, truth, base, own_luck, mine)
    return Judged(
        runs, world.given, CLASSES, CHANCE, verified=world.true, cleaning_cpu_s=(CLEANING_CPU_S,)
    )


def _train(  # noqa: PLR0917 - one arm's runs, from what is shared and what is its own
    world: World,
    arm: str,
    truth: Truth,
    shared: NDArray[np.float64],
    luck: NDArray[np.float64],
    rng: np.random.Generator,
) -> list[Run]:
    seeds, items = luck.shape
    own = rng.normal(0, 1, (seeds, 3))
    noise = LUCK * (0.5**0.5) * (luck + rng.normal(0, 1, (seeds, items)))
    gain = world.gain * (arm in (CLEANED, ORACLE))
    seed_part = 0.03 * (shared[:, :1] + own[:, :1])
    score = world.ease + truth.shift + gain + seed_part + noise
    wrong = (world.true + rng.integers(1, len(CLASSES), (seeds, items))) % len(CLASSES)
    pred = np.where(score > 0, world.true, wrong).astype(np.int16)
    sure = 1 / (1 + np.exp(-np.abs(score) - 0.2))
    top = truth.top + 0.006 * (shared[:, 1] + own[:, 1])
    scale = truth.scale * np.exp(0.08 * (shared[:, 2] + own[:, 2]))
    rise = 1 - np.exp(-STEPS / scale[:, None])
    curves = CHANCE + (top - CHANCE)[:, None] * rise + rng.normal(0, 0.003, rise.shape)
    zeros = np.zeros(STEPS.size)
    return [
        Run(arm, s, 1000, STEPS, STEPS * 8, STEPS * CPU_PER_STEP, zeros, curves[s], zeros,
            pred[s], 1 - float((score[s] > 0).mean()), *_calibrate(pred[s], sure[s], world.given))
        for s in range(seeds)
    ]  # fmt: skip


def _calibrate(
    pred: NDArray[np.int16], sure: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[float, float]:
    """Brier score and calibration error; what the predicted class leaves is shared evenly."""
    others = (1 - sure) / (len(CLASSES) - 1)
    probs = np.repeat(others[:, None], len(CLASSES), axis=1)
    np.put_along_axis(probs, pred[:, None].astype(np.int64), sure[:, None], axis=1)
    return brier_score(probs, labels), calibration_error(probs, labels)
