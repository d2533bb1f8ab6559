"""Star groups, and neighbours against brute force."""

from __future__ import annotations

import numpy as np

from checks.metrics.similarity import nearest, star_groups


def test_star_groups_do_not_chain() -> None:
    """Every member is a neighbour of its keeper, and the best rank is kept."""
    pairs = np.array([[0, 1], [1, 2], [2, 3]])
    assert star_groups(pairs, np.array([3, 0, 1, 2])).tolist() == [1, 1, 1, 3]


def test_nearest_against_brute_force() -> None:
    """Neighbours and distances are those of brute force, the own place left out."""
    rng = np.random.default_rng(2)
    points = rng.standard_normal((700, 5)).astype(np.float32)
    found, away = nearest(points, points, np.arange(700), 4)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    np.testing.assert_array_equal(found, np.argsort(gaps, axis=1)[:, :4])
    np.testing.assert_allclose(away, np.sort(gaps, axis=1)[:, :4], atol=2e-3)
