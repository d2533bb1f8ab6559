from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.test_trainer_runs import CPU, RECIPE, bars
from training.arms import raw_arm
from training.augment import dropout_scale
from training.errors import TrainingError
from training.models import Net, build, whitening_filters
from training.optim import warm_up, wind_down
from training.recipe import Recipe
from training.resnet import ResNet18
from training.trainer import Pictures, train


def _weights(net: Net, channels: int = 3) -> int:
    filters = torch.rand(8 * channels, channels, 2, 2)
    made = build(filters, 10, 0, CPU, net)
    return sum(p.numel() for p in made.parameters() if p.requires_grad)


def test_the_default_network_is_the_one_of_the_claims() -> None:
    """76 thousand weights at three channels, 11.2 million of a ResNet-18 but for its head."""
    assert 74_000 < _weights(Net()) < 78_000
    assert _weights(Net("resnet18")) - 512 * 10 - 10 == 11_176_512


@pytest.mark.parametrize(
    "net",
    [
        Net(widths=(8,)), Net(widths=(8, 12, 16, 24)), Net(convs=1), Net(convs=3, residual=True),
        Net(norm="group"), Net(stride=1, dirac=True), Net("resnet18", width=8),
        Net("resnet18", width=16, norm="group"),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("side", [32, 64])
def test_every_network_of_the_family_computes_and_learns(net: Net, side: int) -> None:
    """Logits come out finite, and every trained weight gets a gradient."""
    images = torch.randn(4, 3, side, side)
    made = build(whitening_filters(images), 5, 0, CPU, net)
    logits = made(images, torch.ones(4, made.head.in_features))
    logits.square().sum().backward()
    assert logits.shape == (4, 5)
    assert logits.isfinite().all()
    assert all(p.grad is not None for p in made.parameters() if p.requires_grad)


def test_a_photo_network_takes_photos() -> None:
    """A ResNet-18 takes 224 px, and each stage halves the side."""
    made = build(torch.rand(24, 3, 2, 2), 5, 0, CPU, Net("resnet18", width=8))
    assert isinstance(made, ResNet18)
    assert made(torch.randn(2, 3, 224, 224)).shape == (2, 5)
    stem = torch.nn.functional.max_pool2d(made.stem(torch.randn(1, 3, 224, 224)), 3, 2, 1)
    assert stem.shape[2:] == (56, 56)
    assert made.blocks(stem).shape[2:] == (7, 7)


def test_group_norm_keeps_samples_apart() -> None:
    """With group norm a sample's logits in training do not depend on its batch; else they do."""
    images = torch.randn(6, 3, 32, 32)
    for kind in ("group", "batch"):
        made = build(whitening_filters(images), 4, 0, CPU, Net(norm=kind)).train()
        same = torch.allclose(made(images)[:2], made(images[:2]), atol=1e-5)
        assert same == (kind == "group")


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "vit"), ("widths", ()), ("convs", 0), ("width", 0), ("norm", "layer"),
     ("stride", 3), ("dropout", 1.0)],
)  # fmt: skip
def test_impossible_networks_are_refused(field: str, value: object) -> None:
    """The error names the field, the value and what is allowed."""
    with pytest.raises(TrainingError, match=rf"recipe.net.{field}: cannot be \(got"):
        replace(Net(), **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("schedule", "cosine"), ("layout", "nhwc"), ("precision", "fp8"), ("engine", "jit"),
     ("members", 0), ("decay_share", 1.0)],
)  # fmt: skip
def test_unknown_choices_of_a_recipe_are_refused(field: str, value: object) -> None:
    """The error names the field, the value and what is allowed."""
    with pytest.raises(TrainingError, match=rf"recipe.{field}: .* \(got {value!r}\)"):
        replace(RECIPE, **{field: value})


@given(st.integers(0, 50), st.integers(0, 5), st.floats(0.01, 0.9))
def test_dropout_belongs_to_the_sample(seed: int, epoch: int, rate: float) -> None:
    """A sample loses the same features wherever it stands; the mean over many stays one."""
    ids, epochs = np.arange(200), np.full(200, epoch)
    whole = dropout_scale(ids, epochs, seed, 64, rate)
    some = np.array([7, 3])
    assert np.array_equal(dropout_scale(some, epochs[:2], seed, 64, rate), whole[some])
    assert not np.array_equal(whole, dropout_scale(ids, epochs + 1, seed, 64, rate))
    assert abs((whole == 0).mean() - rate) < 0.03


def test_dropout_changes_training_and_not_evaluation() -> None:
    """At step 0 the curve is the same with and without it, later it is not."""
    data = bars()
    pictures, arm = Pictures(data, CPU), raw_arm(data)
    short = replace(RECIPE, steps=6, evals=1)
    without, dropped = (
        train(pictures, arm, 0, replace(short, net=Net(dropout=rate))) for rate in (0.0, 0.5)
    )
    assert without.val_nll[0] == dropped.val_nll[0]
    assert without.val_nll[-1] != dropped.val_nll[-1]


@given(st.integers(2, 5000), st.floats(0.05, 0.9))
def test_the_decay_ends_at_nothing_and_starts_late(steps: int, share: float) -> None:
    """Winding down leaves the stable phase as it is, then only falls, to at most one part of it."""
    factors = [wind_down(step, steps, share) for step in range(steps)]
    stable = Recipe("t", steps, 8, 0.1, 0.0, schedule="wsd", decay_share=share).stable_steps
    assert factors[: max(0, stable - 1)] == [warm_up(s, steps) for s in range(max(0, stable - 1))]
    assert all(0 < factor <= 1 for factor in factors)
    assert all(a >= b for a, b in zip(factors[stable:], factors[stable + 1 :], strict=False))
    assert factors[-1] <= max(1 / max(1.0, share * steps), factors[0])


def test_curves_end_before_the_decay() -> None:
    """The curve of a decayed run is that of the same steps at a constant rate; its test is not."""
    data = bars()
    pictures, arm = Pictures(data, CPU), raw_arm(data)
    torch.set_num_threads(1)
    constant = train(pictures, arm, 0, replace(RECIPE, steps=40, evals=4))
    decayed = train(
        pictures, arm, 0, replace(RECIPE, steps=40, evals=4, schedule="wsd", decay_share=0.25)
    )
    assert decayed.steps.tolist() == [0, 8, 15, 22, 30]
    assert constant.val_nll[0] == decayed.val_nll[0]
    assert constant.test_nll != decayed.test_nll
