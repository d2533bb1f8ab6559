from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training import standard
from training.arms import Arm, TrainingData, raw_arm
from training.augment import augment, keyed_bits
from training.models import SmallNet, build, whitening_filters
from training.optim import AdamW, Average, Muon, Nesterov, orthogonal
from training.recipe import Recipe
from training.standard import Standard
from training.trainer import Pictures, chunk_rows, train

CPU = torch.device("cpu")


def bars(n: int = 260, side: int = 28, channels: int = 1) -> TrainingData:
    """Images of a bright upright or lying bar at a random place, easy to tell apart."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 60, (n, channels, side, side), dtype=np.uint8)
    for at, (label, place) in enumerate(zip(labels, rng.integers(4, side - 6, n), strict=True)):
        cut = (slice(None), slice(place, place + 3)) if label else (..., slice(place, place + 3))
        images[at][cut] = 220
    split = np.repeat([0, 1, 2], [n - 100, 50, 50]).astype(np.int8)
    return TrainingData("image", ("up", "flat"), np.arange(n).astype(str), labels, split, images)


RECIPE = Recipe("train", 40, 32, 0.05, 5e-4, evals=4)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """The same images for every test here."""
    return bars()


def test_the_network_learns_and_the_same_seed_gives_the_same_run(data: TrainingData) -> None:
    """On one CPU thread a run is a function of arm, seed and recipe, bit for bit."""
    torch.set_num_threads(1)
    runs = [train(Pictures(data, CPU), raw_arm(data), seed, RECIPE) for seed in (3, 3, 4)]
    assert runs[0].val_acc[-1] > 0.9
    assert runs[0].steps.tolist() == [0, 10, 20, 30, 40]
    assert np.array_equal(runs[0].val_nll, runs[1].val_nll)
    assert np.array_equal(runs[0].test_pred, runs[1].test_pred)
    assert not np.array_equal(runs[0].val_nll, runs[2].val_nll)


def test_paired_arms_start_from_the_same_network(data: TrainingData) -> None:
    """At step 0 raw and cleaned give the same curve value, raw_again another one."""
    raw = raw_arm(data)
    cleaned = Arm("cleaned", np.arange(raw.keep.size) > 20, raw.weights, raw.labels, raw.rows)
    short = replace(RECIPE, steps=2, evals=1)
    pictures = Pictures(data, CPU)
    first = {
        arm.name: train(pictures, arm, 0, short).val_nll[0]
        for arm in (raw, cleaned, replace(raw, name="raw_again"))
    }
    assert first["raw"] == first["cleaned"] != first["raw_again"]


def test_muon_trains_too(data: TrainingData) -> None:
    """The Muon option learns the same task."""
    run = train(Pictures(data, CPU), raw_arm(data), 0, replace(RECIPE, optimiser="muon"))
    assert run.val_acc[-1] > 0.9


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (3, 64), (1, 17)])
def test_the_network_takes_one_or_three_channels_and_usual_sizes(channels: int, side: int) -> None:
    """Logits come out for every channel count and side length that we promise."""
    images = torch.rand(6, channels, side, side)
    net = build(whitening_filters(images), 5, 0, CPU)
    assert isinstance(net, SmallNet)
    assert net(images).shape == (6, 5)


def test_whitened_patches_are_white() -> None:
    """The frozen first layer's responses have unit variance and no correlation."""
    images = torch.rand(500, 1, 28, 28)
    filters = whitening_filters(images, eps=0.0)
    responses = torch.nn.functional.conv2d(images, filters[:4], stride=2)
    cov = torch.cov(responses.transpose(0, 1).flatten(1))
    assert torch.allclose(cov, torch.eye(4), atol=0.05)


def test_building_a_network_leaves_the_global_generator_alone() -> None:
    """Initialisation is keyed by its seed and has no side effect."""
    filters = torch.rand(4, 1, 2, 2)
    before = torch.random.get_rng_state()
    build(filters, 3, 0, CPU)
    assert torch.equal(before, torch.random.get_rng_state())


def test_augmentation_belongs_to_the_sample_not_to_its_place() -> None:
    """A sample is moved and mirrored alike in whatever batch it comes, and anew each epoch."""
    images = torch.rand(8, 1, 12, 12)
    ids, epochs = np.arange(8), np.zeros(8, np.int64)
    whole = augment(images, ids, epochs, 3, translate_px=2, flip=True)
    some = np.array([5, 2])
    part = augment(images[some], ids[some], epochs[:2], 3, translate_px=2, flip=True)
    assert torch.equal(whole[some], part)
    assert not torch.equal(whole, augment(images, ids, epochs + 1, 3, translate_px=2, flip=True))


