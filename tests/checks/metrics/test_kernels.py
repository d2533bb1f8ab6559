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


@pytest.mark.parametrize("shape", SHAPES)
def test_grey_equals_pillow(shape: tuple[int, int]) -> None:
    """Luma equals Pillow's conversion at every pixel."""
    rgb = picture(*shape, 3)
    expected = np.asarray(Image.fromarray(rgb).convert("L"))
    np.testing.assert_array_equal(expected, kernels.to_grey(rgb))


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_histograms_and_colour_sums_equal_numpy(shape: tuple[int, int], step: int) -> None:
    """Counts and sums equal numpy's, sampled or not."""
    rgb = picture(*shape, 3)
    part = rgb[::step, ::step].astype(np.int64)
    red, green, blue = part[..., 0], part[..., 1], part[..., 2]
    level = np.sqrt((241 * red**2 + 691 * green**2 + 68 * blue**2) / 1000.0) + 0.5
    counts, sums = kernels.colour_sums(rgb, step)
    np.testing.assert_array_equal(np.bincount(level.astype(int).ravel(), minlength=256), counts)
    rg, yb = red - green, red + green - 2 * blue
    spread = (part.max(axis=2) - part.min(axis=2) > 12).sum()
    expected = [rg.sum(), (rg**2).sum(), yb.sum(), (yb**2).sum(), spread]
    assert expected == sums.tolist()
    grey = picture(*shape)
    expected_counts = np.bincount(grey[::step, ::step].ravel(), minlength=256)
    np.testing.assert_array_equal(expected_counts, kernels.grey_histogram(grey, step))


@pytest.mark.parametrize("shape", [s for s in SHAPES if min(s) >= 3])
def test_laplacian_tiles_equal_numpy(shape: tuple[int, int]) -> None:
    """Each tile's count, sum and squares equal numpy's, for every grid that fits."""
    grey = picture(*shape)
    wide = grey.astype(np.int64)
    around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    laplacian = around - 4 * wide[1:-1, 1:-1]
    rows, columns = laplacian.shape
    for grid in {1, min(8, rows, columns)}:
        found = kernels.laplacian_tiles(grey, grid)
        for v in range(grid):
            for u in range(grid):
                tile = laplacian[
                    v * rows // grid : (v + 1) * rows // grid,
                    u * columns // grid : (u + 1) * columns // grid,
                ]
                assert [tile.size, tile.sum(), (tile**2).sum()] == found[:, v, u].tolist()


def test_borders_count_flat_rows_and_columns() -> None:
    """A picture laid on a plain ground has the margins that were laid round it."""
    grey = np.full((40, 50), 200, np.uint8)
    grey[5:33, 4:47] = picture(100, 43)[60:88]
    assert kernels.flat_borders(grey, 2).tolist() == [5, 7, 4, 3]
    assert kernels.flat_borders(np.full((4, 6), 9, np.uint8), 2).tolist() == [4, 4, 6, 6]


@pytest.mark.parametrize("shape", SHAPES)
def test_cells_are_exact_area_means(shape: tuple[int, int]) -> None:
    """The resample equals the overlap matrices of numpy in whole numbers."""
    grey = picture(*shape)
    weights = []
    for size in shape:
        cell = np.arange(64)[:, None] * size
        pixel = np.arange(size)[None, :] * 64
        shared = np.minimum(cell + size, pixel + 64) - np.maximum(cell, pixel)
        weights.append(np.maximum(shared, 0))
    expected = weights[0] @ grey.astype(np.int64) @ weights[1].T
    np.testing.assert_array_equal(expected, kernels.area_cells(grey))


def test_low_frequencies_are_a_dct() -> None:
    """Coefficients equal a floating-point DCT-II to four digits."""
    cells = kernels.area_cells(picture(200, 300))
    mean = cells / (200 * 300)
    angles = np.outer(np.arange(16), 2 * np.arange(64) + 1) * np.pi / 128
    expected = np.cos(angles) @ mean @ np.cos(angles).T
    found = kernels.low_frequencies(cells, 200 * 300) / (256 * 4096**2)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=np.abs(expected).max() * 2e-4)


def test_hash_bits_are_above_the_median() -> None:
    """Words hold one bit for each coefficient, the first one highest."""
    block = np.random.default_rng(0).integers(-(10**9), 10**9, (16, 16))
    bits = (block > np.median(block)).ravel()
    expected = [int("".join(map(str, part.astype(int))), 2) for part in bits.reshape(4, 64)]
    assert expected == kernels.hash_words(block).tolist()
