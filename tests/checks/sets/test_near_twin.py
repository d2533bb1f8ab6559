"""Twins by features: planted pairs are found, and a set of similar things has none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from checks.core.check import Judged, load_checks
from checks.metrics.twins import find_twins

CHECK = load_checks()["near_twin"]
Floats = npt.NDArray[np.float32]


def spread_points(count: int, width: int = 40, seed: int = 0) -> Floats:
    """Unrelated points."""
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


def judge(points: Floats, splits: list[str], **settings: object) -> Judged:
    """What the check says of points in splits; ids are 000, 001, ..."""
    ids = [f"{at:03}" for at in range(len(points))]
    samples = pl.DataFrame(
        {"sample_id": ids, "split": splits, "label": "x", "xxh3_128": ids, "byte_size": 9}
    )
    kind = pl.Array(pl.Float32, points.shape[1])
    features = pl.DataFrame({"sample_id": ids, "features": pl.Series(points, dtype=kind)})
    judged: Judged = CHECK.configured(**settings)(
        {"samples": samples.lazy(), "features": features.lazy()}
    )
    return judged


def test_planted_twins_are_found_and_nothing_else() -> None:
    """Ten planted twins are flagged for their originals, and no unrelated point is."""
    points = spread_points(600)
    points[590:] = points[:10] + 0.05 * spread_points(10, seed=1)
    found = judge(points, ["train"] * 600).findings
    pairs = {frozenset(row) for row in found.select("sample_id", "suggestion").iter_rows()}
    assert pairs == {frozenset({f"{at:03}", f"{590 + at:03}"}) for at in range(10)}


@pytest.mark.parametrize("held", ["val", "test"])
def test_the_train_side_is_flagged(held: str) -> None:
    """Of a pair across splits the train picture is flagged, and the evidence names the split."""
    points = spread_points(300)
    points[0] = points[299] + 0.01
    found = judge(points, ["train"] * 299 + [held]).findings
    assert found.select("sample_id", "suggestion").rows() == [("000", "299")]
    assert found["evidence"][0].endswith(f"from 299 in {held}")


def test_similar_things_are_no_twins() -> None:
    """On a line everybody has close neighbours: the set's own spread keeps the check silent."""
    points = np.sort(np.random.default_rng(2).random(500)).astype(np.float32)[:, None]
    assert judge(points, ["train"] * 500).findings.is_empty()


@pytest.mark.parametrize(("count", "most"), [(20, 300), (80, 60)])
def test_too_few_or_too_many_is_told(count: int, most: int) -> None:
    """A set that is not searched is not silently fine: a fact says so."""
    judged = judge(spread_points(count), ["train"] * count, samples_max=most)
    assert judged.facts == {"not_judged": f"{count} samples"}


def test_what_is_not_finite_breaks_nothing() -> None:
    """NaN among features neither raises nor makes a twin."""
    points = spread_points(100)
    points[3, 5] = np.nan
    assert judge(points, ["train"] * 100).findings.is_empty()


def test_ratio_against_brute_force() -> None:
    """The ratio is the distance over that of neighbours 5 to 12 of the lonelier side."""
    points = spread_points(200, width=300, seed=3)
    found = find_twins(points)
    gaps = np.linalg.norm(points[:, None].astype(float) - points[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    scale = np.sort(gaps, axis=1)[:, 5:12].mean(axis=1)
    expected = gaps[found.left, found.right] / np.maximum(scale[found.left], scale[found.right])
    closest = np.isclose(gaps[found.left, found.right], gaps.min(axis=1)[found.left])
    np.testing.assert_allclose(found.ratio[closest], expected[closest], rtol=0.02)
