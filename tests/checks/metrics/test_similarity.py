"""Hash pairs and neighbours against brute force."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from checks.core.errors import CheckError
from checks.metrics.similarity import nearest, pairs_within, star_groups


def hashes_with_copies(count: int, seed: int) -> npt.NDArray[np.uint64]:
    """Random hashes, and as many copies of them with 0 to 12 bits flipped."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 2**64, count, dtype=np.uint64)
    copies = first.copy()
    for _ in range(12):
        bit = np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
        copies ^= np.where(rng.random(count) < 0.5, bit, np.uint64(0)).astype(np.uint64)
    return np.concatenate([first, copies])


@pytest.mark.parametrize("distance", [*range(17), 24, 40, 64])
def test_pairs_are_exact(distance: int) -> None:
    """The pairs are those of brute force, in order, each once, for every distance."""
    hashes = hashes_with_copies(150, distance)
    away = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = np.argwhere(np.triu(away <= distance, 1))
    np.testing.assert_array_equal(pairs_within(hashes, distance), expected)


def test_identical_hashes() -> None:
    """Identical hashes are all paired, also where the first room for pairs is too small."""
    assert len(pairs_within(np.full(60, 7, np.uint64), 0)) == 60 * 59 // 2


def test_overflow_is_never_silent() -> None:
    """More pairs than allowed are an error, not a shorter list."""
    with pytest.raises(CheckError, match="more than 100 pairs"):
        pairs_within(np.full(60, 7, np.uint64), 0, pairs_max=100)


@pytest.mark.parametrize("distance", [-1, 65])
def test_impossible_distance(distance: int) -> None:
    """A distance outside the hash is refused."""
    with pytest.raises(CheckError, match="impossible distance"):
        pairs_within(np.zeros(3, np.uint64), distance)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_for_a_pair(count: int) -> None:
    """Fewer than two hashes have no pair."""
    assert pairs_within(np.zeros(count, np.uint64), 6).shape == (0, 2)


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
