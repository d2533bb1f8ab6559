import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import bars
from training.arms import TrainingData, raw_arm
from training.errors import DivergedError, TrainingError
from training.experiment import ExperimentOptions, choose_recipe, tier_data
from training.heads import Rows, train_heads
from training.limits import RECIPE, Range
from training.models import Net
from training.recipe import Recipe
from training.trainer import Pictures, Run, train

CPU = torch.device("cpu")
PLAIN = Recipe("train", 20, 32, 0.05, 5e-4, evals=4, net=Net(widths=(8, 16)))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("optimiser", "Muon", "Choices: sgd, muon; the nearest is muon."),
        ("optimiser", "adam", "Choices: sgd, muon."),
        ("label_smoothing", 2, "From 0 to below 1; the nearest is just below 1."),
        ("translate_px", 50, "Whole numbers from 0 to 7; the nearest is 7."),
        ("translate_px", 1.5, "the nearest is 2."),
        ("lr", "x", "Above 0 to 100."),
        ("lr", -1, "the nearest is just above 0."),
        ("lr", float("nan"), "Above 0 to 100."),
        ("lr", float("inf"), "the nearest is 100."),
        ("steps", 0, "Whole numbers from 1; the nearest is 1."),
        ("steps", -5, "the nearest is 1."),
        ("batch_size", 0, "the nearest is 2."),
        ("weight_decay", -0.1, "the nearest is 0."),
        ("evals", -1, "the nearest is 1."),
        ("ema_share", -1, "the nearest is just above 0."),
        ("hardest", 2, "the nearest is 1."),
        ("members", True, "Whole numbers from 1 to 256."),
        ("flip", 1, "Choices: False, True."),
        ("net", 5, "A Net"),
        ("freeze", 0.5, "From 0 to 1, none below the one before, as a tuple."),
        ("freeze", (0.5, 0.2), "none below the one before"),
        ("sparsity", "a", "From 0 to below 1."),
    ],
)
def test_what_no_recipe_can_be_is_one_sentence(field: str, value: Any, said: str) -> None:
    """A wrong value, in kind or range, is refused with the place, the value and what comes next."""
    for make in (lambda told: replace(PLAIN, **told), PLAIN.change):
        with pytest.raises(TrainingError) as refused:
            make({field: value})
        assert str(refused.value).startswith(f"recipe.{field}: cannot be (got {value!r}). ")
        assert said in str(refused.value)


@given(st.sampled_from(sorted(RECIPE)), st.floats() | st.integers(), st.data())
def test_the_nearest_value_can_be(name: str, value: float, data: st.DataObject) -> None:
    """What a sentence calls nearest is allowed, or is the end that a range stops short of."""
    limit = RECIPE[name]
    if not isinstance(limit, Range) or limit.holds(value) or not (near := limit.nearest(value)):
        return
    end = float(near.removeprefix("just above ").removeprefix("just below "))
    if limit.whole:
        end = int(end)
    inside = data.draw(st.floats(1e-9, 1e-3)) if near.startswith("just") else 0
    assert limit.holds(end - inside if near.startswith("just below") else end + inside)


IMAGES = {"flip": True, "translate_px": 1, "net": {"convs": 3}, "freeze": (0.0,), "layout": "nchw",
          "precision": "bf16", "engine": "graphs", "optimiser": "muon"}  # fmt: skip
TABLES = {"hidden": 9, "embedding": 4, "members": 3, "layers": 1}


@pytest.mark.parametrize("tier", ["probe", "train"])
@pytest.mark.parametrize(
    ("data", "own", "other"), [(clouds(), TABLES, IMAGES), (bars(120), IMAGES, TABLES)]
)
def test_keys_of_the_other_kind_are_refused(
    data: TrainingData, own: dict[str, Any], other: dict[str, Any], tier: str
) -> None:
    """A key that such networks do not read is refused, before any tier has trained."""
    choose_recipe(data, tier, ExperimentOptions(recipe=own))
    for name, value in other.items():
        with pytest.raises(TrainingError, match=rf"recipe\.{name}: changes nothing here \(got"):
            choose_recipe(data, tier, ExperimentOptions(recipe={"lr": 0.1, name: value}))


