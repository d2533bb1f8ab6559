from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.metrics import likeness

Grey = NDArray[np.uint8]
SHAPES = [(1, 1), (3, 3), (28, 28), (17, 64), (64, 65), (200, 31), (300, 400)]


def picture(height: int, width: int) -> Grey:
    """Return noise with flat margins, the same for the same shape."""
    rng = np.random.default_rng(height * 1000 + width)
    out = rng.integers(0, 256, (height, width), dtype=np.uint8)
    out[: height // 8] = 7
    return out


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
    np.testing.assert_array_equal(expected, likeness.area_cells(grey))


def test_low_frequencies_are_a_dct() -> None:
    """Coefficients equal a floating-point DCT-II to four digits."""
    cells = likeness.area_cells(picture(200, 300))
    mean = cells / (200 * 300)
    angles = np.outer(np.arange(16), 2 * np.arange(64) + 1) * np.pi / 128
    expected = np.cos(angles) @ mean @ np.cos(angles).T
    found = likeness.low_frequencies(cells, 200 * 300) / (256 * 4096**2)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=np.abs(expected).max() * 2e-4)


def test_hash_bits_are_above_the_median() -> None:
    """Words hold one bit for each coefficient, the first one highest."""
    block = np.random.default_rng(0).integers(-(10**9), 10**9, (16, 16))
    bits = (block > np.median(block)).ravel()
    expected = [int("".join(map(str, part.astype(int))), 2) for part in bits.reshape(4, 64)]
    assert expected == likeness.hash_words(block).tolist()


def test_coefficients_are_exact_whole_numbers() -> None:
    """Sums in floats equal numpy's in whole numbers, also for a white picture, the largest."""
    half = np.rint(np.cos(np.outer(np.arange(16), 2 * np.arange(32) + 1) * np.pi / 128) * 4096)
    sign = np.where(np.arange(16) % 2, -1, 1)[:, None]
    cosines = np.concatenate([half, half[:, ::-1] * sign], axis=1).astype(np.int64)
    for grey in (picture(70, 90), np.full((64, 64), 255, np.uint8)):
        cells = likeness.area_cells(grey)
        expected = cosines @ (cells * 256 // grey.size) @ cosines.T
        np.testing.assert_array_equal(expected, likeness.low_frequencies(cells, grey.size))


def test_turned_block_is_the_turned_pictures() -> None:
    """Turning the block equals measuring the turned picture, all 8 ways."""
    grey = picture(64, 64)
    block = likeness.low_frequencies(likeness.area_cells(grey), grey.size)
    for transpose, rows, columns in product((False, True), repeat=3):
        turned = grey.T if transpose else grey
        turned = turned[:: -1 if rows else 1, :: -1 if columns else 1]
        cells = likeness.area_cells(np.ascontiguousarray(turned))
        expected = likeness.low_frequencies(cells, grey.size)
        np.testing.assert_array_equal(expected, likeness.turn(block, transpose, rows, columns))


def test_steady_variant_is_the_greatest_of_eight() -> None:
    """Every variant of a block leads to the one that plain Python calls the greatest."""
    weights = np.array([[0, 8, 4, 2], [5, 3, 2, 1], [3, 2, 1, 1], [2, 1, 1, 1]])
    rng = np.random.default_rng(3)
    for block in (rng.integers(-99, 99, (8, 8)), np.eye(8, dtype=np.int64) * 5):
        ways = product((False, True), repeat=3)
        variants = [likeness.turn(block, *way) for way in ways]
        best = max(variants, key=lambda v: (int((v[:4, :4] * weights).sum()), v.tolist()))
        for variant in variants:
            np.testing.assert_array_equal(best, likeness.steady_variant(variant))


def test_contrast_is_that_of_the_low_frequencies() -> None:
    """A half black, half white picture has the deviation that its first 8 frequencies carry."""
    grey = np.zeros((64, 64), np.uint8)
    grey[:, 32:] = 255
    low = likeness.low_frequencies(likeness.area_cells(grey), grey.size)[:8, :8]
    found = likeness.contrast(np.ascontiguousarray(low))
    assert 127.5 * 0.95 < found < 127.5
    assert likeness.contrast(np.zeros((8, 8), np.int64)) == 0


def test_many_pictures_hash_as_one() -> None:
    """A picture among others has the hashes and the contrast that it has alone."""
    many = np.stack([picture(40, 50 + i)[:, :50] for i in range(8)])
    orientations = np.arange(1, 9)
    words, contrasts = np.empty((8, 6), np.uint64), np.empty(8)
    likeness.hash_pictures(many, orientations, words, contrasts)
    for i in range(8):
        own_words, own_contrast = np.empty((1, 6), np.uint64), np.empty(1)
        one = slice(i, i + 1)
        likeness.hash_pictures(many[one], orientations[one], own_words, own_contrast)
        assert words[i].tolist() == own_words[0].tolist()
        assert contrasts[i] == own_contrast[0]
