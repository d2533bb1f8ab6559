from collections.abc import Callable

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from training.arms import TrainingData
from training.boosted import boosted_out_of_fold
from training.errors import TrainingError

Make = Callable[..., TrainingData]


def _keys(count: int) -> np.ndarray:
    return np.array([f"{xxhash.xxh3_128_hexdigest(str(at).encode())}-0" for at in range(count)])


def _data(n: int = 600, classes: int = 3, wrong: int = 40) -> TrainingData:
    """Rows whose largest number and whose word tell the class; the first `wrong` labels lie."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    numbers = rng.normal(0, 1, (n, 5)).astype(np.float32)
    numbers[np.arange(n), labels % 5] += 3
    codes = np.where(rng.random(n) < 0.7, labels + 2, 1)[:, None]
    split = np.where(np.arange(n) < n * 2 // 3, 0, np.arange(n) % 2 + 1).astype(np.int8)
    given = labels.copy()
    given[:wrong] = (given[:wrong] + 1) % classes
    names = tuple("abcdefgh"[:classes])
    return TrainingData(
        "table", names, _keys(n), given, split, None, numbers, codes, (classes + 2,), labels
    )  # fmt: skip


def test_wrong_labels_get_low_probability() -> None:
    """Out of fold, a planted wrong label is believed less than nearly every right one."""
    data = _data()
    got = boosted_out_of_fold(data)
    own = got.probs[np.arange(400), data.labels[:400]]
    assert np.median(own[:40]) < np.quantile(own[40:], 0.1)
    assert np.allclose(got.probs.sum(axis=1), 1, atol=1e-4)


def test_other_splits_are_scored_and_never_fitted_on() -> None:
    """What val and test are labelled changes no score; they are scored well, and have no fold."""
    data = _data()
    got = boosted_out_of_fold(data)
    held = data.split > 0
    assert data.true_labels is not None
    assert (got.probs.argmax(axis=1) == data.true_labels)[held].mean() > 0.85
    assert set(got.fold[held]) == {-1}
    assert set(got.fold[~held]) == set(range(5))
    data.labels[held] = 0
    assert np.array_equal(boosted_out_of_fold(data).probs, got.probs)


def test_rows_without_a_label_are_scored() -> None:
    """An unlabelled train row gets class scores, of no fold of its own."""
    data = _data()
    data.labels[50:60] = -1
    got = boosted_out_of_fold(data)
    assert set(got.fold[50:60]) == {-1}
    assert data.true_labels is not None
    assert (got.probs.argmax(axis=1) == data.true_labels)[50:60].sum() >= 8


def test_thread_count_changes_nothing() -> None:
    """One and two threads give the same bits."""
    data = _data(300)
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(boosted_out_of_fold(data).probs.tobytes())
    assert results[0] == results[1]


def test_copies_share_a_fold() -> None:
    """Rows of one content are held out together, whatever their labels."""
    data = _data()
    data.keys[1] = data.keys[0].replace("-0", "-1")
    data.labels[:2] = 0, 1
    fold = boosted_out_of_fold(data).fold
    assert fold[0] == fold[1]


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 200))
def test_rows_that_come_later_move_no_other(fewer: int) -> None:
    """The folds of a set are those of a part of it, where classes are not tiny."""
    data = _data(1200, classes=2)
    part = TrainingData(
        "table", data.classes, data.keys[fewer:], data.labels[fewer:], data.split[fewer:], None,
        data.numbers[fewer:], data.codes[fewer:], data.levels,
    )  # fmt: skip
    whole, less = (boosted_out_of_fold(one, rows_max=2000).fold for one in (data, part))
    assert np.array_equal(whole[fewer:], less)


def test_small_classes_are_dealt_out_evenly() -> None:
    """Each of as many folds as a class has samples holds one of it out."""
    data = _data(classes=2, wrong=0)
    rare = np.flatnonzero((data.split == 0) & (data.labels == 1))
    data.labels[rare[5:]] = 0
    fold = boosted_out_of_fold(data).fold
    assert sorted(fold[rare[:5]]) == list(range(5))


def test_the_fit_is_bounded() -> None:
    """Where fewer rows are fitted on, all are scored all the same, from other trees."""
    data = _data(4200, classes=2)
    few, all_ = boosted_out_of_fold(data, rows_max=2000), boosted_out_of_fold(data)
    assert np.allclose(few.probs.sum(axis=1), 1, atol=1e-4)
    assert not np.array_equal(few.probs, all_.probs)


def test_a_class_outside_train_gets_nothing() -> None:
    """Of a class that only test has, every probability is 0."""
    data = _data(classes=2, wrong=0)
    odd = TrainingData(
        "table", ("a", "b", "b."), data.keys, data.labels, data.split, None, data.numbers,
        data.codes, data.levels,
    )  # fmt: skip
    odd.labels[data.split == 2] = 2
    assert not boosted_out_of_fold(odd).probs[:, 2].any()


@pytest.mark.parametrize(("label", "told"), [(0, "few classes only"), (-1, "fewer training")])
def test_what_cannot_be_learnt_is_refused(label: int, told: str) -> None:
    """One class, or no label, is one clear error."""
    data = _data()
    data.labels[:] = label
    with pytest.raises(TrainingError, match=told):
        boosted_out_of_fold(data)


def test_more_codes_than_a_tree_takes() -> None:
    """A column of 600 levels is read; its rarest levels are one."""
    data = _data()
    data.codes[:, 0] = np.arange(600)
    wide = TrainingData(
        "table", data.classes, data.keys, data.labels, data.split, None, data.numbers,
        data.codes, (602,),
    )  # fmt: skip
    assert np.isfinite(boosted_out_of_fold(wide).probs).all()