def test_muon_on_a_table_is_refused() -> None:
    """A table's networks learn by AdamW, whatever [training] optimiser says."""
    with pytest.raises(TrainingError, match=r"recipe\.optimiser: changes nothing here"):
        choose_recipe(clouds(), "train", ExperimentOptions(optimiser="muon"))
    assert (
        choose_recipe(bars(120), "train", ExperimentOptions(optimiser="muon")).optimiser == "muon"
    )


@pytest.mark.parametrize(("name", "key"), [("resnet18", "convs"), ("small", "width")])
def test_keys_of_the_other_network_are_refused(name: str, key: str) -> None:
    """The small network has no first width, a resnet no count of convolutions."""
    told = {"net": {"name": name, key: 2}}
    with pytest.raises(TrainingError, match=rf"recipe\.net\.{key}: changes nothing here"):
        choose_recipe(bars(120), "train", ExperimentOptions(recipe=told))


def test_images_lose_less_than_all_of_a_weight_in_a_step() -> None:
    """Decay of 1 and more is a table's alone: a network of images would be all decay."""
    told = ExperimentOptions(recipe={"weight_decay": 1.0})
    assert choose_recipe(clouds(), "train", told).weight_decay == 1
    with pytest.raises(TrainingError, match=r"recipe.weight_decay: .* just below 1"):
        choose_recipe(bars(120), "train", told)
    with pytest.raises(TrainingError, match=r"recipe.weight_decay: .* just below 1"):
        _train(replace(PLAIN, weight_decay=3.0))


def _train(recipe: Recipe) -> Run:
    torch.set_num_threads(1)
    data = bars(140, side=16)
    return train(Pictures(data, CPU), raw_arm(data), 7, recipe)


def test_a_diverged_network_says_so() -> None:
    """A loss that is no number ends the run with its arm, seed and step, not with chance."""
    with pytest.raises(DivergedError, match=r"arm raw, seed 7, step \d+: .* Lower lr") as lost:
        _train(replace(PLAIN, lr=100, steps=120, evals=20))
    assert str(pickle.loads(pickle.dumps(lost.value))) == str(lost.value)  # noqa: S301 - ours


def test_a_diverged_head_says_which() -> None:
    """Of heads that learn together the one whose loss is no number is named."""
    torch.set_num_threads(1)
    data = clouds()
    spoiled = data.numbers.copy() if data.numbers is not None else np.zeros(0)
    row = data.train[5]
    spoiled[row] = np.inf
    raw = raw_arm(data)
    spared = replace(raw, name="cleaned", keep=data.train != row)
    recipe = Recipe("train", 60, 128, 1e-3, 0.1, evals=6, hidden=8)
    rows = Rows(replace(data, numbers=spoiled), CPU)
    with pytest.raises(DivergedError, match="arm raw, seed 4"):
        train_heads(rows, [(spared, 3), (raw, 4)], recipe)


def _categories(numbers: int) -> TrainingData:
    """Rows whose label is a function of one category; the numbers are noise."""
    rng, n = np.random.default_rng(0), 900
    codes = rng.integers(0, 6, (n, 1))
    return TrainingData(
        "table", ("a", "b"), np.arange(n).astype(str), (codes[:, 0] >= 3).astype(np.int64),
        np.repeat([0, 1, 2], [500, 200, 200]).astype(np.int8), None,
        rng.normal(size=(n, numbers)).astype(np.float32), codes, (6,),
    )  # fmt: skip


@pytest.mark.parametrize("numbers", [0, 2])
@pytest.mark.parametrize("members", [1, 3])
def test_without_vectors_categories_are_read_as_indicators(numbers: int, members: int) -> None:
    """`embedding = 0` learns what the default learns of a category, even where it is all there."""
    torch.set_num_threads(1)
    options = ExperimentOptions(
        recipe={"embedding": 0, "members": members}, steps=150, batch_size=64
    )
    data = tier_data(_categories(numbers), "train", options)
    recipe = choose_recipe(data, "train", options)
    assert recipe.embedding == 0
    run = train_heads(Rows(data, CPU), [(raw_arm(data), 0)], recipe)[0]
    assert (run.test_pred == data.labels[data.rows_of(2)]).mean() == 1
    assert tier_data(_categories(1), "train", ExperimentOptions()).levels == (6,)
