"""People's verdicts: nearer to the truth, never by less than what is known, the order kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.check import load_checks
from checks.core.run import run_set_checks
from checks.labels.noise_matrix import Noise, Reading
from checks.labels.verdicts import Verdicts, apply_link, fit_link, heed, read_verdicts

COUNT = 4000
LABELS = np.arange(COUNT, dtype=np.int64) % 2


def shift_odds(chances: np.ndarray, shift: float) -> np.ndarray:
    """Return probabilities whose log odds are higher by `shift`."""
    return apply_link(np.array([shift, 1.0, 0.0]), chances, np.full(chances.size, 0.5))


def hear(noise: Noise, places: np.ndarray, wrong: np.ndarray) -> Noise:
    """Let verdicts be heard where people are asked by the probability itself."""
    chances = noise.reading.wrong
    rank = (chances.argsort(kind="stable").argsort(kind="stable") + 0.5) / chances.size
    return heed(noise, LABELS, rank, Verdicts(places, wrong))


def made_noise(seed: int, shift: float) -> tuple[Noise, np.ndarray]:
    """Three equal readings whose log odds are `shift` too low, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.beta(0.2, 1.0, COUNT)
    wrong = rng.random(COUNT) < true
    told = shift_odds(true, -shift)
    away = rng.normal(0, 0.1, (40, 1))
    drawn = np.stack([shift_odds(told, one) for one in away.ravel()])
    sums = [np.bincount(LABELS, part, 2) for part in (told, 1 - told)]
    joint = np.array([[sums[1][0], sums[0][1]], [sums[0][0], sums[1][1]]])
    one = Reading(told, np.eye(2), joint, drawn.astype(np.float32), np.eye(2)[None])
    return Noise(one, one, one), wrong


@pytest.mark.parametrize("shift", [-1.5, 0.0, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_verdicts_bring_the_count_near(seed: int, shift: float) -> None:
    """300 verdicts mend a model that is wrong by a shift; the truth lies in the interval."""
    noise, wrong = made_noise(seed, shift)
    asked = np.sort(np.random.default_rng(seed + 9).permutation(COUNT)[:300]).astype(np.int64)
    count, low, high = hear(noise, asked, wrong[asked]).count()
    assert low <= wrong.sum() <= high
    assert abs(count - wrong.sum()) <= max(0.2 * wrong.sum(), abs(noise.count()[0] - wrong.sum()))
    assert count == pytest.approx(wrong.sum(), rel=0.35)


def test_verdicts_on_the_likeliest_alone_do() -> None:
    """Who is asked may depend on the probability: reviewers start at the top."""
    noise, wrong = made_noise(1, 1.5)
    asked = np.sort(np.argsort(-noise.reading.wrong)[:300]).astype(np.int64)
    before, after = (
        noise.reading,
        hear(noise, asked, wrong[asked]).reading,
    )
    truth = wrong[asked].mean()
    assert abs(after.wrong[asked].mean() - truth) < 0.5 * abs(before.wrong[asked].mean() - truth)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 5))
def test_the_order_stays_and_chances_are_chances(said: list[bool], seed: int) -> None:
    """Whatever people say, nobody overtakes anybody, and the joint still counts every label."""
    noise, _ = made_noise(seed, 0.0)
    places = np.arange(len(said), dtype=np.int64)
    told = hear(noise, places, np.array(said)).reading
    order = np.argsort(noise.reading.wrong, kind="stable")
    assert (np.diff(told.wrong[order]) >= 0).all()
    assert ((told.drawn_wrong >= 0) & (told.drawn_wrong <= 1)).all()
    np.testing.assert_allclose(told.joint.sum(axis=0), noise.reading.joint.sum(axis=0))
    off = told.joint[0, 1] + told.joint[1, 0]
    assert off == pytest.approx(told.wrong.sum())


def test_what_the_top_shows_is_not_believed_of_all() -> None:
    """Where the rank knows and the chances do not, wrong labels at the top leave the rest alone."""
    rng = np.random.default_rng(2)
    flat, _ = made_noise(0, 0.0)
    told = np.full(COUNT, 0.05)
    one = replace(flat.reading, wrong=told, drawn_wrong=np.tile(told.astype(np.float32), (40, 1)))
    wrong, suspicion = np.arange(COUNT) < 400, np.linspace(1, 0, COUNT)
    asked = np.unique(np.concatenate([np.arange(80), rng.integers(0, COUNT, 20)])).astype(np.int64)
    verdicts = Verdicts(asked, wrong[asked])
    found = heed(Noise(one, one, one), LABELS, suspicion, verdicts).reading.wrong
    assert found[:80].mean() > 0.7
    assert found[2000:].mean() < 0.1


def test_without_verdicts_nothing_changes() -> None:
    """No table, or none who is sure: the very same noise."""
    noise, _ = made_noise(0, 0.0)
    judged = pl.DataFrame({"sample_id": ["x", "y"]})
    unsure = pl.LazyFrame({"sample_id": ["x"], "verdict": ["unsure"]})
    for tables in ({}, {"reviews": unsure}):
        said = read_verdicts(tables, judged)
        assert heed(noise, LABELS, noise.reading.wrong, said) is noise


def test_one_verdict_changes_little() -> None:
    """One wrong label of chance .33 raises the odds by less than three, twenty by more."""
    one, many = (
        fit_link(np.full(n, 0.33), np.full(n, 0.5), np.ones(n, bool))[0][0] for n in (1, 20)
    )
    assert 0 < one < np.log(3) < many


def test_the_label_check_hears_reviews() -> None:
    """Verdicts that none is wrong empty the flags; its facts say how many were heard."""
    check = load_checks()["unlikely_label"]
    frames = {n: pl.DataFrame(t).lazy() for n, t in check.examples[0].tables.items()}
    before = run_set_checks(frames, [check])
    ids = before.findings["sample_id"].to_list()
    assert len(ids) > 20
    told = pl.DataFrame({"sample_id": ids, "verdict": "right", "new_label": None,
                         "drawn_prob": 1.0, "reviewers": "ada", "disputed": False})  # fmt: skip
    after = run_set_checks(frames | {"reviews": told.lazy()}, [check])
    assert after.findings.height < 0.5 * before.findings.height
    fact = after.facts["unlikely_label"]
    assert fact["reviews"]["heard"] == len(ids)
    assert fact["reviews"]["wrong"] == 0
    assert fact["wrong_labels"]["count"] < before.facts["unlikely_label"]["wrong_labels"]["count"]
