"""The number of flags on simulated data, where the truth is known; and the planting of flips."""

from __future__ import annotations

import numpy as np
import pytest

from checks.labels.calibration import BUDGETS, calibrate, plant_flips, recall_planted
from checks.labels.noise_matrix import Reading


def made_reading(rng: np.random.Generator, count: int = 4000) -> tuple[Reading, np.ndarray]:
    """A reading whose probabilities are right, drawn with some doubt, and who is wrong."""
    chance = rng.beta(0.15, 1.0, count)
    drawn = np.clip(chance * rng.normal(1, 0.05, (40, 1)), 0, 1).astype(np.float32)
    nothing = np.eye(2)
    return Reading(chance, nothing, nothing, drawn, nothing[None]), rng.random(count) < chance


@pytest.mark.parametrize("seed", range(4))
def test_flags_keep_their_promise(seed: int) -> None:
    """As many are flagged as have the precision asked for, and the estimate is near the truth."""
    reading, wrong = made_reading(np.random.default_rng(seed))
    curve = calibrate(reading, np.ones(wrong.size, bool))
    count = curve.choose(0.8)
    true = wrong[curve.order[:count]].mean()
    assert count > 50
    assert true == pytest.approx(curve.precision[count - 1], abs=0.1)
    assert curve.low[count - 1] >= 0.8


def test_curve_never_rises() -> None:
    """More flags are never more precise, before and after the bound of planted flips."""
    rng = np.random.default_rng(5)
    reading, wrong = made_reading(rng)
    curve = calibrate(reading, rng.random(wrong.size) < 0.5)
    for one in (curve, curve.cap(200.0, np.sort(rng.random(BUDGETS.size)), wrong.size)):
        assert (np.diff(one.precision) <= 1e-9).all()
        assert (np.diff(one.low) <= 1e-9).all()
        assert (one.low <= one.precision + 1e-9).all()


def test_asking_for_more_flags_less() -> None:
    """A higher precision never flags more samples."""
    reading, wrong = made_reading(np.random.default_rng(6))
    curve = calibrate(reading, np.ones(wrong.size, bool))
    counts = [curve.choose(least) for least in (0.5, 0.7, 0.9, 1.1)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


def test_what_hides_planted_flips_flags_nothing() -> None:
    """Where flips planted at random are not found, no probability makes up for it."""
    reading, wrong = made_reading(np.random.default_rng(7))
    curve = calibrate(reading, np.ones(wrong.size, bool))
    assert curve.cap(500.0, np.zeros(BUDGETS.size), wrong.size).choose(0.8) == 0


def test_flips_change_labels() -> None:
    """Every planted flip differs from the label before, and the same seed plants the same."""
    labels = np.arange(100) % 5
    odds = np.random.default_rng(0).random((100, 5))
    flipped, where = plant_flips(labels, odds, 0.1, 9)
    assert sorted(np.flatnonzero(flipped != labels)) == sorted(where)
    np.testing.assert_array_equal(flipped, plant_flips(labels, odds, 0.1, 9)[0])


def test_flips_follow_the_odds() -> None:
    """No label moves to a class that the odds rule out."""
    labels = np.zeros(50, np.int64)
    flipped, _ = plant_flips(labels, np.tile([0.5, 0.0, 0.5], (50, 1)), 0.5, 1)
    assert set(flipped.tolist()) == {0, 2}


def test_recall_of_perfect_and_blind_scores() -> None:
    """A score that knows the flips finds all at the first budget, a constant one none early."""
    labels = np.arange(1000) % 4
    odds = np.ones((1000, 4))
    known = recall_planted(labels, odds, lambda f: (f != labels) * 1.0 - 1e-3 * f,
                           rounds=2, seed=0)  # fmt: skip
    hidden = recall_planted(labels, odds, lambda f: np.full(f.size, -np.inf), rounds=2, seed=0)
    assert known.min() == 1.0
    assert hidden.max() == 0.0
