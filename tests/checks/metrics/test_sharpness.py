"""Measures of sharpness equal their plain numpy versions and behave as sharpness should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from checks.metrics import sharpness
from checks.metrics.sharpness import SHARPNESS_METRICS, difference_tiles, halve, measure_sharpness

Grey = NDArray[np.uint8]
SHAPES = [(3, 3), (28, 28), (17, 64), (64, 65), (200, 31), (300, 400), (1100, 20)]


def picture(height: int, width: int) -> Grey:
    """Return black and white noise with flat margins: the largest sums that there can be."""
    rng = np.random.default_rng(height * 1000 + width)
    out: Grey = rng.integers(0, 2, (height, width)).astype(np.uint8) * 255
    out[: height // 8] = 7
    return out


def scene(seed: int, side: int = 128) -> Grey:
    """Return overlapping shapes of many sizes and levels: edges in every direction."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    out = np.full((side, side), 120.0)
    for _ in range(60):
        cy, cx, radius = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(2, side / 6)
        round_shape = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        square = np.maximum(abs(y - cy), abs(x - cx)) < radius
        out[round_shape if rng.random() < 0.5 else square] = rng.uniform(20, 235)
    return np.rint(out).astype(np.uint8)


def smear(grey: Grey, length: int) -> Grey:
    """Return the picture moved by `length` pixels along its rows while it was taken."""
    moved = [np.roll(grey, shift, axis=1).astype(np.int64) for shift in range(length)]
    return (sum(moved) // length).astype(np.uint8)


def blur(grey: Grey, sigma: float) -> Grey:
    """Return Pillow's Gaussian blur."""
    return np.array(Image.fromarray(grey).filter(ImageFilter.GaussianBlur(sigma)))


def measure(grey: Grey) -> dict[str, float]:
    """Return the measures by name."""
    return dict(zip(SHARPNESS_METRICS, measure_sharpness(grey).tolist(), strict=True))


def differences(grey: Grey) -> NDArray[np.int64]:
    """Return the six squared second differences at each inner pixel, in the channels' order."""
    g = grey.astype(np.int64)
    twice = 2 * g[1:-1, 1:-1]
    rows, columns = g[1:-1, :-2] + g[1:-1, 2:] - twice, g[:-2, 1:-1] + g[2:, 1:-1] - twice
    down, up = g[:-2, :-2] + g[2:, 2:] - twice, g[:-2, 2:] + g[2:, :-2] - twice
    noise = down + up - 2 * (rows + columns)
    return np.stack([columns, rows + columns, rows, down, up, noise]) ** 2


@pytest.mark.parametrize(("step", "rare_step"), [(1, 1), (3, 3), (3, 6)])
@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_equal_numpy(shape: tuple[int, int], step: int, rare_step: int) -> None:
    """Each tile's sums and counts equal numpy's, for every grid that fits, sampled or not."""
    grey = picture(*shape)
    expected = differences(grey)
    _, rows, columns = expected.shape
    for grid in {1, min(8, rows, columns)}:
        found = difference_tiles(grey, grid, step, rare_step, False)
        for v in range(grid):
            for u in range(grid):
                top, bottom = v * rows // grid, (v + 1) * rows // grid
                cut = slice(u * columns // grid, (u + 1) * columns // grid)
                often, seldom = expected[:2, top:bottom:step, cut], expected[2:, top:bottom, cut]
                seldom = seldom[:, ::rare_step]
                sums = [*often.sum(axis=(1, 2)), *seldom.sum(axis=(1, 2))]
                counts = [often[0].size, seldom[0].size]
                assert [*sums, *counts] == found[:, v * grid + u].tolist()


def test_only_the_laplacian_is_summed() -> None:
    """Asked for the Laplacian alone, the first channels' sums are the same, the others 0."""
    whole = difference_tiles(picture(64, 65), 8, 1, 1, False)
    part = difference_tiles(picture(64, 65), 8, 1, 1, True)
    np.testing.assert_array_equal(whole[: sharpness.ROWS], part[: sharpness.ROWS])
    assert not part[sharpness.ROWS : sharpness.COUNT].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_halving_is_the_rounded_mean(shape: tuple[int, int]) -> None:
    """Each pixel of the half size is the mean of four, halves rounded up."""
    grey = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    height, width = shape[0] // 2, shape[1] // 2
    four = grey[: 2 * height, : 2 * width].astype(np.int64).reshape(height, 2, width, 2)
    np.testing.assert_array_equal((four.sum(axis=(1, 3)) + 2) // 4, halve(grey))


def test_measures_equal_numpy() -> None:
    """Shares over tiles, ratios of scales and the noise are those of a plain computation."""
    grey = scene(1)
    n = 8

    def tiles(picture_HW: Grey, channel: int, step: int) -> NDArray[np.float64]:
        found = differences(picture_HW)[channel]
        cuts = [[i * side // n for i in range(n + 1)] for side in found.shape]
        means = [
            found[top:bottom:step, left:right].mean()
            for top, bottom in zip(cuts[0][:-1], cuts[0][1:], strict=True)
            for left, right in zip(cuts[1][:-1], cuts[1][1:], strict=True)
        ]
        return np.sort(means)

    fine, half = (tiles(one, sharpness.LAPLACIAN, k) for one, k in ((grey, 3), (halve(grey), 1)))
    noise = tiles(grey, sharpness.NOISE, 6)
    found = measure(grey)
    assert fine.mean() == pytest.approx(found["sharpness"])
    assert fine[57] == pytest.approx(found["sharpness_p90"])
    assert fine[62] / (half[62] + 8) == pytest.approx(found["detail_ratio"])
    assert np.sqrt(noise[6]) / 6 == pytest.approx(found["noise_sigma"])


def test_noise_is_measured_in_grey_levels() -> None:
    """Gaussian noise on a flat ground is found at its own strength, the flattest tiles' share."""
    rng = np.random.default_rng(0)
    for sigma in (2.0, 5.0, 10.0):
        grey = np.rint(128 + rng.normal(0, sigma, (256, 256))).astype(np.uint8)
        assert sigma == pytest.approx(measure(grey)["noise_sigma"], rel=0.12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sigma=st.floats(0.8, 4.0))
def test_blur_never_sharpens(seed: int, sigma: float) -> None:
    """A blurred picture is never sharper than before, by more than rounding."""
    sharp, soft = measure(scene(seed)), measure(blur(scene(seed), sigma))
    for name in ("sharpness", "sharpness_p90", "detail_ratio", "strongest_detail_ratio"):
        assert soft[name] <= sharp[name] * 1.02 + 0.02
    assert soft["detail_ratio"] < 0.6 * sharp["detail_ratio"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_motion_takes_detail_along_one_direction(seed: int) -> None:
    """Nine pixels of motion along the rows lower the weakest direction far below the strongest."""
    still, moved = measure(scene(seed)), measure(smear(scene(seed), 9))
    assert moved["weakest_detail_ratio"] < 0.3 * still["weakest_detail_ratio"]
    share = moved["weakest_detail_ratio"] / moved["strongest_detail_ratio"]
    assert share < 0.8 * still["weakest_detail_ratio"] / still["strongest_detail_ratio"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), transpose=st.booleans())
def test_mirrored_pictures_measure_alike(seed: int, transpose: bool) -> None:
    """A mirrored or turned picture has the same measures where tiles cut it evenly."""
    grey = scene(seed, side=34)  # 8 tiles of 4 px, and 3 of 5 px at half the size; all rows read
    other = np.ascontiguousarray(grey.T if transpose else grey[::-1, ::-1])
    assert measure_sharpness(grey) == pytest.approx(measure_sharpness(other), nan_ok=True)


def test_large_mirrored_pictures_measure_alike() -> None:
    """Where every third row is read, a mirrored picture's measures differ by sampling alone."""
    grey = np.random.default_rng(5).integers(0, 256, (402, 402), dtype=np.uint8)
    found, mirrored = measure(grey), measure(np.ascontiguousarray(grey[::-1, ::-1]))
    for name in SHARPNESS_METRICS:
        assert found[name] == pytest.approx(mirrored[name], rel=0.2)


@pytest.mark.parametrize("shape", [(3, 3), (28, 28), (64, 64), (300, 301)])
def test_flat_pictures_have_no_detail(shape: tuple[int, int]) -> None:
    """A flat picture gives 0 for whatever can be measured."""
    found = measure_sharpness(np.full(shape, 77, np.uint8))
    assert set(found[~np.isnan(found)]) == {0.0}


@pytest.mark.parametrize(
    ("shape", "known"),
    [((1, 1), 0), ((2, 5), 0), ((3, 3), 3), ((6, 40), 4), ((63, 63), 4), ((64, 64), 6)],
)
def test_too_small_is_not_measured(shape: tuple[int, int], known: int) -> None:
    """A tiny picture gives NaN where there are too few pixels, and no error."""
    assert known == np.count_nonzero(~np.isnan(measure_sharpness(picture(*shape))))


def test_wide_pictures_do_not_overflow() -> None:
    """Black and white stripes of one pixel, the strongest there are, are summed exactly."""
    grey = np.zeros((1300, 9), np.uint8)
    grey[::2] = 255
    found = difference_tiles(grey, 1, 1, 1, False)
    assert found[sharpness.COLUMNS, 0] == 510**2 * 1298 * 7
    assert found[sharpness.COUNT, 0] == 1298 * 7
