"""Made runs of a whole tier, with a planted gain and a planted speed."""

import numpy as np

from training.judged import Judged
from training.trainer import Run

STEPS = np.arange(0, 101, 5)
ARMS = ("raw", "raw_again", "cleaned", "random_drop", "raw_pilot")


def _run(
    arm: str, seed: int, accuracy: float, speed: float, *, rng: np.random.Generator, items: int
) -> Run:
    """A run whose curve rises to `accuracy` at rate `speed` and whose test items follow suit."""
    curve = accuracy - (accuracy - 0.5) * np.exp(-STEPS * speed / 30)
    pred = answer(rng.random(items) < accuracy)
    zeros = np.zeros(STEPS.size)
    return Run(arm, seed, 90, STEPS, STEPS * 8, zeros, zeros, curve, zeros, pred,
        1 - accuracy, 0.4, 0.1)  # fmt: skip


def answer(right: np.ndarray) -> np.ndarray:
    """The predicted class of each test item, the true one where `right`; classes alternate."""
    truth = np.arange(right.size) % 2
    return np.where(right, truth, 1 - truth).astype(np.int16)


def judged(
    gain: float,
    *,
    seeds: int = 8,
    noise: float = 0.004,
    speed: float = 1.0,
    key: int = 0,
    items: int = 4000,
) -> Judged:
    """Runs of all arms where only the cleaned one is better by `gain` and faster by `speed`."""
    rng = np.random.default_rng(key)
    runs = {
        arm: [
            _run(
                arm, seed, 0.8 + gain * (arm == "cleaned") + rng.normal(0, noise),
                speed if arm == "cleaned" else 1.0, rng=rng, items=items,
            )
            for seed in range(seeds)
        ]
        for arm in ARMS
    }  # fmt: skip
    return Judged(runs, np.arange(items) % 2, ("yes", "no"), 0.5)
