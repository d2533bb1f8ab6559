"""Augmentation as a pure function of (seed, epoch, sample), never of the place in a batch.

So a sample is moved and mirrored the same way in every arm that holds it, which lowers the
variance of the difference between arms.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_GOLDEN = 0x9E3779B97F4A7C15


def keyed_bits(seed: int, stream: int, ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return 64 well mixed bits for each id; the same for the same (seed, stream, id).

    Source: SplitMix64 (Steele, Lea, Flood 2014), applied twice.

    >>> a, b = keyed_bits(1, 0, np.array([7, 8]))
    >>> bool(a != b), bool(a == keyed_bits(1, 0, np.array([7]))[0])
    (True, True)
    """
    start = _mix(np.array([(seed * 2_654_435_761 + stream) % 2**64], np.uint64))
    return _mix(start ^ _mix(ids.astype(np.uint64)))


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One round of SplitMix64; the arithmetic wraps on purpose."""
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def dropout_scale(
    ids: NDArray[np.int64], epochs: NDArray[np.int64], seed: int, width: int, rate: float
) -> NDArray[np.float32]:
    """Return what dropout multiplies features by: (B, width), 0 or 1 / (1 - rate).

    A sample loses the same features in whatever batch and arm it comes, and others each epoch; no
    generator has a state that a resumed run would have to restore.

    >>> dropout_scale(np.array([3, 4]), np.array([0, 0]), 1, 4, 0.5).max()
    np.float32(2.0)
    """
    rows = keyed_bits(seed, 2, ids * np.int64(1_048_576) + epochs)
    bits = _mix(rows[:, None] ^ _mix(np.arange(width, dtype=np.uint64)))
    kept = (bits >> np.uint64(11)) * 2.0**-53 >= rate
    return (kept / (1 - rate)).astype(np.float32)


def augment(
    images_NCHW: Tensor,
    ids: NDArray[np.int64],
    epochs: NDArray[np.int64],
    seed: int,
    *,
    translate_px: int,
    flip: bool,
) -> Tensor:
    """Return the batch moved by up to translate_px (reflected edges) and mirrored.

    Mirroring alternates: a sample's first epoch draws its side, each next epoch turns it.
    Source: alternating flip and 2 px translation of airbench (K. Jordan, 2404.00498).

    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> augment(x, np.array([0]), np.array([0]), 0, translate_px=0, flip=False).equal(x)
    True
    """
    n, channels, height, width = images_NCHW.shape
    out, device = images_NCHW, images_NCHW.device
    if flip:
        side = (keyed_bits(seed, 0, ids) >> np.uint64(63)).astype(np.int64)
        chosen = torch.from_numpy((side + epochs) % 2 * n + np.arange(n)).to(device)
        out = torch.cat((out, out.flip(3))).index_select(0, chosen)
    if translate_px:
        span = np.uint64(2 * translate_px + 1)
        bits = keyed_bits(seed, 1, ids * np.int64(1_048_576) + epochs)
        down = (bits % span).astype(np.int64)
        right = ((bits >> np.uint64(32)) % span).astype(np.int64)
        padded = functional.pad(out, (translate_px,) * 4, mode="reflect")
        rows = padded.permute(0, 2, 3, 1).contiguous()
        tall, wide, piece = height + 2 * translate_px, width + 2 * translate_px, width * channels
        first = ((np.arange(n) * tall + down) * wide + right) * channels
        starts = torch.from_numpy(first[:, None] + np.arange(height) * wide * channels).to(device)
        pieces = rows.as_strided((rows.numel() - piece + 1, piece), (1, 1))  # at any place
        moved = pieces.index_select(0, starts.flatten()).view(n, height, width, channels)
        out = moved.permute(0, 3, 1, 2)
    return out
