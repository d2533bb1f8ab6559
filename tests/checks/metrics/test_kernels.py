import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from checks.metrics import kernels

Grey = NDArray[np.uint8]
SHAPES = [(1, 1), (3, 3), (28, 28), (17, 64), (64, 65), (200, 31), (300, 400)]


def picture(height: int, width: int, *channels: int) -> Grey:
    """Return noise with flat margins, the same for the same shape."""
    rng = np.random.default_rng(height * 1000 + width)
    out = rng.integers(0, 256, (height, width, *channels), dtype=np.uint8)
    out[: height // 8] = 7
    return out


def packed(rgb: Grey) -> NDArray[np.uint32]:
    """Return H x W words of an H x W x 3 picture, with something in the byte that is not read."""
    words = rgb.astype(np.uint32) << np.array([0, 8, 16], np.uint32)
    return words.sum(axis=2, dtype=np.uint32) | np.uint32(0xAB000000)


def scan(rgb: Grey, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the histogram and the sums of a picture."""
    return kernels.scan_picture(packed(rgb), step, np.empty(rgb.shape[:2], np.uint8))


def count_levels(rgb: Grey) -> NDArray[np.int64]:
    """Return numpy's histogram of brightness, in floats of the same length."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    power = (241 * red**2 + 691 * green**2 + 68 * blue**2).astype(np.float32)
    level = np.sqrt(power * np.float32(0.001)) + np.float32(0.5)
    return np.bincount(level.astype(int).ravel(), minlength=256)


@pytest.mark.parametrize("shape", SHAPES)
def test_grey_equals_pillow(shape: tuple[int, int]) -> None:
    """Luma equals Pillow's conversion at every pixel."""
    rgb = picture(*shape, 3)
    expected = np.asarray(Image.fromarray(rgb).convert("L"))
    found = np.empty(shape, np.uint8)
    kernels.scan_picture(packed(rgb), 2, found)
    np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("shape", [*SHAPES, (3, 9001)])
def test_histograms_and_colour_sums_equal_numpy(shape: tuple[int, int], step: int) -> None:
    """Counts and sums equal numpy's, sampled or not, also in rows of several chunks."""
    rgb = picture(*shape, 3)
    counts, sums = scan(rgb, step)
    np.testing.assert_array_equal(count_levels(rgb[::step, ::step]), counts)
    part = rgb[::step, ::step].astype(np.int64)
    red, green, blue = part[..., 0], part[..., 1], part[..., 2]
    rg, yb = red - green, red + green - 2 * blue
    spread = (part.max(axis=2) - part.min(axis=2) > 12).sum()
    expected = [rg.sum(), (rg**2).sum(), yb.sum(), (yb**2).sum(), spread]
    assert expected == sums.tolist()
    grey = picture(*shape)
    expected_counts = np.bincount(grey[::step, ::step].ravel(), minlength=256)
    np.testing.assert_array_equal(expected_counts, kernels.grey_histogram(grey, step))


@pytest.mark.parametrize("blue", [0, 1, 128, 255])
def test_brightness_is_the_rounded_root(blue: int) -> None:
    """For every red and green the level is the exact one, but for pixels on a level's edge."""
    red, green = np.mgrid[:256, :256]
    power = 241 * red**2 + 691 * green**2 + 68 * blue**2
    root = np.sqrt(power / 1000)
    clear = np.abs(root + 0.5 - np.rint(root + 0.5)) > 2e-5
    assert clear.mean() > 0.999
    rgb = np.stack([red[clear], green[clear], np.full(clear.sum(), blue)], axis=1)[None]
    expected = np.bincount((root[clear] + 0.5).astype(int), minlength=256)
    np.testing.assert_array_equal(expected, scan(rgb.astype(np.uint8), 1)[0])


@pytest.mark.parametrize("colour", [(255, 0, 0), (255, 255, 0), (0, 255, 255), (255, 255, 255)])
def test_sums_of_long_rows_do_not_overflow(colour: tuple[int, int, int]) -> None:
    """The most extreme colours in a row of 100,000 px give numpy's sums."""
    rgb = np.full((1, 100_000, 3), colour, np.uint8)
    red, green, blue = (level * 100_000 for level in colour)
    one, two = colour[0] - colour[1], colour[0] + colour[1] - 2 * colour[2]
    expected = [red - green, one**2 * 100_000, red + green - 2 * blue, two**2 * 100_000]
    assert expected == scan(rgb, 1)[1][:4].tolist()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_many_pictures_are_scanned_as_one(step: int) -> None:
    """A picture among others has the luma and the numbers that it has alone, and those of grey."""
    words = np.stack([packed(picture(90, 70 + i, 3)[:, :70]) for i in range(3)])
    grey, out = np.empty(words.shape, np.uint8), np.empty((3, kernels.SCANNED), np.int64)
    kernels.scan_colour(words, step, 2, grey, out)
    of_grey = np.empty_like(out)
    kernels.scan_grey(grey, step, 2, of_grey)
    for i in range(3):
        own_grey = np.empty((90, 70), np.uint8)
        counts, sums = kernels.scan_picture(words[i], step, own_grey)
        borders = kernels.flat_borders(own_grey, 2)
        np.testing.assert_array_equal(own_grey, grey[i])
        assert [*counts, *sums, *borders] == out[i].tolist()
        counts = kernels.grey_histogram(own_grey, step)
        assert [*counts, *[0] * 5, *borders] == of_grey[i].tolist()


def test_borders_count_flat_rows_and_columns() -> None:
    """A picture laid on a plain ground has the margins that were laid round it."""
    grey = np.full((40, 50), 200, np.uint8)
    grey[5:33, 4:47] = picture(100, 43)[60:88]
    assert kernels.flat_borders(grey, 2).tolist() == [5, 7, 4, 3]
    assert kernels.flat_borders(np.full((4, 6), 9, np.uint8), 2).tolist() == [4, 4, 6, 6]
