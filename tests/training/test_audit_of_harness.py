from dataclasses import replace

import numpy as np
import pytest
import torch

from training.arms import Arm, TrainingData, changed, raw_arm
from training.audit import (
    CHEAP,
    Rate,
    audit_bound,
    audit_nulls,
    audit_power,
    check_rates,
    plant_noise,
    seen_rate,
    tell_rate,
)
from training.audit_data import drop_some, make_clouds, sample_data
from training.digests import rows_digest
from training.errors import TrainingError
from training.jobs import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One cache for all audits of this file, in this process."""
    return Place(tmp_path_factory.mktemp("audit"), 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def rates(place: Place) -> list[Rate]:
    """The audit of 40 experiments at 6 and 8 seeds on made data."""
    data = make_clouds(900)
    rates = audit_nulls(data, drop_some(data), place, experiments=40, looks=(6, 8))
    for split in (1, 2):
        assert rows_digest(data, split) == rows_digest(make_clouds(900), split)
    return rates


def test_the_harness_rarely_cries_wolf_and_holds_the_truth(rates: list[Rate]) -> None:
    """No rate of false alarms or of coverage is off beyond chance, at any number of seeds."""
    assert check_rates(rates) == []
    assert {rate.seeds for rate in rates} == {6, 8}
    told = {(rate.what, rate.pair) for rate in rates}
    assert told == {
        ("false_positive", "other seeds"), ("false_positive", "other draw"),
        ("coverage", "fewer rows"),
    }  # fmt: skip
    assert all(rate.low <= rate.value <= rate.high for rate in rates)


def test_an_audit_sees_a_harness_that_cries_wolf() -> None:
    """Three times as many false alarms as promised, or coverage of .8, are called odd."""
    alarms = tell_rate("false_positive", "other seeds", "aulc", 8, [True] * 30 + [False] * 170)
    holes = tell_rate("coverage", "fewer rows", "aulc", 8, [True] * 160 + [False] * 40)
    fine = tell_rate("coverage", "fewer rows", "aulc", 8, [True] * 190 + [False] * 10)
    assert check_rates([alarms, holes, fine]) == [alarms, holes]


@pytest.mark.parametrize(("what", "sign"), [("false_positive", 1), ("coverage", -1)])
def test_the_audit_tells_what_it_could_see(what: str, sign: int) -> None:
    """Of simulated audits whose every rate is off by what is told, nine in ten find one odd."""
    rng, n, others = np.random.default_rng(0), 100, 38
    fine = [tell_rate("false_positive", "other seeds", "nll", 8, [False] * n)] * others

    def audit(share: float) -> list[Rate]:
        off = rng.random(n) < share
        return [*fine, tell_rate(what, "other seeds", "aulc", 8, off if sign > 0 else ~off)]

    least = seen_rate(audit(0.05))
    assert least is not None
    assert 0.15 < least < 0.2
    found = np.mean([bool(check_rates(audit(least))) for _ in range(400)])
    assert found == pytest.approx(0.9, abs=0.05)
    more = [tell_rate("false_positive", "other seeds", "nll", 8, [False] * 2000)] * 39
    assert (seen_rate(more) or 1) < 0.08
    assert seen_rate([tell_rate(what, "other seeds", "nll", 8, [True])] * 9) is None


def test_planted_noise_is_found(place: Place) -> None:
    """Two fifths of the labels wrong are told to hurt in every one of a few experiments."""
    recipe = replace(CHEAP, steps=150)
    rate = audit_power(make_clouds(3000), recipe, place, repeats=6, seeds=8, share=0.4)
    assert (rate.value, rate.n) == (1.0, 6)


def test_the_noise_is_symmetric_and_as_much_as_asked() -> None:
    """Each repeat has its own fifth of wrong labels, spread over all other classes."""
    data = make_clouds(20_000)
    arms = plant_noise(data, 2)
    one, two = (changed(arms.raw, arms.draw(f"only:{at}", 0)) for at in (0, 1))
    assert 0.18 < one.mean() < 0.22
    assert (one != two).mean() > 0.2
    moved = (arms.draw("only:0", 0).labels - arms.raw.labels)[one] % 4
    shares = np.bincount(moved, minlength=4) / one.sum()
    assert shares[0] == 0
    assert np.allclose(shares[1:], 1 / 3, atol=0.06)


def test_a_raw_arm_that_never_arrives_is_told_as_a_bound(place: Place) -> None:
    """Its speed-ups are finite, marked "at least", and none is NaN."""
    data = make_clouds()
    assert audit_bound(data, drop_some(data), place)


def test_an_audit_refuses_an_arm_that_reads_test_rows(place: Place) -> None:
    """An arm that would train on held-out rows ends the audit before anything is trained."""
    data = make_clouds(900)
    arms = drop_some(data)
    foul = replace(arms.raw, rows=arms.raw.rows + 180)
    with pytest.raises(TrainingError, match="outside train"):
        audit_nulls(data, replace(arms, raw=foul), place, experiments=1)


def test_a_part_of_real_data_keeps_what_cleaning_did() -> None:
    """The sampled arms drop the very samples that cleaning dropped, and read their own rows."""
    rng = np.random.default_rng(0)
    n = 5000
    split = rng.permutation(np.repeat([0, 1, 2], [3000, 1000, 1000])).astype(np.int8)
    numbers = np.arange(n, dtype=np.float32)[:, None] * np.ones(40, np.float32)
    data = TrainingData(
        "table", ("a", "b"), np.arange(n).astype(str), rng.integers(0, 2, n), split, None, numbers
    )
    raw = raw_arm(data)
    cleaned = Arm("cleaned", raw.rows % 3 > 0, raw.weights, raw.labels, raw.rows)
    part, arms = sample_data(data, cleaned)
    assert part.numbers is not None
    assert part.numbers.shape == (2200, 32)
    original = part.numbers[part.train, 0].astype(int)
    assert np.array_equal(arms.cleaned.keep, original % 3 > 0)
    assert np.array_equal(part.labels, data.labels[part.numbers[:, 0].astype(int)])
    whole, stand_in = sample_data(data, raw)
    assert 0.1 < 1 - stand_in.cleaned.keep.mean() < 0.3
    assert whole.train.size == 400
