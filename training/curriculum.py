"""Which samples of a batch a step learns from: all, or those with the highest loss."""

from __future__ import annotations

import torch
from torch import Tensor


def weigh_hardest(losses_B: Tensor, share: float) -> Tensor:
    """Return factors of the losses (..., B): the highest `share` (0..1) count, the others do not.

    Factors have a mean of 1, so that a step stays as long. Mislabelled samples ARE those with the
    highest loss: before a cleaning this is dangerous.
    Source: selection of hard samples in airbench96_faster (K. Jordan, 2404.00498), there by another
    network's loss.

    >>> weigh_hardest(torch.tensor([0.1, 3.0, 0.2, 1.0]), 0.5).tolist()
    [0.0, 2.0, 0.0, 2.0]
    """
    size = losses_B.shape[-1]
    count = max(1, round(share * size))
    chosen = losses_B.detach().topk(count, dim=-1).indices
    return torch.zeros_like(losses_B).scatter_(-1, chosen, size / count)
