"""Frozen features without weights from elsewhere: random whitened patches, HOG and colour.

All are fitted on training images only and never see a label. Cost is kept low by few filters
and strides; 14,000 images of 32 px take about 20 CPU seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.arms import TrainingData
from training.encoder import Encoded, one_hot

Matrix = NDArray[np.float32]
Images = NDArray[np.uint8]
BLOCK = 512
_CHUNK = 500
_PCA_ROWS = 10_000
_LIVELY = 0.1  # variance of a normalised patch below which it was nearly flat


class Patches(NamedTuple):
    """A fitted bank: filters (F, C, 6, 6) on patches of unit contrast, and their shift."""

    filters: Tensor
    shift: Tensor
    stride: int


def compute_features(
    images_NCHW: Images, fit_rows: NDArray[np.int64], *, seed: int = 0, block: int = BLOCK
) -> Matrix:
    """Return fixed features for every image: (N, d) float32, d at most 2 * block.

    Two blocks beside each other: whitened-patch responses and HOG with colour, each reduced by
    PCA fitted on `fit_rows` to at most `block` columns and scaled there to a mean squared norm of
    1, so that a distance weighs them alike. Deterministic for one thread count.

    Args:
        images_NCHW: uint8, 1 or 3 channels, one size for all.
        fit_rows: rows to fit on (the training split).
        seed: of the patches drawn.
        block: columns kept of each block.
    """
    parts = (patch_responses(images_NCHW, fit_rows, seed=seed), shape_and_colour(images_NCHW))
    reduced = (reduce(part, fit_rows, block) for part in parts)
    return np.concatenate([unit_block(part, fit_rows) for part in reduced], axis=1)


def features_of(data: TrainingData) -> Matrix:
    """Return the features that label checks read, (P, d) float32, one row for each pool row.

    Images: `compute_features`; tables: numbers and indicators of common categories. Fitted on the
    training split, labels unseen.
    """
    if data.images is not None:
        return compute_features(data.images, np.flatnonzero(data.split == 0))
    assert data.numbers is not None
    assert data.codes is not None
    return one_hot(Encoded(data.numbers, data.codes), data.levels)


def probe_features(features: Matrix, fit_rows: NDArray[np.int64], width: int = 256) -> Matrix:
    """Return what the probe tier's heads read: the leading columns, variances drawn together.

    Of two blocks the first three fifths come from the patches. Each column is divided by the
    square root of its standard deviation (half whitening), then all by one number.
    """
    half = features.shape[1] // 2
    first = min(half, width * 3 // 5)
    picked = np.concatenate([features[:, :first], features[:, half : half + width - first]], axis=1)
    spread = picked[fit_rows].std(axis=0, dtype=np.float64)
    halved = picked / np.sqrt(np.maximum(spread, 1e-6)).astype(np.float32)
    scale = float(halved[fit_rows].std(dtype=np.float64))
    return np.ascontiguousarray(halved / np.float32(max(scale, 1e-6)))


def reduce(matrix: Matrix, fit_rows: NDArray[np.int64], width: int) -> Matrix:
    """Return the leading principal components, (N, min(width, d)), signs fixed.

    >>> reduce(np.eye(3, dtype=np.float32), np.arange(3), 2).shape
    (3, 2)
    """
    x = torch.from_numpy(matrix)
    fit = x[torch.from_numpy(fit_rows[:: max(1, fit_rows.size // _PCA_ROWS)])]
    mean = fit.mean(0)
    centred = fit - mean
    wide = centred.shape[0] < centred.shape[1]  # the smaller of the two products has it all
    product = centred @ centred.T if wide else centred.T @ centred
    basis = torch.linalg.eigh(product.double())[1].flip(1)[:, :width]
    if wide:
        basis = functional.normalize(centred.T.double() @ basis, dim=0)
    peak = basis.abs().argmax(0)
    basis = basis * torch.sign(basis[peak, torch.arange(basis.shape[1])])
    reduced: Matrix = ((x - mean) @ basis.float()).numpy()
    return reduced


def unit_block(matrix: Matrix, fit_rows: NDArray[np.int64]) -> Matrix:
    """Return the block scaled so that the fit rows have a mean squared norm of 1."""
    norm = float(np.sqrt(np.square(matrix[fit_rows], dtype=np.float64).sum(1).mean()))
    scaled: Matrix = matrix / np.float32(max(norm, 1e-6))
    return scaled


def patch_responses(
    images_NCHW: Images, fit_rows: NDArray[np.int64], *, filters: int = 96, seed: int = 0
) -> Matrix:
    """Return rectified responses to random whitened patches, mean-pooled on a 3 x 3 grid.

    (N, 2 * filters * 9). Source: Coates and Ng 2011 with random patches as the dictionary; the
    bank of the project's label measurements, with fewer filters and a stride.
    """
    bank = fit_patches(images_NCHW, fit_rows, filters, seed)
    return _in_chunks(images_NCHW, lambda chunk: _respond(chunk, bank))


def fit_patches(
    images_NCHW: Images, fit_rows: NDArray[np.int64], filters: int, seed: int, side: int = 6
) -> Patches:
    """Return a bank of `filters` patches drawn from the fit rows and whitened by up to 20,000."""
    rng = np.random.default_rng([3, seed])
    _, _, height, width = images_NCHW.shape
    count = min(20_000, 100 * fit_rows.size)
    rows = rng.choice(fit_rows, count)
    y, x = (rng.integers(0, extent - side + 1, count) for extent in (height, width))
    steps = np.arange(side)
    cut = images_NCHW[
        rows[:, None, None], :, (y[:, None] + steps)[:, :, None], (x[:, None] + steps)[:, None]
    ]
    flat = torch.from_numpy(cut.transpose(0, 3, 1, 2).reshape(count, -1)).double() / 255
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat / (flat.var(1, keepdim=True) + 1e-3).sqrt()
    mean = flat.mean(0)
    values, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean) / flat.shape[0])
    white = vectors @ torch.diag((values + 0.1).rsqrt()) @ vectors.T
    lively = flat[flat.var(1) > _LIVELY][:filters]
    picked = (lively if lively.shape[0] == filters else flat[:filters]) - mean
    drawn = functional.normalize(picked @ white, dim=1) @ white
    shift = -(drawn @ mean)
    drawn = drawn - drawn.mean(1, keepdim=True)  # so that a patch's own mean drops out
    shape = (filters, images_NCHW.shape[1], side, side)
    return Patches(drawn.reshape(shape).float(), shift.float(), max(2, height // 16))


def _respond(chunk: Tensor, bank: Patches) -> Tensor:
    """Responses of one chunk: contrast-normalised convolution, two-sided ReLU, pooling."""
    side = bank.filters.shape[2]
    pooled = [
        functional.avg_pool2d(part.mean(1, keepdim=True), side, bank.stride)
        for part in (chunk, chunk * chunk)
    ]
    contrast = (pooled[1] - pooled[0] ** 2).clamp_min(0) + 1e-3
    x = chunk.contiguous(memory_format=torch.channels_last)
    response = functional.conv2d(x, bank.filters, stride=bank.stride) * contrast.rsqrt()
    response = response + bank.shift[:, None, None]
    both = [functional.relu(sign * response - 0.25) for sign in (1, -1)]
    return torch.cat([functional.adaptive_avg_pool2d(p, 3).flatten(1) for p in both], dim=1)


def shape_and_colour(images_NCHW: Images) -> Matrix:
    """Return histograms of oriented gradients and a 4 x 4 grid of mean colours, (N, 1764 + 16 C).

    8 x 8 cells, 9 unsigned orientations, 2 x 2 blocks with L2-Hys. Source: Dalal and Triggs 2005.
    """
    return _in_chunks(images_NCHW, _oriented)


def _oriented(chunk: Tensor) -> Tensor:
    """HOG and colour of one chunk, float32 0..1."""
    padded = functional.pad(chunk, (1, 1, 1, 1), mode="replicate")
    dx = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    dy = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    power, best = (dx * dx + dy * dy).max(1, keepdim=True)
    dx, dy = dx.gather(1, best), dy.gather(1, best)
    place = torch.remainder(torch.atan2(dy, dx) / torch.pi, 1.0) * 9
    low = place.floor()
    share, strength = place - low, power.sqrt()
    bins = torch.zeros(chunk.shape[0], 9, *chunk.shape[2:])
    bins.scatter_add_(1, low.long() % 9, strength * (1 - share))
    bins.scatter_add_(1, (low.long() + 1) % 9, strength * share)
    cells = functional.adaptive_avg_pool2d(bins, 8)
    blocks = torch.cat(
        [cells[:, :, i : 7 + i, j : 7 + j] for i in range(2) for j in range(2)], dim=1
    )
    blocks = functional.normalize(blocks, dim=1, eps=1e-2).clamp_max(0.2)
    blocks = functional.normalize(blocks, dim=1, eps=1e-2)
    colour = functional.adaptive_avg_pool2d(chunk, 4)
    return torch.cat([blocks.flatten(1), colour.flatten(1)], dim=1)


def _in_chunks(images_NCHW: Images, work: Callable[[Tensor], Tensor]) -> Matrix:
    """Apply `work` to float chunks and stack the results."""
    parts = []
    with torch.no_grad():
        for at in range(0, images_NCHW.shape[0], _CHUNK):
            chunk = torch.from_numpy(np.ascontiguousarray(images_NCHW[at : at + _CHUNK]))
            parts.append(work(chunk.float() / 255).numpy())
    return np.concatenate(parts)
