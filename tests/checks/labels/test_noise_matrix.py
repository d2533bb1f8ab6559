"""The noise model on made data: gradient, count, matrix, what may not matter, and clean labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.labels.noise_matrix import estimate_noise
from checks.labels.noise_model import pose

Made = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def made_labels(seed: int, noise: float, count: int = 3000, classes: int = 4) -> Made:
    """Chances of ambiguous samples, their classes drawn from these, and labels wrong at random."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.full(classes, 0.15), count)
    truth = (rng.random(count)[:, None] >= chances.cumsum(axis=1)).sum(axis=1)
    truth = np.minimum(truth, classes - 1).astype(np.int64)
    hit = rng.random(count) < noise
    return chances, truth, np.where(hit, (truth + rng.integers(1, classes, count)) % classes, truth)


@pytest.mark.parametrize("blended", [False, True])
@pytest.mark.parametrize("paired", [False, True])
def test_gradient_is_that_of_the_loss(*, blended: bool, paired: bool) -> None:
    """Central differences of the loss give its gradient."""
    chances, _, given = made_labels(0, 0.2, 60, 3)
    likelihood = pose(chances, given, blended=blended, paired=paired)
    flat = np.random.default_rng(1).normal(0, 0.3, likelihood.parameter_count)
    _, gradient = likelihood.loss(flat)
    steps = 1e-5 * np.eye(flat.size)
    numeric = [(likelihood.loss(flat + s)[0] - likelihood.loss(flat - s)[0]) / 2e-5 for s in steps]
    np.testing.assert_allclose(gradient, numeric, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_count_is_near_and_between(seed: int, noise: float) -> None:
    """The number of wrong labels is near the truth and within its interval."""
    chances, truth, given = made_labels(seed, noise)
    wrong = (given != truth).sum()
    count, low, high = estimate_noise(chances, given).count()
    assert count == pytest.approx(wrong, abs=0.04 * given.size)
    assert low - 5 <= wrong <= high + 5


def test_matrix_is_near() -> None:
    """P(given | true) is near the truth in every cell, and rows add up to 1."""
    chances, truth, given = made_labels(4, 0.3, 6000)
    noise = estimate_noise(chances, given)
    exact = np.array([np.bincount(given[truth == k], minlength=4) / (truth == k).sum()
                      for k in range(4)])  # fmt: skip
    low, high = noise.matrix_bounds()
    np.testing.assert_allclose(noise.reading.matrix, exact, atol=0.06)
    np.testing.assert_allclose(noise.reading.matrix.sum(axis=1), 1.0)
    assert ((low <= noise.reading.matrix) & (noise.reading.matrix <= high)).all()


@pytest.mark.parametrize(
    "change", [lambda p, y: (p, y), lambda p, y: (p[:, ::-1], 3 - y)], ids=["again", "renamed"]
)
def test_names_of_classes_do_not_matter(change: Callable[..., Made]) -> None:
    """The same data, and the same under other class names, give the same probabilities."""
    chances, _, given = made_labels(5, 0.1)
    before = estimate_noise(chances, given).reading.wrong
    after = estimate_noise(*change(chances, given)).reading.wrong
    np.testing.assert_allclose(before, after, atol=0.01)


def test_order_of_rows_does_not_matter() -> None:
    """Shuffled rows get the probabilities that they had."""
    chances, _, given = made_labels(6, 0.1)
    moved = np.random.default_rng(0).permutation(given.size)
    before = estimate_noise(chances, given).reading.wrong
    after = estimate_noise(chances[moved], given[moved]).reading.wrong
    np.testing.assert_allclose(before[moved], after, atol=0.01)


def test_probabilities_are_honest() -> None:
    """Of labels held wrong with some probability, about that share is wrong."""
    chances, truth, given = made_labels(7, 0.2, 8000)
    said = estimate_noise(chances, given).reading.wrong
    for low in (0.1, 0.5, 0.8):
        chosen = (said >= low) & (said < low + 0.2)
        assert (given != truth)[chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.1)
