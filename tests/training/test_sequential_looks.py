import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import TrainingError
from training.sequential import LOOKS, boundaries, look, repeated_p, spend

SIMULATIONS = 3000


def test_bounds_are_the_published_ones() -> None:
    """Equal looks give the z bounds of the Lan-DeMets tables for O'Brien-Fleming spending.

    Five looks: 4.877, 3.357, 2.680, 2.290, 2.031 (Reboussin et al. 2000).
    """
    from scipy import stats  # noqa: PLC0415 - one test needs it

    z = stats.norm.isf(np.array(boundaries((10, 20, 30, 40, 50))) / 2)
    assert z == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=0.002)


def test_one_look_is_the_plain_test() -> None:
    """A single planned look spends all of alpha."""
    assert boundaries((8,)) == pytest.approx([0.05], abs=1e-6)
    assert spend(1.0) == pytest.approx(0.05)


def _walk(d: np.ndarray) -> tuple[bool, bool]:
    """Whether any look is significant, and whether all intervals hold zero."""
    looks = []
    for count in LOOKS:
        looks.append(look(d[:count]))
        if looks[-1].word == "stop":
            break
    alarm = any(one.significant for one in looks)
    return alarm, all(one.adjusted.low <= 0 <= one.adjusted.high for one in looks)


def test_looking_three_times_keeps_the_rate_of_false_alarms() -> None:
    """Under no effect at most 5 % of the experiments ever stop significant, t included."""
    rng = np.random.default_rng(1)
    got = np.array([_walk(d) for d in rng.normal(0, 1, (SIMULATIONS, LOOKS[-1]))])
    alarms, held = got.mean(axis=0)
    noise = 2 * (0.05 * 0.95 / SIMULATIONS) ** 0.5
    assert 0.03 < alarms <= 0.05 + noise
    assert held >= 0.95 - noise


def test_a_large_effect_stops_early() -> None:
    """An effect of three deviations stops at 12 seeds or sooner in nearly every experiment."""
    rng = np.random.default_rng(2)
    looks = [look(d) for d in rng.normal(3, 1, (200, 12))]
    assert np.mean([one.word == "stop" for one in looks]) > 0.99
    assert all(one.adjusted.low > 0 for one in looks if one.significant)


def test_the_last_look_ends_it() -> None:
    """At the last planned count the word is stop, whatever was found."""
    zero = look(np.tile([1.0, -1.0], 12))
    assert (zero.word, zero.significant) == ("stop", False)
    assert look(np.tile([1.0, -1.0], 6)).word == "continue"


@pytest.mark.parametrize("looks", [(), (1, 4), (6, 6), (12, 6)])
def test_looks_that_do_not_rise_are_refused(looks: tuple[int, ...]) -> None:
    """The plan must rise from at least two seeds, and the error names what it got."""
    with pytest.raises(TrainingError, match="looks must rise"):
        boundaries(looks)


def test_a_look_that_was_not_planned_is_refused() -> None:
    """Peeking in between is an error that names the planned counts."""
    with pytest.raises(TrainingError, match=r"got 7\)\. Looks: 6, 12, 24"):
        look(np.arange(7.0))


@given(st.sampled_from(LOOKS), st.floats(0, 1), st.sampled_from([0.01, 0.025, 0.05, 0.2]))
def test_adjusted_p_values_cross_where_the_look_does(count: int, p: float, alpha: float) -> None:
    """A repeated p is below alpha exactly where p undercuts the look's level, and never below p."""
    level = boundaries(LOOKS, alpha)[LOOKS.index(count)]
    adjusted = repeated_p(p, count)
    if abs(p - level) > 1e-6 * level:
        assert (adjusted < alpha) == (p < level)
    assert adjusted >= min(p, 0.999) * (1 - 1e-6)


def test_one_planned_look_adjusts_nothing() -> None:
    """Without looks before it a p value stays what it is."""
    assert [repeated_p(p, 8, (8,)) for p in (0.001, 0.03, 0.6)] == pytest.approx([0.001, 0.03, 0.6])


def test_rounding_is_no_certainty() -> None:
    """Equal differences of one step of an accuracy do not stop: their spread is hidden, not 0."""
    d = np.full(6, 0.004)
    assert look(d).word == "stop"
    assert look(d, grain=0.004).word == "continue"
