"""Heads of tables that are each the mean of k networks which share almost all of their weights.

TabM (Gorishniy, Kotelnikov, Babenko, ICLR 2025, arXiv 2410.24210): each member scales the inputs
and outputs of every shared layer by vectors of its own and has its own last layer. Members learn
from the same batch, each by its own loss; their probabilities are averaged.

Not the default: on Adult (bench/table_nets.py, six seeds) eight members reach 85.9 % where the
perceptron of the experiment has 85.7 % for an eighth of the CPU time, and lose to it at equal time;
they win only where the perceptron is trained so long that it learns by heart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.recipe import Recipe
from training.vectors import Vectors


class Ensemble(nn.Module):
    """M heads (D -> hidden -> hidden -> classes) of k members each, as stacked weights.

    A head's start is a function of its seed alone; its members differ at first by random signs on
    the inputs and by their last layers. In training the logits are (M, k, B, classes), in
    evaluation those of the mean probabilities, (M, B, classes).
    """

    def __init__(
        self,
        seeds: Sequence[int],
        inputs: int,
        recipe: Recipe,
        classes: int,
        levels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        width = recipe.embedding if levels else 0
        sizes = [inputs + width * len(levels), *[recipe.hidden] * recipe.layers]
        k, self.count, self.classes = recipe.members, len(seeds), classes
        drawn = [_draw(seed, sizes, classes, k, sum(levels) * width) for seed in seeds]
        signs, *layers, last, flat = [torch.stack(parts) for parts in zip(*drawn, strict=True)]
        self.weights = nn.ParameterList(nn.Parameter(layer) for layer in layers)
        ones = [torch.ones(len(seeds), k, 1, size) for size in sizes[1:]]
        self.ins = nn.ParameterList(map(nn.Parameter, [signs, *(one.clone() for one in ones[:-1])]))
        self.outs = nn.ParameterList(nn.Parameter(one.clone()) for one in ones)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros_like(one)) for one in ones)
        self.last = nn.Parameter(last)
        self.shift = nn.Parameter(torch.zeros(len(seeds), k, 1, classes))
        self.vectors = Vectors(flat.flatten(), levels, len(seeds), width) if width else None

    def forward(
        self, numbers: Tensor, codes: Tensor | None = None, members: Sequence[int] | None = None
    ) -> Tensor:
        """(M or 1, B, D) and (M or 1, B, K) -> logits; members: only these M heads."""

        def pick(stacked: Tensor) -> Tensor:
            return stacked if members is None else stacked[list(members)]

        if self.vectors is not None and codes is not None:
            numbers = self.vectors(numbers, codes, members)
        hidden = numbers.unsqueeze(1)
        parts = zip(self.ins, self.weights, self.outs, self.biases, strict=True)
        for scale, weight, after, bias in parts:
            wide = hidden * pick(scale)
            told = torch.bmm(wide.flatten(1, 2), pick(weight)).view(*wide.shape[:3], -1)
            hidden = functional.relu(torch.addcmul(pick(bias), told, pick(after)))
        logits = torch.matmul(hidden, pick(self.last)) + pick(self.shift)
        return logits if self.training else mean_logits(logits)


def _draw(seed: int, sizes: list[int], classes: int, k: int, extra: int) -> list[Tensor]:
    """One head's start: signs (k, 1, D), He's normal layers, last layers, vectors."""
    source = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (k, 1, sizes[0]), generator=source) * 2.0 - 1
    layers = [torch.randn(i, o, generator=source) * (2 / i) ** 0.5 for i, o in pairwise(sizes)]
    last = torch.randn(k, sizes[-1], classes, generator=source) * 0.1 * (2 / sizes[-1]) ** 0.5
    return [signs, *layers, last, torch.randn(extra, generator=source) * 0.3]


def mean_logits(logits_MkBC: Tensor) -> Tensor:
    """Return log probabilities (M, B, C) of the members' mean probabilities.

    >>> mean_logits(torch.zeros(1, 3, 1, 2)).exp().tolist()
    [[[0.5, 0.5]]]
    """
    logs = functional.log_softmax(logits_MkBC, dim=-1)
    return logs.logsumexp(1) - math.log(logits_MkBC.shape[1])
