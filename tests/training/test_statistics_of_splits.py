import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from training import statistics as st

SIMULATIONS = 400


def _resplit(rng: np.random.Generator, splits: int) -> np.ndarray:
    """Differences of the mean of 70 of 100 samples from zero, their truth, on shared samples."""
    samples = rng.normal(0, 1, 100)
    return np.array([rng.permutation(samples)[:30].mean() for _ in range(splits)])


def test_resplits_of_one_set_deceive_the_plain_t_only() -> None:
    """Re-splits share samples: plain t raises many false alarms, the corrected t at most 5 %."""
    rng = np.random.default_rng(1)
    drawn = [_resplit(rng, 15) for _ in range(SIMULATIONS)]
    plain = np.mean([st.paired_t(d, np.zeros(15)).p < 0.05 for d in drawn])
    mild = np.mean([st.resplit_t(d, 30, 70).p < 0.05 for d in drawn])
    assert plain > 0.2
    assert mild < 0.07


@pytest.mark.parametrize("truth", [0.3, 0.5, 0.75, 0.95])
def test_the_probability_of_a_win_is_covered(truth: float) -> None:
    """The exact interval holds the true probability of a win in at least 95 %."""
    rng = np.random.default_rng(2)
    wins = (rng.random((SIMULATIONS, 8)) < truth).astype(np.float64) - 0.5
    got = [st.superiority(d, np.zeros(8)) for d in wins]
    assert np.mean([one.low <= truth <= one.high for one in got]) > 0.94
    assert all(one.low <= one.estimate <= one.high for one in got)


@given(some.lists(some.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=24))
def test_winning_and_losing_are_mirror_images(signs: list[float]) -> None:
    """Swapping the arms mirrors estimate and interval and leaves p, ties or none."""
    d, zero = np.array(signs), np.zeros(len(signs))
    one, other = st.superiority(d, zero), st.superiority(zero, d)
    assert one.estimate == pytest.approx(1 - other.estimate)
    assert one.low == pytest.approx(1 - other.high)
    assert one.p == pytest.approx(other.p)
    assert 0 <= one.p <= 1


def test_the_sign_test_is_the_published_one() -> None:
    """Eight wins of eight have p 2/256, seven 18/256; an even split has 1."""
    zero = np.zeros(8)
    assert st.superiority(np.ones(8), zero).p == pytest.approx(2 / 256)
    assert st.superiority(np.array([-1.0] + [1.0] * 7), zero).p == pytest.approx(18 / 256)
    assert st.superiority(np.array([-1.0, 1.0] * 4), zero).p == 1
