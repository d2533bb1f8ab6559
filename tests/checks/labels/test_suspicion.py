"""The order of suspicion: kinds of noise, shapes of data that break algebra, threads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from checks.labels.leave_one_out import Floats
from checks.labels.suspicion import Ints, Verdict, gather, judge, judge_others


def make_rings(count: int, classes: int = 4, spread: float = 0.6) -> tuple[Floats, Ints]:
    """Classes around a circle that overlap with their two neighbours, in 6 dimensions."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    angle = 2 * np.pi * labels / classes
    points = rng.normal(0, spread, (count, 6))
    points[:, 0] += 1.5 * np.cos(angle)
    points[:, 1] += 1.5 * np.sin(angle)
    return points.astype(np.float32), labels


def rank_wrong(verdict: Verdict, wrong: npt.NDArray[np.bool_]) -> float:
    """Chance that a wrong label is more suspicious than a right one."""
    order = verdict.suspicion.argsort().argsort()[wrong]
    worst = wrong.sum() * (wrong.sum() - 1) / 2
    return float((order.sum() - worst) / (wrong.sum() * (~wrong).sum()))


def test_even_noise_is_ranked_and_counted() -> None:
    """A fifth of labels moved anywhere ranks first; the matrix and the sum of chances find it."""
    points, truth = make_rings(1000)
    rng = np.random.default_rng(1)
    wrong = rng.random(1000) < 0.2
    given = np.where(wrong, (truth + rng.integers(1, 4, 1000)) % 4, truth)
    evidence = gather(points, given, 4)
    verdict = judge(evidence, given)
    assert rank_wrong(verdict, wrong) > 0.93
    assert evidence.noise.matrix.diagonal() == pytest.approx(np.full(4, 0.8), abs=0.08)
    assert verdict.wrong.mean() == pytest.approx(wrong.mean(), abs=0.05)
    assert evidence.noise.concentration(verdict.beliefs.astype(np.float64)) < 0.3


def test_look_alikes_are_told_by_the_matrix() -> None:
    """Where one class falls into its neighbour, the given labels of the others are trusted."""
    points, truth = make_rings(1000)
    wrong = (truth == 1) & (np.random.default_rng(2).random(1000) < 0.4)
    given = np.where(wrong, 2, truth)
    evidence = gather(points, given, 4)
    verdict = judge(evidence, given)
    assert evidence.noise.matrix[1, 2] == pytest.approx(0.4, abs=0.1)
    assert evidence.noise.concentration(verdict.beliefs.astype(np.float64)) > 0.5
    assert rank_wrong(verdict, wrong) > 0.9
    top = verdict.suspicion.argsort()[-150:]
    assert (given[top] == 2).mean() > 0.8


def test_a_right_set_is_hardly_doubted() -> None:
    """With right labels and clear classes, few labels are expected to be wrong."""
    points, truth = make_rings(1000, spread=0.3)
    assert judge(gather(points, truth, 4), truth).wrong.mean() < 0.02


def test_scales_of_columns_do_not_matter() -> None:
    """A column in other units, a flat one and one with gaps change little."""
    points, truth = make_rings(800)
    wrong = np.random.default_rng(1).random(800) < 0.1
    given = np.where(wrong, (truth + 1) % 4, truth)
    spoilt = np.column_stack([points, np.ones(800)]).astype(np.float32)
    spoilt[:, 5] *= 1e6
    spoilt[3, 1], spoilt[4, 0] = np.nan, np.inf
    assert rank_wrong(judge(gather(spoilt, given, 4), given), wrong) > 0.9


@pytest.mark.parametrize("case", ["flat", "wide", "single", "absent", "two"])
def test_hard_shapes_give_finite_scores(case: str) -> None:
    """Flat or wide features, a class of one or none, two classes: finite scores from 0 to 1."""
    points, labels = make_rings(60, 2)
    classes = 2 if case in ("flat", "two") else 3
    if case == "flat":
        points[:] = 1234.567
    if case == "wide":
        points = np.random.default_rng(0).standard_normal((60, 300)).astype(np.float32)
    if case == "single":
        labels[7] = 2
    evidence = gather(points, labels, classes)
    verdict = judge(evidence, labels)
    others = judge_others(
        evidence, labels, matrix=points[:5] + 1, given=labels[:5], prior=None, judged=verdict
    )
    both = verdict.join(others)
    for name in ("suspicion", "doubt", "wrong", "chances", "beliefs"):
        assert np.isfinite(getattr(both, name)).all(), name
    assert both.suspicion.min() >= 0
    assert both.suspicion.max() <= 1
    assert both.chances.sum(axis=1) == pytest.approx(np.ones(65), abs=1e-5)


def test_threads_change_no_bit() -> None:
    """One thread or two: the same scores, bit for bit."""
    points, truth = make_rings(500)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            found.append(judge(gather(points, truth, 4), truth))
    assert np.array_equal(found[0].suspicion, found[1].suspicion)
    assert np.array_equal(found[0].beliefs, found[1].beliefs)
