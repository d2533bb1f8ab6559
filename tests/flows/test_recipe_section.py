from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.app.config import ConfigError, read_config
from flows.app.init_config import render
from flows.app.learning import plan_experiment
from flows.app.recipe_section import NetSection, RecipeSection
from flows.app.sections import TrainingSection
from flows.app.store import RunFolder
from training.limits import NET, RECIPE, Choice, Range
from training.models import Net
from training.recipe import Recipe

RIGHT = {"version": 1, "source": {"path": "photos"}}
OWN = {"tier", "steps", "batch_size", "optimiser", "start"}  # the tier's, or keys of [training]
NEW = {"recipe", "yardstick", "probe", "looks", "packed"}
PLAIN = Recipe("train", 40, 32, 0.05, 5e-4)


def mistakes(training: dict[str, Any]) -> list[str]:
    """Return the sentences about a [training] section like this."""
    with pytest.raises(ConfigError) as told:
        read_config({**RIGHT, "training": training})
    return told.value.lines


def test_keys_are_the_fields_of_the_recipe() -> None:
    """Every field of a recipe and of its network is a key with a description, and no other is."""
    for section, kind, own in ((RecipeSection, Recipe, OWN), (NetSection, Net, set())):
        known = {field.name for field in fields(kind)}
        assert set(section.model_fields) == known - own
        assert all(field.description for field in section.model_fields.values())
        assert all(field.default is None for field in section.model_fields.values())


def test_ranges_and_choices_are_those_of_the_trainer() -> None:
    """Every key that takes a value has a limit, and the section bounds it as the trainer does."""
    for section, limits, own in ((RecipeSection, RECIPE, OWN), (NetSection, NET, set())):
        assert set(section.model_fields) - {"net"} == set(limits) - own
        bounds = section.model_json_schema()["properties"]
        for name in set(limits) - own:
            limit, told = limits[name], bounds[name]["anyOf"][0]
            if isinstance(limit, Choice):
                assert limit.values == (False, True) or told["enum"] == list(limit.values)
            elif isinstance(limit, Range):
                assert told["exclusiveMinimum" if limit.above else "minimum"] == limit.least
                assert told["exclusiveMaximum" if limit.below else "maximum"] == limit.most
                assert told["type"] == ("integer" if limit.whole else "number")
            else:
                assert told["items"]["maximum"] == limit.each.most


values = st.one_of(
    st.integers(-2, 20), st.floats(-1, 3), st.booleans(),
    st.sampled_from(["small", "resnet18", "batch", "group", "wsd", "nchw", "bf16", "eager"]),
    st.lists(st.integers(0, 64), max_size=3),
)  # fmt: skip


@given(
    told=st.dictionaries(
        st.sampled_from(sorted(set(RecipeSection.model_fields) - {"net"})), values
    ),
    net=st.dictionaries(st.sampled_from(sorted(NetSection.model_fields)), values),
)
def test_what_the_configuration_takes_the_trainer_takes(
    told: dict[str, Any], net: dict[str, Any]
) -> None:
    """A recipe that passes the section is one that training accepts."""
    try:
        section = RecipeSection.model_validate({**told, "net": net})
    except ValidationError:
        return
    recipe = PLAIN.change(section.model_dump(exclude_none=True))
    assert len(recipe.eval_steps()) > 1


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"learning_rate": 0.1}, "training.recipe.learning_rate: Extra inputs are not permitted"),
        ({"hiden": 64}, "Did you mean 'hidden'?"),
        ({"net": {"drop_out": 0.1}}, "Did you mean 'dropout'?"),
        ({"lr": 0}, "training.recipe.lr: Input should be greater than 0 (got 0)"),
        ({"label_smoothing": 1}, "training.recipe.label_smoothing: Input should be less than 1"),
        ({"schedule": "cosine"}, "Input should be 'constant' or 'wsd' (got 'cosine')"),
        ({"net": {"widths": []}}, "training.recipe.net.widths: "),
        ({"net": {"widths": [16, 0]}}, "training.recipe.net.widths.1: "),
        ({"net": {"residual": True, "convs": 1}}, "residual = true needs convs of 2 or more"),
    ],
)
def test_wrong_recipes_are_refused_while_they_are_read(recipe: dict[str, Any], said: str) -> None:
    """A wrong name or value is one sentence with the place, the value and what is allowed."""
    (line,) = mistakes({"recipe": recipe})
    assert said in line


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"looks": [12, 6]}, "looks must rise, such as 6, 12, 24 (got [12, 6])"),
        ({"looks": [3, 6]}, "training.looks.0: Input should be greater than or equal to 5 (got 3)"),
        ({"probe": "always"}, "Input should be 'auto', 'on' or 'off'"),
        ({"packed": 0}, "training.packed: Input should be 'auto', 1, 2"),
    ],
)
def test_wrong_ways_of_training_are_refused(training: dict[str, Any], said: str) -> None:
    """Looks, probe and packing tell what they allow."""
    (line,) = mistakes(training)
    assert said in line


def test_packing_is_no_part_of_a_result() -> None:
    """How many processes share a GPU changes no run, so it starts none anew; looks do."""
    plain, packed, looked = (
        read_config({**RIGHT, "training": told}).section_digest("training")
        for told in ({}, {"packed": 2}, {"looks": [6, 12]})
    )
    assert plain == packed != looked


def test_a_first_configuration_lists_the_new_keys() -> None:
    """`gristmill init` writes every key of [training], each commented out, with its meaning."""
    facts = {"samples": 9, "classes": ["a", "b"], "smallest": 4, "splits": "by hash"}
    text = render("photos", {"kind": "image_folder"}, facts)
    for key, field in TrainingSection.model_fields.items():
        assert any(f"# {key} =" in line and str(field.description) in line
                   for line in text.splitlines())  # fmt: skip


@pytest.mark.parametrize(
    ("training", "asked"),
    [
        ({}, {"recipe": {}, "yardstick": None, "probe": None, "looks": (), "packed": None}),
        (
            {"recipe": {"members": 4, "net": {"convs": 3}}, "yardstick": "off", "probe": "on",
             "looks": [6, 12], "packed": 2},
            {"recipe": {"members": 4, "net": {"convs": 3}}, "yardstick": False, "probe": True,
             "looks": (6, 12), "packed": 2},
        ),
    ],
)  # fmt: skip
def test_the_experiment_is_asked_what_the_configuration_says(
    training: dict[str, Any], asked: dict[str, Any], tmp_path: Path
) -> None:
    """Each key reaches the experiment; auto leaves the choice to it."""
    config = read_config({**RIGHT, "training": {"image_size": 16, **training}})
    options = plan_experiment(config, RunFolder(tmp_path))
    assert {name: getattr(options, name) for name in asked} == asked
