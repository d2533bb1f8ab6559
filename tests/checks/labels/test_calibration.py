"""The noise floor and the budget on simulated data, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from checks.labels.calibration import choose_budget, noise_floor, plant_flips


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_floor_finds_the_noise(noise: float) -> None:
    """With hard samples and wrong labels mixed, the estimate is near and the bound below."""
    rng = np.random.default_rng(3)
    confidence = rng.exponential(3.0, 20_000)
    hard = rng.random(20_000) < 1 / (1 + np.exp(0.2 + 1.5 * confidence))
    estimate, low = noise_floor(confidence, hard | (rng.random(20_000) < noise))
    assert estimate == pytest.approx(noise, abs=0.02)
    assert low <= noise


def test_hardness_alone_has_no_floor() -> None:
    """Outcomes that are random by nature, and predicted with the right odds, are no errors."""
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0, 2.5, 20_000)  # never surer than 92 %
    surprised = rng.random(20_000) < 1 / (1 + np.exp(confidence))
    assert noise_floor(confidence, surprised)[1] <= 0.01


def test_budget_keeps_its_promise() -> None:
    """The share of wrong labels among those flagged is near the estimate."""
    rng = np.random.default_rng(5)
    wrong = rng.random(20_000) < 0.1
    scores = np.where(wrong, rng.normal(2.5, 1, 20_000), rng.normal(0, 1, 20_000))
    budget = choose_budget(rng.normal(2.5, 1, 8000), scores, 0.1, 0.8)
    cut = np.sort(scores)[-int(budget.flagged_frac * scores.size)]
    assert wrong[scores >= cut].mean() == pytest.approx(budget.precision, abs=0.05)


def test_flips_change_labels() -> None:
    """Every planted flip differs from the label before, and the same seed plants the same."""
    labels = np.arange(100) % 5
    flipped, where = plant_flips(labels, 5, 0.1, 9)
    assert sorted(np.flatnonzero(flipped != labels)) == sorted(where)
    np.testing.assert_array_equal(flipped, plant_flips(labels, 5, 0.1, 9)[0])
