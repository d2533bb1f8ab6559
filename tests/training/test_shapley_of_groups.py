from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.training.made_runs import answer, judged
from training.effects import judge_tier
from training.errors import TrainingError
from training.judged import Judged
from training.shapley import shapley


def sets(k: int) -> list[str]:
    """All sets of k groups, as bits."""
    return ["".join(bits) for bits in product("01", repeat=k)]


@given(some.integers(1, 5), some.integers(2, 6), some.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_parts_sum_to_the_whole_effect(k: int, seeds: int, key: int) -> None:
    """In every seed the groups' parts sum to full minus empty, whatever the values."""
    rng = np.random.default_rng(key)
    values = {bits: rng.normal(0, 1, seeds) for bits in sets(k)}
    parts = shapley(values)
    assert parts.shape == (k, seeds)
    assert parts.sum(axis=0) == pytest.approx(values["1" * k] - values["0" * k])


@given(some.integers(2, 5), some.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_group_without_effect_gets_nothing_and_twins_get_the_same(k: int, key: int) -> None:
    """Null player and symmetry: where only the count of other groups matters, they share it."""
    gains = np.random.default_rng(key).normal(0, 1, k)
    values = {bits: np.array([gains[bits[1:].count("1")]]) for bits in sets(k)}
    parts = shapley(values)[:, 0]
    assert parts[0] == pytest.approx(0)
    assert parts[1:] == pytest.approx(np.full(k - 1, parts[1]))


def test_a_missing_set_is_refused() -> None:
    """A set of groups that was not run is named."""
    values = {bits: np.zeros(2) for bits in sets(2) if bits != "01"}
    with pytest.raises(TrainingError, match="'01'"):
        shapley(values)


def with_arms(one: Judged, hits: dict[str, int]) -> Judged:
    """The same runs and more arms, each right in that many items, a few more or less by seed."""
    rng = np.random.default_rng(9)
    runs = dict(one.runs)
    for arm, count in hits.items():
        runs[arm] = [
            replace(
                run, arm=arm,
                test_pred=answer(np.arange(one.labels.size) < count + rng.integers(-3, 4)),
            )
            for run in one.runs["raw"]
        ]  # fmt: skip
    return replace(one, runs=runs)


def test_the_report_shares_the_effect_out_among_the_groups() -> None:
    """Arms of all sets give each group its part with interval and adjusted p, in their order."""
    hits = {"raw": 3200, "set:10": 3320, "set:01": 3200, "cleaned": 3320}
    one = replace(with_arms(judged(0.0), hits), groups=("copies", "typos"))
    report = judge_tier(one)
    first, second = report["shapley"]
    assert [first["group"], second["group"]] == ["copies", "typos"]
    assert first["low"] < 0.03 < first["high"]
    assert second["low"] < 0 < second["high"]
    assert first["p_by"] < 0.05
    assert report["says"]["groups"].startswith("Of the whole effect, groups of checks carry: cop")
    assert judge_tier(replace(one, groups=("a", "b", "c")))["shapley"] == []


def test_a_dose_that_helps_has_a_rising_trend() -> None:
    """Accuracies that rise with the share cleaned give a trend above zero, said in a sentence."""
    hits = {"raw": 3200, "dose:0.25": 3240, "dose:0.5": 3280, "dose:0.75": 3320, "cleaned": 3360}
    report = judge_tier(with_arms(judged(0.0), hits))
    dose = report["dose"]
    assert dose is not None
    assert [step["dose"] for step in dose["doses"]] == [0, 0.25, 0.5, 0.75, 1]
    assert dose["rises"]
    assert dose["trend"]["low"] < 0.04 < dose["trend"]["high"]
    assert report["says"]["dose"].startswith("The more is cleaned, the better, step by step: +3.99")


def test_parts_doses_and_churn_read_on_few_items_have_a_width() -> None:
    """Twenty items that all arms get right alike, by other curves, are no proof of nothing."""
    one = replace(judged(0.0, items=20), groups=("copies", "typos"))
    first = one.runs["raw"]
    arms = ("raw_again", "cleaned", "random_drop", "set:10", "set:01", "dose:0.5")
    runs = {
        arm: [replace(run, arm=arm, val_acc=run.val_acc + 0.001 * at) for run in first]
        for at, arm in enumerate(arms, 1)
    }
    report = judge_tier(replace(one, runs={**one.runs, **runs}))
    churn = [row for pair in report["churn"] for row in (pair, pair.get("excess")) if row]
    told = [*report["shapley"], report["dose"]["trend"], *report["dose"]["doses"][1:], *churn]
    assert len(told) == 2 + 1 + 2 + 5
    for row in told:
        assert row["low"] < row["estimate"] < row["high"]
        assert row["mde"] > 0


def test_a_group_whose_sets_are_the_same_runs_has_no_width() -> None:
    """What no network reads changes no run: its part is 0 for sure, the other's is not."""
    one = judged(0.0, items=20)
    arms = {"raw": "raw", "set:01": "raw", "set:10": "cleaned", "cleaned": "cleaned"}
    runs = {arm: one.runs[same] for arm, same in arms.items()}
    told = judge_tier(replace(one, runs={**one.runs, **runs}, groups=("copies", "blanks")))
    copies, blanks = told["shapley"]
    assert copies["low"] < copies["high"]
    assert (blanks["low"], blanks["high"], blanks["p_by"]) == (0.0, 0.0, 1.0)
