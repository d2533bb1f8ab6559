import numpy as np
import pytest

from training import convergence as cv
from training import statistics as st

SIMULATIONS = 400


def _binomial_band(rate: float) -> float:
    return 3.0 * (rate * (1 - rate) / SIMULATIONS) ** 0.5


@pytest.mark.parametrize("seeds", [6, 8, 12])
def test_paired_t_covers_the_truth(seeds: int) -> None:
    """A nominal 95 % interval over few seeds holds the true difference 95 % of the time."""
    rng = np.random.default_rng(seeds)
    shared = rng.normal(0, 0.5, (SIMULATIONS, seeds))
    a = 0.3 + shared + rng.normal(0, 0.2, (SIMULATIONS, seeds))
    b = shared + rng.normal(0, 0.2, (SIMULATIONS, seeds))
    got = [st.paired_t(x, y) for x, y in zip(a, b, strict=True)]
    assert np.mean([i.low <= 0.3 <= i.high for i in got]) == pytest.approx(
        0.95, abs=_binomial_band(0.05)
    )


def test_raw_against_raw_is_significant_one_time_in_twenty() -> None:
    """Two arms that do not differ are called different in about 5 % of the simulations."""
    rng = np.random.default_rng(1)
    p = [st.paired_t(rng.normal(0, 1, 8), rng.normal(0, 1, 8)).p for _ in range(SIMULATIONS)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=_binomial_band(0.05))


def _crossed(rng: np.random.Generator, seeds: int, items: int) -> np.ndarray:
    seed_part = rng.normal(0, 0.02, (seeds, 1))
    item_part = rng.normal(0, 0.3, (1, items))
    return 0.1 + seed_part + item_part + rng.normal(0, 0.4, (seeds, items))


def test_crossed_t_covers_where_seeds_alone_do_not() -> None:
    """With new seeds and new items only the crossed interval holds the truth 95 % of the time."""
    rng = np.random.default_rng(2)
    z = [_crossed(rng, 8, 200) for _ in range(SIMULATIONS)]
    both = [st.crossed_t(one) for one in z]
    seeds_only = [st.mean_t(one.mean(axis=1)) for one in z]
    assert np.mean([i.low <= 0.1 <= i.high for i in both]) == pytest.approx(
        0.95, abs=_binomial_band(0.05)
    )
    assert np.mean([i.low <= 0.1 <= i.high for i in seeds_only]) < 0.9


def test_equivalence_test_errs_at_most_one_time_in_twenty() -> None:
    """At a true difference of exactly the margin, TOST claims equivalence in about 5 %."""
    rng = np.random.default_rng(3)
    p = [
        st.equivalence(rng.normal(0.003, 0.001, 8), np.zeros(8), 0.003) for _ in range(SIMULATIONS)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=_binomial_band(0.05))


@pytest.mark.parametrize(
    ("sd", "difference", "seeds"), [(0.21, 0.3, 7), (0.10, 0.1, 10), (0.60, 0.5, 14)]
)
def test_detectable_agrees_with_published_seed_counts(
    sd: float, difference: float, seeds: int
) -> None:
    """The seeds that a power table asks for are the first at which the difference is in reach."""
    assert st.detectable(sd, seeds) <= difference < st.detectable(sd, seeds - 1)


def test_detectable_difference_is_found_at_the_stated_power() -> None:
    """A true difference of the detectable size is significant in 80 % of the simulations."""
    rng = np.random.default_rng(4)
    effect = st.detectable(1.0, 8)
    p = [st.paired_t(rng.normal(effect, 1, 8), np.zeros(8)).p for _ in range(SIMULATIONS)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=_binomial_band(0.2))


def test_sign_flip_is_exact_and_keeps_its_rate() -> None:
    """Under no effect the sign-flip test rejects in at most about 5 %, and 5 seeds cannot."""
    rng = np.random.default_rng(5)
    p = [st.sign_flip(rng.normal(0, 1, 8), np.zeros(8)) for _ in range(SIMULATIONS)]
    assert np.mean(np.array(p) < 0.05) < 0.05 + _binomial_band(0.05)
    assert st.sign_flip(np.ones(5), np.zeros(5)) == 2 * 0.5**5


def test_equal_arms_give_a_point_interval_and_no_alarm() -> None:
    """Identical runs in both arms are a difference of exactly zero, not a division by zero."""
    a = np.linspace(0, 1, 8)
    assert st.paired_t(a, a) == st.Interval(0.0, 0.0, 0.0, 1.0, 8)
    assert st.equivalence(a, a, 0.003) == 0.0
    assert st.detectable(0.0, 8) == 0.0
    assert st.crossed_t(np.zeros((4, 5))).p == 1.0


def test_first_passage_wants_two_evaluations_in_a_row() -> None:
    """A single evaluation above the target is luck; the crossing is interpolated."""
    steps = np.array([0, 10, 20, 30, 40])
    curve = np.array([0.1, 0.6, 0.3, 0.7, 0.7])
    assert cv.first_passage(steps, curve, 0.5) == 25.0
    assert cv.first_passage(steps, curve, 0.9) == np.inf
    assert cv.first_passage(steps, curve, 0.05) == 0.0
    assert cv.first_passage(steps, np.array([0.1, 0.2, 0.3, 0.4, 0.9]), 0.8) == np.inf


