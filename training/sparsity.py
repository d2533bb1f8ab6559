"""Sparse networks: the smallest weights of each bank, held at zero from a step on."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from training.optim import Average
from training.recipe import Recipe


class Sparse:
    """The recipe's share `sparsity` of each bank's weights, at zero from `sparse_from` on.

    They are chosen once, by magnitude, each bank for itself; the rest goes on learning. Dense
    kernels multiply zeros like any other number, so that no step becomes faster.

    banks: weights that learn. stacked: their first dimension counts networks, each of which has
    banks of its own. masks: as the banks, 1 where a weight may differ from 0.

    Source: Han et al. 2015 (arXiv 1506.02626), in one round.
    """

    def __init__(
        self, banks: Iterable[Tensor], average: Average, recipe: Recipe, *, stacked: bool = False
    ) -> None:
        self.banks = list(banks) if recipe.sparsity else []
        self.averaged = [average.of(bank) for bank in self.banks]
        self.masks = [torch.ones_like(bank) for bank in self.banks]
        self.share, self.stacked = recipe.sparsity, stacked
        self.begin = max(1, round(recipe.sparse_from * recipe.steps))

    def named(self) -> dict[str, Tensor]:
        """Return the masks by name, to be saved with a run."""
        return {f"mask.{at}": mask for at, mask in enumerate(self.masks)}

    @torch.no_grad()
    def hold(self, taken: int) -> None:
        """Set to zero what stays there, after so many steps; choose it when its time has come."""
        if taken < self.begin:
            return
        if taken == self.begin:
            for bank, averaged, mask in zip(self.banks, self.averaged, self.masks, strict=True):
                mask.copy_(mask_smallest(bank, self.share, stacked=self.stacked))
                averaged.mul_(mask)
        for bank, mask in zip(self.banks, self.masks, strict=True):
            bank.mul_(mask)


def mask_smallest(bank: Tensor, share: float, *, stacked: bool = False) -> Tensor:
    """Return 0 for the `share` (0 to below 1) of the weights nearest to zero, 1 for the others.

    At least one weight is left. stacked: each bank[i] for itself.

    >>> mask_smallest(torch.tensor([0.1, -3.0, 0.2, 1.0]), 0.5).tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    flat = bank.flatten(1) if stacked else bank.reshape(1, -1)
    left = max(1, flat.shape[1] - round(share * flat.shape[1]))
    largest = flat.abs().topk(left, dim=1).indices
    return torch.zeros_like(flat).scatter_(1, largest, 1.0).view(bank.shape)
