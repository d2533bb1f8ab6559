from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.training.wrong_labels import bars, clouds
from training.arms import Arms, assign_folds, fold_names, guard_arm, held_out_rows, raw_arm
from training.errors import TrainingError
from training.experiment import ExperimentOptions, choose_recipe
from training.label_runs import (
    PASSES,
    label_recipe,
    plan_dynamics,
    plan_folds,
    plan_label_runs,
    probability_frame,
    read_dynamics,
    read_folds,
    table_folds,
)
from training.probabilities import OutOfFold

OPTIONS = ExperimentOptions(steps=60, batch_size=20, device="cpu")


def folds_of_images(cache: Path, workers: int) -> OutOfFold:
    """Three folds of the small images, whose first ten labels are wrong."""
    runs = plan_folds(bars(), 3, OPTIONS)
    return read_folds(runs, runs.train(cache, workers, None))


def test_each_fold_is_held_out_by_one_arm() -> None:
    """The folds' arms leave out each train sample once, and ask about val and test beside it."""
    data = bars()
    raw = raw_arm(data)
    arms = [Arms(raw, raw).draw(name, 0) for name in fold_names(4)]
    for arm in arms:
        guard_arm(data, arm)
    left_out = np.stack([~arm.keep for arm in arms])
    assert (left_out.sum(axis=0) == 1).all()
    assert np.array_equal(left_out.argmax(axis=0), assign_folds(raw.keep.size, 4))
    asked = held_out_rows(data, arms[0])
    assert asked is not None
    assert asked.size == left_out[0].sum() + 40
    assert held_out_rows(data, raw) is None


def test_wrong_labels_are_not_believed_out_of_fold(tmp_path: Path) -> None:
    """A network that never saw a wrong label gives it less than nearly every right one."""
    data, scored = bars(), folds_of_images(tmp_path, 1)
    own = scored.probs[np.arange(120), data.labels[:120]]
    assert np.median(own[:10]) < np.quantile(own[10:], 0.1)
    assert np.allclose(scored.probs.sum(axis=1), 1, atol=1e-5)
    assert set(scored.fold[:120]) == {0, 1, 2}
    assert (scored.fold[120:] == -1).all()
    hits = scored.probs[120:].argmax(axis=1) == data.labels[120:]
    assert hits.mean() > 0.9


def test_workers_change_nothing(tmp_path: Path) -> None:
    """Two processes leave the dynamics and the probabilities that this one leaves alone."""
    runs = plan_label_runs(bars(), ["raw", "fold:0/2"], OPTIONS)
    alone, spread = (runs.train(tmp_path / str(count), count, None) for count in (1, 2))
    assert [part.shape for part in alone] == [(120, 6), (60 + 40, 2)]
    assert all(np.array_equal(one, other) for one, other in zip(alone, spread, strict=True))


def test_probabilities_become_a_long_table(tmp_path: Path) -> None:
    """Each sample has a row for each class, and they sum to 1 as far as they are rounded."""
    table = probability_frame(folds_of_images(tmp_path, 1), ("up", "flat"))
    assert table.height == 320
    sums = table.group_by("sample_id").agg(pl.col("prob").sum())
    assert (sums["prob"] - 1).abs().max() < 2e-4


def test_one_raw_run_makes_the_table(tmp_path: Path) -> None:
    """The table has a row for every train sample, sorted, and a second call trains nothing."""
    data = bars()
    runs = plan_dynamics(data, OPTIONS)
    first = read_dynamics(runs, runs.train(tmp_path, 1, None))
    (made,) = tmp_path.glob("*.npz")
    before = made.stat().st_mtime_ns
    assert first["sample_id"].to_list() == sorted(data.keys[data.train].tolist())
    assert read_dynamics(runs, runs.train(tmp_path, 1, None)).equals(first)
    assert made.stat().st_mtime_ns == before


def test_a_label_that_changes_is_another_run() -> None:
    """Runs are named by what they are trained on: one label less is another digest."""
    data, other = bars(), bars(wrong=9)
    digests = {plan_dynamics(one, OPTIONS).jobs[0].digest for one in (data, other, bars())}
    assert len(digests) == 2


def test_runs_for_labels_take_their_passes() -> None:
    """Over images the recipe goes often, unless the steps are set; a table's stays as it is."""
    data = bars(3000)
    plain = label_recipe(data, ExperimentOptions())
    assert plain.steps * plain.batch_size >= PASSES * data.train.size
    assert label_recipe(data, OPTIONS).steps == 60
    table, few = clouds(2000), ExperimentOptions()
    assert label_recipe(table, few).steps == choose_recipe(table, "train", few).steps


def test_folds_of_a_table_use_its_categories() -> None:
    """A table's folds are scored by heads; every labelled sample gets probabilities."""
    data = clouds()
    scored = table_folds(data, 3)
    own = scored.probs[np.arange(200), data.labels[:200]]
    assert np.median(own[:20]) < np.quantile(own[20:], 0.2)
    assert scored.keys.size == 400


def test_what_cannot_be_trained_is_refused() -> None:
    """One class, or more folds than samples, is one clear error."""
    data = bars()
    with pytest.raises(TrainingError, match="fewer training samples than folds"):
        plan_folds(data, 121, OPTIONS)
    data.labels[:] = 1
    with pytest.raises(TrainingError, match="two classes"):
        plan_dynamics(data, OPTIONS)