def test_mirroring_alternates_between_epochs() -> None:
    """Over two epochs every image is seen once each way round."""
    images = torch.rand(16, 1, 6, 6)
    ids = np.arange(16)
    sides = [augment(images, ids, np.full(16, e), 0, translate_px=0, flip=True) for e in range(2)]
    assert torch.equal(sides[0], sides[1].flip(3))


def test_keyed_bits_are_even() -> None:
    """Each bit of the keyed hash is set for about half of the ids."""
    bits = keyed_bits(0, 1, np.arange(4000))
    share = [float(((bits >> np.uint64(b)) & np.uint64(1)).mean()) for b in range(64)]
    assert max(abs(s - 0.5) for s in share) < 0.05


def test_optimisers_match_the_reference() -> None:
    """Our SGD and AdamW take the same steps as torch.optim's."""
    for ours, theirs in (
        (lambda w: Nesterov([w], 0.1, 0.0), torch.optim.SGD),
        (lambda w: AdamW([w], 0.1, 0.1), torch.optim.AdamW),
    ):
        mine, other = (torch.nn.Parameter(torch.arange(1.0, 5).view(2, 2)) for _ in range(2))
        extra = (
            {"momentum": 0.85, "nesterov": True}
            if theirs is torch.optim.SGD
            else {"weight_decay": 0.1, "betas": (0.9, 0.95)}
        )
        mover, reference = ours(mine), theirs([other], lr=0.1, **extra)
        for _ in range(5):
            (mine**2).sum().backward()
            (other**2).sum().backward()
            mover.step(1.0)
            reference.step()
            reference.zero_grad()
        assert torch.allclose(mine, other, atol=1e-5)


def test_muon_updates_are_near_orthogonal() -> None:
    """The Newton-Schulz steps bring all singular values of a random matrix near one."""
    values = torch.linalg.svdvals(orthogonal(torch.randn(8, 20), steps=6))
    assert values.min() > 0.6
    assert values.max() < 1.3
    weight = torch.nn.Parameter(torch.randn(4, 2, 3, 3))
    (weight**2).sum().backward()
    Muon([weight], 0.01).step(1.0)
    assert weight.grad is None


def test_averages_swap_in_and_out() -> None:
    """Reading the averaged weights leaves the live ones as they were."""
    weight = torch.zeros(3)
    average = Average([weight], 10)
    for _ in range(200):
        weight += 0.01
        average.update()
    live = weight.clone()
    average.swap()
    assert 0 < float(live[0] - weight[0]) < 0.2
    average.swap()
    assert torch.equal(weight, live)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_what_is_predicted_at_once_has_a_bound_in_pixels(height: int, width: int) -> None:
    """1,000 images up to 32 px a side; of larger ones as many as have their pixels, at least 1."""
    rows, pixels = chunk_rows(height, width), height * width
    assert 1 <= rows <= 1000
    assert rows == 1 or rows * pixels <= 1000 * 32 * 32
    assert rows == 1000 or (rows + 1) * pixels > 1000 * 32 * 32


def test_large_images_are_predicted_in_small_parts() -> None:
    """The parts of 300 photos of 96 px hold every row once, in order, and few at a time."""
    data = bars(n=300, side=96, channels=3)
    pictures, rows = Pictures(data, CPU), np.arange(300)[::-1].copy()
    parts = list(pictures.parts(rows))
    assert max(len(part) for part in parts) == chunk_rows(96, 96) == 111
    assert torch.equal(torch.cat(parts), pictures.batch(rows))


def test_what_is_fitted_on_photos_reads_no_more_than_on_small_images() -> None:
    """Mean, spread and filters come from all images, from an even share where pixels are many."""
    images = torch.randint(0, 255, (60, 3, 16, 16), dtype=torch.uint8)
    whole, sixth = (Standard.fit(part) for part in (images, images[::6].clone()))
    assert whole.mean.flatten().tolist() == pytest.approx(
        (images / 255).mean((0, 2, 3)).tolist(), abs=1e-6
    )
    with patch.object(standard, "_FIT_VALUES", images[:10].numel()):
        some = Standard.fit(images)
    assert torch.equal(some.filters, sixth.filters)
    assert not torch.equal(some.filters, whole.filters)
