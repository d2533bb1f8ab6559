import numpy as np
import pytest

from training.economics import break_even, data_equivalent


def test_break_even_holds_the_truth() -> None:
    """A saving of 10 s that costs 30 s pays after 3 trainings; the interval holds it 95 %."""
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(400):
        got = break_even(30.0, 50 + rng.normal(0, 2, 8), 40 + rng.normal(0, 2, 8))
        assert got.low is not None
        hits.append(got.low <= 3 <= (np.inf if got.high is None else got.high))
    assert np.mean(hits) == pytest.approx(0.95, abs=0.033)


@pytest.mark.parametrize(
    ("saved", "cost", "word"),
    [(10.0, 100.0, "pays"), (10.0, 2.0, "at_once"), (-10.0, 9.0, "never"), (0.1, 9.0, "open")],
)
def test_break_even_says_which_case_it_is(saved: float, cost: float, word: str) -> None:
    """Never, open, at once and pays are told apart, and only what has bounds tells them."""
    raw, noise = np.full(8, 50.0), np.linspace(-1, 1, 8)
    got = break_even(cost, raw, raw - saved + noise)
    assert got.word == word
    assert (got.high is None) == (word in ("never", "open"))
    assert (got.low is None) == (word == "never")


def accuracies(
    rng: np.random.Generator, *, noise: float, seeds: int = 12, gain: float = 0.02
) -> np.ndarray:
    """Means .95 - .8 n^-c at a quarter, half and whole of n, and the whole's plus gain."""
    at = np.array([0.25, 0.5, 1.0]) ** -0.5
    means = np.append(0.95 - 0.1 * at, 0.85 + gain)
    return means[:, None] + rng.normal(0, 3 * noise, seeds) + rng.normal(0, noise, (4, seeds))


def test_the_data_equivalent_of_a_known_curve() -> None:
    """On acc = .95 - .1 n^-1/2 a gain of .02 equals 1 / .8^2 times the data, and is covered."""
    rng, hits = np.random.default_rng(2), []
    for _ in range(300):
        got = data_equivalent(accuracies(rng, noise=0.001), 1000)
        assert got.refused == ""
        hits.append(got.low <= 0.8**-2 <= got.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.038)
    exact = data_equivalent(accuracies(rng, noise=1e-9), 1000)
    assert exact.factor == pytest.approx(0.8**-2, rel=1e-4)
    assert exact.samples == pytest.approx(1562.5, rel=1e-4)
    assert exact.limit == pytest.approx(0.95, abs=1e-5)


def test_what_cannot_be_forecast_is_refused_with_its_reason() -> None:
    """A flat curve, a noisy bend and a gain beyond the limit give a reason and no number."""
    rng = np.random.default_rng(3)
    flat = np.full((4, 8), 0.8) + rng.normal(0, 1e-4, 8)
    assert "does not rise" in data_equivalent(flat, 100).refused
    noisy = data_equivalent(accuracies(rng, noise=0.03), 100)
    assert noisy.refused
    assert np.isnan(noisy.samples)
    beyond = data_equivalent(accuracies(rng, noise=1e-4, gain=0.2), 100)
    assert "no amount of raw data" in beyond.refused
    bend = np.array([0.70, 0.75, 0.799, 0.80])[:, None] + rng.normal(0, 0.004, (4, 8))
    assert "bend" in data_equivalent(bend, 100).refused or data_equivalent(bend, 100).refused
