"""Learnt vectors of category columns, for many models at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Vectors(nn.Module):
    """Each of K category columns adds a learnt vector to the D numbers, for M models of their own.

    start: (M * sum(levels) * width,) values. levels: codes of each column.
    """

    def __init__(self, start: Tensor, levels: Sequence[int], models: int, width: int) -> None:
        super().__init__()
        self.offset: Tensor
        self.table = nn.Parameter(start.view(-1, width))
        starts = np.concatenate([[0], np.cumsum(levels)[:-1]])
        model = np.arange(models)[:, None, None] * sum(levels)
        self.register_buffer("offset", torch.from_numpy((starts + model).astype(np.int64)))

    def forward(self, numbers: Tensor, codes: Tensor, models: Sequence[int] | None) -> Tensor:
        """(M or 1, B, D) and (M or 1, B, K) -> (M, B, D + K width); models: only these M."""
        offset = self.offset if models is None else self.offset[list(models)]
        looked_up = functional.embedding(codes + offset, self.table).flatten(2)
        return torch.cat([numbers.expand(looked_up.shape[0], -1, -1), looked_up], dim=2)
