"""The noise matrix where the truth is known, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from checks.labels.algebra import softmax
from checks.labels.noise import NoiseModel, _loss, fit_noise


def test_gradient_is_that_of_the_loss() -> None:
    """The slopes agree with finite differences."""
    rng = np.random.default_rng(0)
    table, labels = rng.standard_normal((2, 30, 3)), rng.integers(0, 3, 30)
    at = rng.standard_normal(2 + 3 + 9)
    slopes = _loss(at, table, labels, False)[1]
    np.testing.assert_allclose(
        slopes, approx_fprime(at, lambda v: _loss(v, table, labels, False)[0], 1e-6), atol=1e-5
    )


def test_direction_of_noise_is_found() -> None:
    """Where one class alone is mislabelled, its row tells and the others stay on the diagonal."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 0.3, (3000, 3)).astype(np.float32)
    truth = np.array([rng.choice(3, p=row) for row in softmax(8.0 * scores)])
    given = np.where((truth == 0) & (rng.random(3000) < 0.3), 2, truth)
    matrix = fit_noise(scores, np.full((3000, 3), 1 / 3, np.float32), given).matrix
    assert matrix[0, 2] == pytest.approx(0.3, abs=0.08)
    assert matrix[2, 2] > 0.9


def test_bayes_trusts_a_class_that_nothing_falls_into() -> None:
    """The same doubt weighs less for a label that no other class is mistaken for."""
    matrix = np.array([[0.6, 0.4], [0.0, 1.0]])
    model = NoiseModel(1.0, 1.0, 0.0, np.zeros(2), matrix, np.zeros(0))
    beliefs = np.array([[0.5, 0.5], [0.5, 0.5]])
    wrong = model.wrong_chance(beliefs, np.array([0, 1]))
    assert wrong.tolist() == pytest.approx([0.0, 0.2 / 0.7])


@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_view_that_explains_the_labels_is_the_mixture(best: int) -> None:
    """One view tells nine of ten labels, the others are coins: its weight is nearly all."""
    rng = np.random.default_rng(best)
    labels = rng.integers(0, 3, 900)
    told = np.where(rng.random(900) < 0.9, labels, rng.integers(0, 3, 900))
    views = [rng.dirichlet(np.ones(3), 900).astype(np.float32) for _ in range(3)]
    views[best] = (0.05 + 0.85 * np.eye(3)[told]).astype(np.float32)
    model = fit_noise(views[0], views[1], labels, views[2])
    assert model.mixture.argmax() == best
    assert model.mixture[best] > 0.9
    pooled = model.pool(views[0], views[1], views[2])
    np.testing.assert_allclose(pooled.sum(axis=1), 1.0, atol=1e-5)
    assert (pooled.argmax(axis=1) == labels).mean() > 0.85


def test_reliance_is_that_on_the_other_model() -> None:
    """It is 0 without one, near 1 where all else is noise, and near 0 where the other one is."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 800)
    clear = (0.05 + 0.9 * np.eye(2)[labels]).astype(np.float32)
    coins = [rng.dirichlet(np.ones(2), 800).astype(np.float32) for _ in range(2)]
    assert fit_noise(clear, coins[0], labels).reliance(clear, coins[0], None) == 0.0
    other = fit_noise(coins[0], coins[1], labels, clear).reliance(coins[0], coins[1], clear)
    own = fit_noise(clear, coins[0], labels, coins[1]).reliance(clear, coins[0], coins[1])
    assert own < 0.2
    assert other > 0.8
