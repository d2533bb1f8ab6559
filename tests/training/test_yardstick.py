from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import bars
from training.arms import Arms, raw_arm
from training.errors import TrainingError
from training.experiment import ExperimentOptions, choose_recipe, compare
from training.store_arms import Comparison
from training.yardstick import measure_yardstick


def _comparison() -> Comparison:
    data = clouds(flipped=0.45)
    raw = raw_arm(data)
    assert data.true_labels is not None
    right = raw.labels == data.true_labels[data.train]
    return Comparison(data, Arms(raw, replace(raw, name="cleaned", keep=right)))


def test_trees_gain_from_labels_set_right() -> None:
    """Without the flipped labels trees do better, and the interval of the gain says so."""
    one = _comparison()
    told = measure_yardstick(one.data, [one.arms.raw, one.arms.cleaned])
    assert told["raw"]["gain"] == 0
    assert told["cleaned"]["gain_low"] > 0
    assert told["cleaned"]["low"] < told["cleaned"]["accuracy"] < told["cleaned"]["high"]
    gain = told["cleaned"]["accuracy"] - told["raw"]["accuracy"]
    assert told["cleaned"]["gain"] == pytest.approx(gain)
    assert told == measure_yardstick(one.data, [one.arms.raw, one.arms.cleaned])


def test_weights_of_zero_are_as_good_as_dropping() -> None:
    """Trees that weigh the flipped labels at nothing predict as those that never saw them."""
    one = _comparison()
    kept = one.arms.cleaned
    weighed = replace(
        kept, name="weighed", keep=one.arms.raw.keep, weights=kept.keep.astype(np.float32)
    )
    told = measure_yardstick(one.data, [one.arms.raw, kept, weighed])
    assert told["weighed"]["accuracy"] == pytest.approx(told["cleaned"]["accuracy"], abs=0.04)


def test_the_report_tells_the_yardstick_among_the_facts(tmp_path: Path) -> None:
    """It is there for every arm with rows of its own, and the headline knows nothing of it."""
    small = ExperimentOptions(
        tiers=("train",), seeds=2, pilots=1, steps=4, device="cpu", workers=1,
        recipe={"members": 3, "schedule": "wsd"},
    )  # fmt: skip
    plain = compare(_comparison(), small, tmp_path).report
    told = compare(_comparison(), replace(small, yardstick=True), tmp_path).report
    assert set(told["facts"]["yardstick"]) == {"raw", "cleaned", "random_drop"}
    assert "yardstick" not in plain["facts"]
    assert told["verdict"] == plain["verdict"]


def test_the_report_tells_the_recipe_that_was_read(tmp_path: Path) -> None:
    """Beside a table's effects stands what its networks read, and nothing of images."""
    small = ExperimentOptions(
        tiers=("train",), seeds=2, pilots=1, steps=4, device="cpu", workers=1,
        recipe={"members": 3},
    )  # fmt: skip
    recipe = compare(_comparison(), small, tmp_path).report["tiers"]["train"]["recipe"]
    assert recipe["members"] == 3
    assert not {"optimiser", "flip", "precision", "net"} & set(recipe)


def test_recipes_are_changed_by_name() -> None:
    """A field that no recipe has is refused, also one of the network."""
    data, images = clouds(), bars(120)
    for strange, where in (({"epochs": 3}, "recipe"), ({"net": {"depth": 3}}, "recipe.net")):
        with pytest.raises(TrainingError, match=f"{where}: has no such field"):
            choose_recipe(images, "train", ExperimentOptions(recipe=strange))
    chosen = choose_recipe(data, "train", ExperimentOptions(recipe={"lr": 0.5}))
    assert chosen.lr == 0.5
