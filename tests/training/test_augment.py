"""Augmentation: every image is moved and mirrored as one would do it by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.augment import augment, keyed_bits


@given(st.integers(1, 9), st.integers(0, 3), st.booleans(), st.integers(0, 2**20))
@settings(max_examples=100)
def test_images_move_and_turn_as_by_hand(count: int, shift: int, flip: bool, seed: int):
    """Each image equals its mirror image or itself, padded by reflection and cut out."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (count, 3, 7, 9), dtype=np.uint8)
    ids, epochs = draw.integers(0, 2**40, count), draw.integers(0, 9, count)
    found = augment(torch.from_numpy(images), ids, epochs, seed, translate_px=shift, flip=flip)
    sides = keyed_bits(seed, 0, ids) >> np.uint64(63)
    bits = keyed_bits(seed, 1, ids * 1_048_576 + epochs)
    for n, image in enumerate(images):
        turned = image[:, :, ::-1] if flip and (int(sides[n]) + epochs[n]) % 2 else image
        padded = np.pad(turned, ((0, 0), (shift, shift), (shift, shift)), mode="reflect")
        down, right = (int(part) % (2 * shift + 1) for part in (bits[n], int(bits[n]) >> 32))
        expected = padded[:, down : down + 7, right : right + 9]
        np.testing.assert_array_equal(found[n].numpy(), expected)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16, torch.float32])
def test_any_type_and_layout_gives_the_same(kind: torch.dtype):
    """Bytes and floats, channels first or last in memory, move alike."""
    draw = np.random.default_rng(1)
    images = torch.from_numpy(draw.integers(0, 256, (6, 3, 8, 8), dtype=np.uint8))
    ids, epochs = np.arange(6), np.full(6, 2)
    expected = augment(images, ids, epochs, 5, translate_px=2, flip=True)
    last = images.to(kind).contiguous(memory_format=torch.channels_last)
    found = augment(last, ids, epochs, 5, translate_px=2, flip=True)
    assert found.to(torch.uint8).equal(expected)
