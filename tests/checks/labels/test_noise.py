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
    model = NoiseModel(1.0, 1.0, 0.0, np.zeros(2), matrix)
    beliefs = np.array([[0.5, 0.5], [0.5, 0.5]])
    wrong = model.wrong_chance(beliefs, np.array([0, 1]))
    assert wrong.tolist() == pytest.approx([0.0, 0.2 / 0.7])
