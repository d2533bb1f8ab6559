import numpy as np
import pytest

from training.arms import TrainingData
from training.errors import TrainingError
from training.probabilities import out_of_fold


def _data() -> TrainingData:
    rng = np.random.default_rng(0)
    n = 600
    labels = rng.integers(0, 3, n)
    numbers = rng.normal(0, 1, (n, 5)).astype(np.float32)
    numbers[np.arange(n), labels] += 3
    split = np.repeat([0, 1, 2], [400, 100, 100]).astype(np.int8)
    given = labels.copy()
    given[:40] = (given[:40] + 1) % 3
    return TrainingData(
        "table", ("a", "b", "c"), np.arange(n).astype(str), given, split, None, numbers,
        true_labels=labels,
    )  # fmt: skip


def test_wrong_labels_get_low_probability() -> None:
    """Out of fold, a planted wrong label is believed less than nearly every right one."""
    data = _data()
    got = out_of_fold(data, steps=80)
    own = got.probs[np.arange(400), data.labels[:400]]
    assert np.median(own[:40]) < np.quantile(own[40:], 0.1)
    assert np.allclose(got.probs.sum(axis=1), 1, atol=1e-5)


def test_every_training_sample_is_held_out_once() -> None:
    """Folds cover the training split, near evenly; other splits have no fold."""
    got = out_of_fold(_data(), steps=5)
    assert set(got.fold[:400]) == set(range(5))
    assert np.bincount(got.fold[:400]).min() > 50
    assert (got.fold[400:] == -1).all()


def test_too_few_samples_are_refused() -> None:
    """Fewer training samples than folds is one clear error."""
    data = _data()
    data.split[:] = 1
    with pytest.raises(TrainingError, match="fewer training samples than folds"):
        out_of_fold(data)


def test_every_fold_is_trained_even_in_a_tiny_set() -> None:
    """As many samples as folds are held out one by one, whatever the seed."""
    data = _data()
    data.split[5:400] = -1
    for seed in range(20):
        assert sorted(out_of_fold(data, seed=seed, steps=1).fold[:5]) == list(range(5))
