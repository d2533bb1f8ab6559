"""What is fitted on the raw training images once and shared by every run: scale and filters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.models import whitening_filters

FIT_ROWS = 2000  # read of the training images, spread evenly
_FIT_VALUES = 28 << 20  # of large images fewer are read: at most twice this, in some 1.6 GiB


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """mean, std: (1, C, 1, 1) of values 0..1. filters: see `whitening_filters`, on the CPU."""

    mean: Tensor
    std: Tensor
    filters: Tensor

    @classmethod
    def fit(cls, images_NCHW: Tensor) -> Standard:
        """Return what some uint8 training images, about `FIT_ROWS`, say.

        Up to 2,000 of 96 px are all read; of larger ones an even share, 200 where 2,000 have 224.
        """
        floats = images_NCHW[:: max(1, images_NCHW.numel() // _FIT_VALUES)].float() / 255
        mean = floats.mean((0, 2, 3), keepdim=True)
        std = floats.std((0, 2, 3), keepdim=True).clamp_min(1e-3)
        return cls(mean, std, whitening_filters(((floats - mean) / std).cpu()))

    def scale(self, images_NCHW: Tensor, layout: torch.memory_format) -> Tensor:
        """Return uint8 images as float32 of mean 0 and spread 1."""
        scaled = (images_NCHW.float() / 255 - self.mean) / self.std
        return scaled.contiguous(memory_format=layout)
