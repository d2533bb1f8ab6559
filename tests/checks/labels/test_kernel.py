"""The kernel features against the kernel itself."""

from __future__ import annotations

import numpy as np

from checks.labels.kernel import choose_space


def test_products_are_the_kernel() -> None:
    """With every sample a landmark, products of kernel features are the kernel's values."""
    points = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    space = choose_space(points, np.eye(2, dtype=np.float32)[np.arange(50) % 2], 0)
    scaled = space.rescale(points)
    lifted = space.lift(scaled)
    gaps = ((scaled[:, None] - scaled[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(lifted @ lifted.T, np.exp(-space.sharpness * gaps), atol=1e-3)


def test_units_are_chosen_from_the_labels() -> None:
    """A telling column is heard beside one of far larger units that tells nothing."""
    points = np.random.default_rng(0).standard_normal((300, 2)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[(points[:, 0] > 0).astype(int)]
    points[:, 1] *= 1e4
    space = choose_space(points, targets, 0)
    assert space.scale[1] > 1e3 * space.scale[0]
