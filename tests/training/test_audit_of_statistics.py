import numpy as np
import pytest

from bench.audit_statistics import cover, cover_new_data, list_intervals, raise_alarms
from bench.made_experiments import NULL, PLANTED, draw, make_world
from training.arms import RAW
from training.effects import judge_tier

EXPERIMENTS = 50


def test_every_interval_of_the_report_holds_the_truth() -> None:
    """Each 95 % interval that the report tells holds the known truth, up to chance of 50 draws."""
    held = cover(8, EXPERIMENTS, 600) | cover_new_data(8, EXPERIMENTS // 2)
    assert {"final_acc", "brier", "recovered (Fieller)", "final_acc, new data"} <= set(held)
    rates = {name: np.mean(hits) for name, hits in held.items() if len(hits) >= EXPERIMENTS // 2}
    assert min(rates.values()) > 0.82, rates


def test_equal_arms_raise_few_alarms() -> None:
    """Between equal arms each test cries wolf about one time in twenty, the verdict less often."""
    alarms = {name: np.mean(hits) for name, hits in raise_alarms(8, EXPERIMENTS).items()}
    assert max(alarms.values()) < 0.15, alarms
    assert alarms["verdict"] < 0.1


def test_an_arm_that_never_arrives_is_a_bound_with_an_interval() -> None:
    """Where raw never reaches the target every figure of the report is a number, never NaN."""
    rng = np.random.default_rng(4)
    one = draw(make_world(rng, 100), PLANTED, 6, rng)
    for run in one.runs[RAW]:
        run.val_acc[:] = np.minimum(run.val_acc, 0.5)
    report = judge_tier(one)
    last = [row for row in report["speedups"] if row["arm"] == "cleaned"][-1]
    assert last["at_least"]
    assert last["reached_versus"] == 0
    assert all(np.isfinite([low, high]).all() for _, low, high in list_intervals(report))


@pytest.mark.parametrize("truths", [NULL, PLANTED])
def test_made_experiments_are_functions_of_their_seed(truths: dict) -> None:
    """The same generator gives the same experiment, so that an audit can be repeated."""
    one, other = (
        draw(make_world(np.random.default_rng(1), 50), truths, 3, np.random.default_rng(2))
        for _ in range(2)
    )
    assert all(one.same(arm, arm) for arm in one.runs)
    assert np.array_equal(one.values(RAW, "brier"), other.values(RAW, "brier"))
    assert np.array_equal(one.predictions("cleaned"), other.predictions("cleaned"))
