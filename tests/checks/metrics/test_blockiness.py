"""The grid of JPEG's blocks is seen where there is one, and nowhere else."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from checks.metrics.blockiness import grid_steps, measure_blockiness

Grey = NDArray[np.uint8]


def soft_picture(seed: int = 0, height: int = 200, width: int = 240) -> Grey:
    """Return broad waves with grain, on which strong compression leaves blocks."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = sum(40 * np.sin(x * rng.uniform(0, 0.1) + y * rng.uniform(0, 0.1)) for _ in range(3))
    return np.clip(128 + waves + rng.normal(0, 4, (height, width)), 0, 255).astype(np.uint8)


def compress(grey: Grey, quality: int) -> Grey:
    """Return the pixels after JPEG at `quality`."""
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "JPEG", quality=quality)
    return np.array(Image.open(out))


@pytest.mark.parametrize("shape", [(9, 9), (64, 70), (133, 65), (200, 301)])
def test_steps_equal_numpy(shape: tuple[int, int]) -> None:
    """Mean steps by place in the grid equal a plain computation over the same pixels."""
    grey = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    wide = grey.astype(np.int64)
    across = abs(np.diff(wide[::5], axis=1))
    part = shape[1] // 5
    down = [
        abs(wide[y + 1] - wide[y])[y % 5 * part : (y % 5 + 1) * part] for y in range(shape[0] - 1)
    ]
    expected = [
        [across[:, k::8].mean() for k in range(8)],
        [np.mean(down[k::8]) for k in range(8)],
    ]
    np.testing.assert_allclose(expected, grid_steps(grey))


def test_a_hidden_strong_compression_is_seen() -> None:
    """A picture saved at quality 20 and again at 95 shows its blocks; at 95 alone it does not."""
    grey = soft_picture()
    assert measure_blockiness(compress(compress(grey, 20), 95), 1) > 1.8
    assert measure_blockiness(compress(grey, 95), 1) < 1.2


def test_the_grid_is_found_after_a_crop() -> None:
    """The grid may start anywhere, as in a cropped copy."""
    blocks = compress(soft_picture(), 20)
    cropped = np.ascontiguousarray(blocks[3:, 5:])
    assert measure_blockiness(blocks, 1) == pytest.approx(measure_blockiness(cropped, 1), rel=0.15)


def test_mirrored_pictures_measure_alike() -> None:
    """A mirrored picture has the same grid, but for the pixels that sampling takes."""
    blocks = compress(soft_picture(), 20)
    mirrored = np.ascontiguousarray(blocks[::-1, ::-1])
    assert measure_blockiness(blocks, 1) == pytest.approx(measure_blockiness(mirrored, 1), rel=0.15)


def test_no_grid_without_pixels() -> None:
    """Reduced and small pictures are not measured; a flat one has no steps."""
    assert math.isnan(measure_blockiness(soft_picture(), 2))
    assert math.isnan(measure_blockiness(soft_picture(height=63), 1))
    assert measure_blockiness(np.full((64, 64), 9, np.uint8), 1) == 0.0
