import numpy as np
import pytest
import torch

from training.features import compute_features, probe_features, reduce, shape_and_colour

Images = np.ndarray


@pytest.fixture(scope="module")
def stripes() -> tuple[Images, np.ndarray]:
    """120 colour images of stripes that lie or stand, with their class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    wave = (np.arange(32) // 4 % 2 * 120).astype(np.uint8)
    images = rng.integers(0, 90, (120, 3, 32, 32), dtype=np.uint8)
    images[labels == 0] += wave[None, None, None, :]
    images[labels == 1] += wave[None, None, :, None]
    return images, labels


def test_features_tell_classes_apart_without_labels(stripes: tuple[Images, np.ndarray]) -> None:
    """A nearest-mean rule on the features separates stripes that it never saw."""
    images, labels = stripes
    features = compute_features(images, np.arange(60), block=32)
    means = np.stack([features[:60][labels[:60] == c].mean(axis=0) for c in range(2)])
    far = ((features[60:, None] - means) ** 2).sum(axis=2)
    assert (far.argmin(axis=1) == labels[60:]).mean() > 0.95
    assert features.shape == (120, 64)
    assert features.dtype == np.float32


def test_features_repeat_and_blocks_weigh_alike(stripes: tuple[Images, np.ndarray]) -> None:
    """The same images give the same features, and both blocks weigh 1 on the fit rows."""
    torch.set_num_threads(1)
    images, _ = stripes
    one, two = (compute_features(images, np.arange(60), block=32) for _ in range(2))
    assert np.array_equal(one, two)
    assert np.allclose([(one[:60, s] ** 2).sum(1).mean() for s in (slice(32), slice(32, 64))], 1)


def test_features_never_see_other_rows(stripes: tuple[Images, np.ndarray]) -> None:
    """What is fitted on the training rows does not change with the other rows' content."""
    images, _ = stripes
    other = images.copy()
    other[60:] = 255 - other[60:]
    kept = [compute_features(x, np.arange(60), block=16) for x in (images, other)]
    assert np.allclose(kept[0][:60], kept[1][:60], atol=1e-6)


def test_one_grey_channel_and_small_sides_work() -> None:
    """28 px grey images get features as well, and blank ones give no NaN."""
    images = np.zeros((20, 1, 28, 28), np.uint8)
    images[10:, :, 8:20] = 200
    features = compute_features(images, np.arange(20), block=8)
    assert np.isfinite(features).all()
    assert shape_and_colour(images).shape == (20, 1764 + 16)


def test_reduction_keeps_the_widest_directions() -> None:
    """The leading component is the direction along which the rows vary most."""
    rng = np.random.default_rng(0)
    matrix = (rng.normal(0, 1, (200, 3)) * [1, 10, 0.1]).astype(np.float32)
    reduced = reduce(matrix, np.arange(200), 1)[:, 0]
    assert abs(np.corrcoef(reduced, matrix[:, 1])[0, 1]) > 0.99


def test_probe_columns_are_of_one_size() -> None:
    """The heads read a fixed number of leading columns with variances drawn together."""
    rng = np.random.default_rng(0)
    features = (rng.normal(0, 1, (300, 40)) * np.geomspace(10, 0.1, 40)).astype(np.float32)
    got = probe_features(features, np.arange(200), 20)
    spread = got.std(axis=0)
    assert got.shape == (300, 20)
    assert spread.max() / spread.min() < (features.std(axis=0).max() / 0.1)
    assert got[:200].std() == pytest.approx(1, abs=0.05)
