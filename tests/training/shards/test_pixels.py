"""Decoding and resizing: fast, and the very pixels that Pillow gives."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.training.shards.samples import encode
from training.shards.pixels import decode_into
from training.shards.resize_kernel import resize_square

SIDES = st.one_of(st.integers(1, 40), st.integers(1, 700))


def _by_pillow(image: Image.Image, size: int) -> NDArray[np.uint8]:
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


@given(SIDES, SIDES, st.integers(1, 260), st.integers(0, 2**31), st.booleans())
@settings(max_examples=300)
def test_resize_equals_pillow(height: int, width: int, size: int, seed: int, harsh: bool):
    """Any image, noise or black and white, becomes the same bytes at any size as in Pillow."""
    draw = np.random.default_rng(seed)
    levels = draw.integers(0, 2, (height, width, 4)) * 255 if harsh else None
    source = draw.integers(0, 256, (height, width, 4)) if levels is None else levels
    source = source.astype(np.uint8)
    pixels = np.empty((size, size, 3), np.uint8)
    resize_square(source, pixels)
    image = Image.fromarray(np.ascontiguousarray(source[..., :3]))
    np.testing.assert_array_equal(pixels, _by_pillow(image, size))


@pytest.mark.parametrize("shape", [(375, 500), (500, 375), (224, 299), (224, 224), (90, 31)])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_equals_pillow(shape: tuple[int, int], channels: int):
    """A JPEG is decoded into its place of a batch as Pillow decodes and resizes it."""
    draw = np.random.default_rng(1)
    rough = draw.integers(0, 256, (9, 9, 3) if channels == 3 else (9, 9), dtype=np.uint8)
    data = encode(np.asarray(Image.fromarray(rough).resize(shape[::-1])))
    batch = np.zeros((3, 224, 224, channels), np.uint8)
    decode_into(memoryview(data), batch[1])
    expected = _by_pillow(Image.open(io.BytesIO(data)), 224)
    np.testing.assert_array_equal(batch[1], expected.reshape(224, 224, channels))
    assert not batch[[0, 2]].any()


def test_real_photos_equal_pillow(shared_data: Path):
    """Real photos of all shapes become the same bytes as in Pillow."""
    photos = pl.read_parquet(shared_data / "photos" / "photos.parquet", columns=["image"])["image"]
    for data in photos.gather_every(45).to_list():
        pixels = np.empty((96, 96, 3), np.uint8)
        decode_into(data, pixels)
        expected = _by_pillow(Image.open(io.BytesIO(data)).convert("RGB"), 96)
        np.testing.assert_array_equal(pixels, expected)
