import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from training.calibration import brier_score, calibration_error


def made(
    rng: np.random.Generator, items: int, classes: int, heat: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels drawn from them; heat above 1 makes the told ones too sure."""
    logits = rng.normal(0, 1.5, (items, classes))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (rng.random((items, 1)) > true.cumsum(1)[:, :-1]).sum(1)
    told = np.exp(heat * logits)
    return told / told.sum(1, keepdims=True), labels


def plain_error(probs: np.ndarray, labels: np.ndarray) -> float:
    """The calibration error as usually computed: 15 bins of equal mass, chance left in."""
    confidence, right = probs.max(1), probs.argmax(1) == labels
    parts = np.array_split(np.argsort(confidence, kind="stable"), 15)
    gaps = [abs(confidence[part].mean() - right[part].mean()) * part.size for part in parts]
    return float(sum(gaps) / labels.size)


def test_of_a_calibrated_model_two_fifths_of_the_chance_part_are_taken_off() -> None:
    """Where labels are drawn from the probabilities, (2 - sqrt 2) of the plain error is left."""
    rng = np.random.default_rng(1)
    drawn = [made(rng, 1500, 4) for _ in range(100)]
    ours = np.mean([calibration_error(*one) for one in drawn])
    plain = np.mean([plain_error(*one) for one in drawn])
    assert ours / plain == pytest.approx(2 - 2**0.5, abs=0.06)


def test_overconfidence_is_measured_as_it_is() -> None:
    """On few items the error of a model that is too sure is that on very many items."""
    rng = np.random.default_rng(2)
    truth = calibration_error(*made(rng, 400_000, 4, heat=2.0))
    few = np.mean([calibration_error(*made(rng, 1500, 4, heat=2.0)) for _ in range(60)])
    assert truth > 0.1
    assert few == pytest.approx(truth, abs=0.006)


@given(some.integers(0, 2**32 - 1), some.integers(1, 60), some.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_laws_of_both_scores(key: int, items: int, classes: int) -> None:
    """Brier lies in 0..2 and both scores are free of the items' order."""
    rng = np.random.default_rng(key)
    probs, labels = made(rng, items, classes)
    order = rng.permutation(items)
    assert 0 <= brier_score(probs, labels) <= 2
    assert brier_score(probs[order], labels[order]) == pytest.approx(brier_score(probs, labels))
    assert calibration_error(probs[order], labels[order]) == pytest.approx(
        calibration_error(probs, labels)
    )
    assert calibration_error(probs, labels) <= 1


def test_sure_and_right_is_perfect_and_no_items_are_zero() -> None:
    """Certainty that is right scores 0, certainty that is wrong 2 and 1; no items give 0."""
    sure, none = np.eye(2)[[0, 1, 0]], np.zeros((0, 2))
    right, wrong = np.array([0, 1, 0]), np.array([1, 0, 1])
    assert brier_score(sure, right) == calibration_error(sure, right) == 0
    assert brier_score(sure, wrong) == 2
    assert calibration_error(sure, wrong) == 1
    assert brier_score(none, right[:0]) == calibration_error(none, right[:0]) == 0
