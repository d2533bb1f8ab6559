from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from training.arms import (
    Arm,
    Arms,
    TrainingData,
    batches,
    guard_arm,
    keyed_seed,
    random_control,
    raw_arm,
)
from training.errors import TrainingError


def _data(n: int = 60) -> TrainingData:
    rng = np.random.default_rng(0)
    split = np.repeat([0, 1, 2], [n - 20, 10, 10]).astype(np.int8)
    return TrainingData(
        "table", ("a", "b", "c"), np.arange(n).astype(str), rng.integers(0, 3, n), split
    )


def _cleaned(raw: Arm) -> Arm:
    keep, weights, labels = raw.keep.copy(), raw.weights.copy(), raw.labels.copy()
    keep[:6] = False
    weights[6:10] = 0.25
    labels[10:12] = (labels[10:12] + 1) % 3
    return Arm("cleaned", keep, weights, labels, raw.rows)


def test_the_control_loses_as_many_of_each_class() -> None:
    """The random drop takes and lowers as many samples of each class as the cleaning did."""
    raw = raw_arm(_data())
    cleaned = _cleaned(raw)
    for seed in range(20):
        control = random_control(raw, cleaned, seed)
        for label in range(3):
            mine = raw.labels == label
            assert control.keep[mine].sum() == cleaned.keep[mine].sum()
            lowered = [np.sort(arm.weights[mine & arm.keep]) for arm in (control, cleaned)]
            assert np.array_equal(*lowered)
        assert np.array_equal(control.labels, raw.labels)


def test_each_seed_draws_its_own_control() -> None:
    """Two seeds drop different samples, and the same seed drops the same ones."""
    raw = raw_arm(_data())
    cleaned = _cleaned(raw)
    first, again, other = (random_control(raw, cleaned, seed).keep for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_order_is_one_permutation_filtered_by_the_arm() -> None:
    """Samples that two arms share are met in the same relative order in every epoch."""
    keep = np.ones(30, bool)
    keep[[3, 7, 20]] = False
    whole = np.concatenate([p for p, _ in islice(batches(np.ones(30, bool), 5, 10), 3)])
    part = np.concatenate([p for p, _ in islice(batches(keep, 5, 9), 3)])
    assert np.array_equal(whole[keep[whole]], part)
    assert sorted(whole) == list(range(30))


def test_epochs_are_counted_where_they_turn() -> None:
    """A batch may cross the end of an epoch, and each of its samples knows its own epoch."""
    positions, epochs = zip(*islice(batches(np.ones(5, bool), 0, 4), 5), strict=True)
    flat, turn = np.concatenate(positions), np.concatenate(epochs)
    assert turn.tolist() == np.repeat(np.arange(4), 5).tolist()
    assert all(sorted(flat[turn == e]) == list(range(5)) for e in range(4))


def test_an_arm_that_keeps_nothing_is_refused() -> None:
    """An empty training set is one clear error, not an endless loop."""
    with pytest.raises(TrainingError, match="keeps no sample"):
        next(batches(np.zeros(5, bool), 0, 2))


def test_paired_arms_share_seeds_and_raw_again_does_not() -> None:
    """Cleaned, control and raw start alike; the A/A arm and the pilots start elsewhere."""
    assert {keyed_seed(arm, 4) for arm in ("raw", "cleaned", "random_drop", "oracle")} == {4}
    others = {keyed_seed(arm, s) for arm in ("raw_again", "raw_pilot") for s in range(100)}
    assert len(others) == 200
    assert not others & set(range(100))


def test_ablations_apply_or_undo_one_group() -> None:
    """`only` changes one group's samples, `without` all changed samples but that group's own."""
    raw = raw_arm(_data())
    cleaned = _cleaned(raw)
    first = np.arange(raw.keep.size) < 4
    second = (np.arange(raw.keep.size) >= 2) & (np.arange(raw.keep.size) < 12)
    arms = Arms(raw, cleaned, None, {"copies": first, "labels": second})
    assert arms.draw("only:copies", 0).n_train == raw.n_train - 4
    assert arms.draw("without:copies", 0).n_train == raw.n_train - 4
    assert arms.draw("without:labels", 0).n_train == raw.n_train - 4
    assert np.array_equal(arms.draw("only:copies", 0).labels, raw.labels)
    assert arms.names() == ("raw", "raw_again", "cleaned", "random_drop")
    with pytest.raises(TrainingError, match="no arm has this name"):
        arms.draw("only:nothing", 0)


def test_rows_without_a_label_are_in_no_split() -> None:
    """A sample whose label is unknown is neither trained on nor counted in an accuracy."""
    data = _data()
    data.labels[[0, 45, 55]] = -1
    assert data.rows_of(0).size == 39
    assert data.rows_of(1).size == 9
    assert data.rows_of(2).size == 9


def test_leaving_a_group_out_keeps_what_no_group_asked_for() -> None:
    """`without` undoes only what its group alone asked for: a sixth check's drops stay."""
    raw = raw_arm(_data())
    cleaned = _cleaned(raw)
    first = np.arange(raw.keep.size) < 2
    arms = Arms(raw, cleaned, None, {"copies": first})
    left = arms.draw("without:copies", 0)
    assert left.keep[:2].all()
    assert not left.keep[2:6].any()
    assert np.array_equal(left.labels, cleaned.labels)


def test_arms_that_cannot_be_right_are_refused() -> None:
    """An arm with no sample, a test row, a weight of zero or a strange label is one clear error."""
    data = _data()
    raw = raw_arm(data)
    guard_arm(data, raw)
    for change, said in (
        ({"keep": np.zeros_like(raw.keep)}, "keeps no sample"),
        ({"rows": raw.rows + 15}, "outside train"),
        ({"weights": raw.weights * 0}, "not positive"),
        ({"labels": raw.labels + 1}, "no class"),
    ):
        with pytest.raises(TrainingError, match=said):
            guard_arm(data, replace(raw, **change))
