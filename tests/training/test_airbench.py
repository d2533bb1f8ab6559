from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from bench import airbench
from bench.airbench_recipe import Airbench, Reference, as_published
from tests.training.test_trainer_runs import CPU, bars
from training.jobs import repeatable
from training.trainer import Pictures


@pytest.fixture(scope="module")
def reference() -> Reference:
    """The published network on a few images."""
    return Reference(Pictures(bars(n=140, side=32, channels=3), CPU))


def _train(reference: Reference, seed: int) -> dict[str, torch.Tensor]:
    reference.reset(seed)
    reference.train(epochs=1, batch=20)
    return {name: one.clone() for name, one in reference.net.state_dict().items()}


def test_one_network_taken_back_is_as_good_as_a_new_one(reference: Reference) -> None:
    """Whatever it was trained to before, a seed gives the same run, in the same memory."""
    places = [weight.data_ptr() for weight in reference.net.parameters()]
    first, other = (_train(reference, seed) for seed in (3, 4))
    again, new = _train(reference, 3), _train(Reference(reference.pictures), 3)
    assert places == [weight.data_ptr() for weight in reference.net.parameters()]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(torch.equal(first[name], new[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_a_bias_that_learns_no_more_costs_nothing(reference: Reference) -> None:
    """The logits are the same, and nothing is computed backwards through the whitening."""
    net = Airbench(reference.pictures.standard.filters, 2)
    images = torch.rand(4, 3, 32, 32)
    assert torch.equal(net(images), net(images, False))
    net(images, False).sum().backward()
    assert net.whiten.bias.grad is None
    net(images).sum().backward()
    assert net.whiten.bias.grad is not None


def test_the_published_recipe_need_not_repeat_its_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deterministic kernels, which ours are held to, are off for it, and on again afterwards."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with repeatable(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
        with as_published():
            assert not torch.are_deterministic_algorithms_enabled()
            assert torch.backends.cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark


def test_without_a_device_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """It says that there is none, and records no figure."""
    with patch.object(torch.cuda, "is_available", lambda: False):
        airbench.main()
    told = capsys.readouterr()
    assert told.out == ""
    assert "no CUDA device" in told.err