def test_a_reference_that_never_arrives_gives_a_bound_not_nan() -> None:
    """Where raw never reaches the target the speed-up is reported as at least the ratio."""
    never = np.full(8, np.inf)
    treated = np.linspace(40, 60, 8)
    got = cv.rmst_ratio(never, treated, 100.0)
    assert got.at_least
    assert got.estimate == pytest.approx(2.0)
    assert got.low < 2.0 < got.high
    assert not cv.rmst_ratio(never, never, 100.0).at_least


def test_rmst_ratio_covers_the_truth() -> None:
    """The jackknife interval of the ratio holds the true ratio about 95 % of the time."""
    rng = np.random.default_rng(6)
    hit = []
    for _ in range(SIMULATIONS):
        shared = rng.normal(0, 8, 12)
        got = cv.rmst_ratio(
            150 + shared + rng.normal(0, 8, 12), 100 + shared + rng.normal(0, 8, 12), 1e9
        )
        hit.append(got.low <= 1.5 <= got.high)
    assert np.mean(hit) == pytest.approx(0.95, abs=_binomial_band(0.05))


def test_area_is_time_to_accuracy_averaged_over_targets() -> None:
    """For a rising curve, tau minus the mean censored time over all targets is the area."""
    steps, curve = np.array([0, 10, 20, 30]), np.array([0.0, 0.5, 0.8, 0.8])
    targets = (np.arange(2000) + 0.5) / 2000
    times = np.array([cv.first_passage(steps, curve, float(t)) for t in targets])
    assert 1 - cv.restricted(times, 30.0).mean() / 30 == pytest.approx(
        cv.aulc(steps, curve), abs=1e-3
    )


def test_fieller_covers_the_ratio_and_refuses_an_empty_bottom() -> None:
    """The recovered fraction's interval covers the truth, and is None without an oracle effect."""
    rng = np.random.default_rng(7)
    hit = []
    for _ in range(SIMULATIONS):
        got = st.fieller(rng.normal(0.6, 0.1, 8), rng.normal(1.0, 0.1, 8))
        assert got is not None
        hit.append(got.low <= 0.6 <= got.high)
    assert np.mean(hit) == pytest.approx(0.95, abs=_binomial_band(0.05))
    assert st.fieller(rng.normal(0, 1, 8), rng.normal(0, 1, 8)) is None


def test_false_discovery_and_family_wise_adjustments() -> None:
    """Holm never raises above 1 and keeps order; Benjamini-Yekutieli is at least as large as p."""
    p = [0.2, 0.001, 0.03, 0.9]
    assert st.holm(p)[1] == pytest.approx(0.004)
    assert max(st.holm(p)) <= 1.0
    assert all(q >= raw for q, raw in zip(st.benjamini_yekutieli(p), p, strict=True))


def test_a_coarse_reading_is_not_precision() -> None:
    """Equal differences on a few test items have the spread of a rounding error, not none."""
    d, zero = np.full(8, 0.5), np.zeros(8)
    got = st.paired_t(d, zero, grain=0.5)
    assert got.low < 0.5 < got.high
    assert got.p > 0
    assert st.equivalence(zero, zero, 0.003, grain=0.5) > 0.3
    assert st.crossed_t(np.ones((8, 2)), grain=0.5).p > 0
    assert st.paired_t(d, zero).p == 0


def test_equivalence_and_the_interval_say_the_same() -> None:
    """TOST at .025 holds exactly where the 95 % interval lies inside the margin."""
    rng = np.random.default_rng(8)
    for _ in range(SIMULATIONS):
        d = rng.normal(0.001, 0.003, 8)
        got = st.paired_t(d, np.zeros(8))
        inside = got.low > -0.003 and got.high < 0.003
        assert (st.equivalence(d, np.zeros(8), 0.003) < 0.025) == inside


def test_a_diverged_run_has_no_sign_flip_p() -> None:
    """A NaN among the values gives NaN, never a p value of zero."""
    assert np.isnan(st.sign_flip(np.array([np.nan, 1.0, 2.0]), np.zeros(3)))


def test_a_treated_arm_that_never_arrives_gives_an_upper_bound() -> None:
    """Where only treated runs are cut off, the ratio can only be smaller than what is seen."""
    got = cv.rmst_ratio(np.linspace(40, 60, 8), np.full(8, np.inf), 100.0)
    assert got.at_most
    assert not got.at_least
    start = cv.rmst_ratio(np.zeros(8), np.array([0.0] * 7 + [10.0]), 100.0)
    assert 0.1 < start.estimate < 1


def test_the_share_of_a_loss_is_no_share() -> None:
    """Fieller's ratio is None over a negative bottom, and exact where nothing varies."""
    assert st.fieller(np.array([-0.3, -0.31, -0.3]), np.array([-0.7, -0.71, -0.7])) is None
    flat = st.fieller(np.full(3, 0.3), np.full(3, 0.7))
    assert flat is not None
    assert flat.estimate == pytest.approx(3 / 7)
