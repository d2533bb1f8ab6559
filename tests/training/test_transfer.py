"""Weights from elsewhere: read without running code, taken where they fit, learnt on other rows."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.training.test_trainer_runs import CPU, RECIPE, bars
from training.arms import Arms, raw_arm
from training.errors import TrainingError
from training.jobs import Place, plan_jobs, run_jobs
from training.learner import Learner
from training.models import Net, build
from training.transfer import as_channels, count_fitting, learn_weights, name_weights
from training.weights import (
    body,
    digest_file,
    fitting,
    place_of,
    read_start,
    read_weights,
    take_over,
    write_weights,
)

SHORT = replace(RECIPE, steps=12, evals=2)
FOREIGN = {  # names of torchvision's ResNet-18, and ours
    "conv1.weight": "stem.weight", "bn1.running_mean": "norm.running_mean",
    "layer1.0.conv1.weight": "blocks.0.first.weight",
    "layer1.1.bn2.bias": "blocks.1.norms.1.bias",
    "layer4.1.conv2.weight": "blocks.7.second.weight",
    "layer2.0.downsample.0.weight": "blocks.2.shortcut.0.weight",
    "layer3.0.downsample.1.running_var": "blocks.4.shortcut.1.running_var",
}  # fmt: skip


def _safe(tensors: dict[str, Tensor]) -> bytes:
    """The format of safetensors, written by hand."""
    kinds = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    header: dict[str, object] = {"__metadata__": {"made": "by hand"}}
    body, at = b"", 0
    for name, tensor in tensors.items():
        raw = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(raw)]}  # fmt: skip
        body, at = body + raw, at + len(raw)
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + body


def test_both_kinds_of_file_give_the_same_tensors(tmp_path: Path) -> None:
    """What is written is read back, in float32, whatever the floats it was written in."""
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([0.5, -2.0])}
    write_weights(tmp_path / "x.npz", tensors)
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        (tmp_path / "x.safetensors").write_bytes(_safe({n: t.to(kind) for n, t in tensors.items()}))
        for name in ("x.npz", "x.safetensors"):
            told = read_weights(tmp_path / name)
            assert told.keys() == tensors.keys()
            for key, tensor in told.items():
                assert tensor.dtype == torch.float32
                assert torch.equal(tensor, tensors[key])


@given(st.binary(max_size=200), st.integers(0, 90))
def test_a_damaged_file_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int
) -> None:
    """Noise, and a file cut short anywhere, is refused as unreadable, by a TrainingError alone."""
    folder = tmp_path_factory.mktemp("damaged")
    whole = _safe({"a": torch.ones(4)})
    for content in (noise, whole[: len(whole) - 1 - cut], struct.pack("<Q", len(noise)) + noise):
        for name in ("x.npz", "x.safetensors"):
            (folder / name).write_bytes(content)
            with pytest.raises(TrainingError, match=r"weights: "):
                read_weights(folder / name)


def test_what_could_hold_code_is_not_opened(tmp_path: Path) -> None:
    """A pickled checkpoint is refused by its kind, an array of objects as unreadable."""
    torch.save({"a": torch.ones(1)}, tmp_path / "x.pt")
    with pytest.raises(TrainingError, match=r"without running code.*'x.pt'.*\.npz, \.safetensors"):
        read_weights(tmp_path / "x.pt")
    np.savez(tmp_path / "y.npz", a=np.array([print], dtype=object))
    with pytest.raises(TrainingError, match="cannot be read"):
        read_weights(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", a=np.arange(3))
    with pytest.raises(TrainingError, match="no floating tensor"):
        read_weights(tmp_path / "z.npz")
    with pytest.raises(TrainingError, match="cannot be read"):
        digest_file(tmp_path / "absent")


def test_torchvisions_names_become_ours(tmp_path: Path) -> None:
    """Every name of its ResNet-18 that was tried is the one of our network's tensor."""
    ours = body(build(torch.zeros(24, 3, 2, 2), 5, 0, CPU, Net("resnet18", width=8)))
    write_weights(tmp_path / "x.npz", {name: torch.zeros(1) for name in FOREIGN})
    assert list(read_weights(tmp_path / "x.npz")) == list(FOREIGN.values())
    assert set(FOREIGN.values()) <= set(ours)


@pytest.mark.parametrize("net", [Net(widths=(8, 16)), Net("resnet18", width=8)], ids=repr)
def test_weights_are_taken_where_they_fit(net: Net) -> None:
    """All but the head comes over; of another shape or name nothing does."""
    filters = torch.rand(24, 3, 2, 2)
    one, other = (build(filters, 5, seed, CPU, net) for seed in (0, 1))
    told = {name: tensor.clone() for name, tensor in one.state_dict().items()}
    assert fitting(other, told) == list(body(other))
    head = other.head.weight.clone()
    take_over(other, told)
    for name, tensor in body(other).items():
        assert torch.equal(tensor, told[name])
    assert torch.equal(other.head.weight, head)
    wider = build(filters, 5, 1, CPU, replace(net, width=16, widths=(12, 20)))
    assert set(fitting(wider, told)) <= {"whiten.weight"}


def test_a_network_goes_on_from_what_it_learnt(tmp_path: Path) -> None:
    """From its own rows' weights, a new head soon beats a network that starts anew; frozen too."""
    data = bars()
    arms = Arms(raw_arm(data), replace(raw_arm(data), name="cleaned"))
    long = replace(SHORT, steps=40)
    digest = name_weights(data, arms, long, CPU)
    write_weights(place_of(tmp_path, digest), learn_weights(data, arms, long, CPU))
    fits, of = count_fitting(read_weights(place_of(tmp_path, digest)), data, SHORT)
    assert fits == of > 10
    started = replace(SHORT, start=digest)
    frozen = replace(started, freeze=(0.0, 0.0, 0.0))
    place = Place(tmp_path, 1, CPU)
    runs = {}
    for name, recipe in (("own", SHORT), ("started", started), ("frozen", frozen)):
        jobs = plan_jobs(data, arms, recipe, [("raw", 0)], CPU)
        runs[name] = run_jobs(data, arms, jobs, place)[0]
    assert runs["own"].val_nll[-1] > 1.5 * runs["started"].val_nll[-1]
    assert runs["own"].val_nll[-1] > 1.5 * runs["frozen"].val_nll[-1]
    assert runs["started"].val_nll[0] == runs["frozen"].val_nll[0] != runs["own"].val_nll[0]


def test_weights_that_are_not_there_are_missed(tmp_path: Path) -> None:
    """A recipe whose start was not handed over, or is not in the folder, is refused."""
    with pytest.raises(TrainingError, match=r"recipe.start: these weights are not here"):
        Learner(torch.zeros(8, 1, 2, 2), 2, 0, replace(SHORT, start="ab"), CPU)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_start(tmp_path, "ab")
    assert read_start(tmp_path, "") is None
    with pytest.raises(TrainingError, match=r"no tensor fits the network 'small' \(got \['x'\]\)"):
        count_fitting({"x": torch.zeros(1)}, bars(), SHORT)


def test_channels_are_made_alike() -> None:
    """Grey becomes three alike, colours become their luma."""
    grey = bars(n=110, channels=1)
    assert grey.images is not None
    wide = as_channels(grey, 3)
    assert wide.images is not None
    assert (wide.images == grey.images).all()
    back = as_channels(wide, 1)
    assert np.array_equal(back.images, grey.images)
