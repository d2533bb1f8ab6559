"""Optimisers, the schedule and the averaged weights that curves are read from.

Not `torch.optim`: its base class imports the compiler, 2 seconds in every worker process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn


class Optimiser(Protocol):
    """What moves weights: `factor` scales the learning rate of this step.

    taken: steps so far. With the tensors of `memory` it is all that an optimiser remembers.
    """

    taken: int

    @property
    def memory(self) -> list[Tensor]:
        """What it holds from step to step, to be saved and written over."""

    def step(self, factor: float) -> None:
        """Move every weight once and forget its gradient."""


def _gradients(weights: Iterable[Tensor]) -> list[Tensor]:
    """Take the gradients off the weights."""
    taken = []
    for weight in weights:
        assert weight.grad is not None
        taken.append(weight.grad)
        weight.grad = None
    return taken


def _learning(weights: Iterable[Tensor], held: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The weights that are not frozen, each with its momentum."""
    return [pair for pair in zip(weights, held, strict=True) if pair[0].requires_grad]


class Nesterov:
    """SGD with Nesterov momentum.

    weight_decay: the share, 0 to below 1, that a step at full rate takes off each weight but
    vectors (norms, biases), whatever lr is.
    """

    def __init__(
        self, weights: Sequence[Tensor], lr: float, weight_decay: float, momentum: float = 0.85
    ) -> None:
        self.weights, self.lr, self.momentum = list(weights), lr, momentum
        self.held = [torch.zeros_like(w) for w in weights]
        self.decay, self.taken = weight_decay, 0

    @property
    def memory(self) -> list[Tensor]:
        """The momentum of each weight."""
        return self.held

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Move every weight once and forget its gradient."""
        self.taken += 1
        weights, held = map(list, zip(*_learning(self.weights, self.held), strict=True))
        gradients = _gradients(weights)
        torch._foreach_mul_(held, self.momentum)
        torch._foreach_add_(held, gradients)
        torch._foreach_add_(gradients, held, alpha=self.momentum)
        decayed = [w for w in weights if w.ndim > 1]
        if self.decay and decayed:
            torch._foreach_mul_(decayed, 1 - self.decay * factor)
        torch._foreach_add_(weights, gradients, alpha=-self.lr * factor)


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): lr times it is taken off.

    Elementwise, so stacked members of a batched model never touch each other.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        lr: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.95),
    ) -> None:
        self.weights, self.lr, self.decay, self.betas = list(weights), lr, weight_decay, betas
        self.first = [torch.zeros_like(w) for w in weights]
        self.second = [torch.zeros_like(w) for w in weights]
        self.counts = [torch.zeros((), device=w.device) for w in weights]
        self.taken = 0

    @property
    def memory(self) -> list[Tensor]:
        """The running moments of each weight."""
        return [*self.first, *self.second]

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Move every weight once and forget its gradient."""
        self.taken += 1
        gradients, (fast, slow) = _gradients(self.weights), self.betas
        for count in self.counts:
            count.fill_(self.taken)
        torch._fused_adamw_(
            self.weights, gradients, self.first, self.second, [], self.counts,
            lr=self.lr * factor, beta1=fast, beta2=slow, weight_decay=self.decay, eps=1e-8,
            amsgrad=False, maximize=False,
        )  # fmt: skip


class Muon:
    """Nesterov momentum whose update of each filter bank is made orthogonal.

    For weights of two or more dimensions, flattened to (out, rest). Source: Muon of airbench94
    (K. Jordan 2024), three Newton-Schulz steps; fp32 here, since CPUs are slow in bf16.
    """

    def __init__(self, weights: Sequence[Tensor], lr: float, momentum: float = 0.6) -> None:
        self.weights, self.lr, self.momentum = list(weights), lr, momentum
        self.held = [torch.zeros_like(w) for w in weights]
        self.taken = 0

    @property
    def memory(self) -> list[Tensor]:
        """The momentum of each weight."""
        return self.held

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Move every weight once and forget its gradient."""
        self.taken += 1
        learning = _learning(self.weights, self.held)
        gradients = _gradients(weight for weight, _ in learning)
        for (weight, held), gradient in zip(learning, gradients, strict=True):
            held.mul_(self.momentum).add_(gradient)
            update = orthogonal(gradient.add(held, alpha=self.momentum).flatten(1))
            weight.mul_(weight.shape[0] ** 0.5 / weight.norm())
            weight.add_(update.view_as(weight), alpha=-self.lr * factor)


def orthogonal(matrix: Tensor, steps: int = 3, eps: float = 1e-7) -> Tensor:
    """Return the nearest semi-orthogonal matrix, roughly: all singular values near 1.

    Source: quintic Newton-Schulz iteration, coefficients of Muon (K. Jordan 2024).

    >>> orthogonal(torch.diag(torch.tensor([5.0, 3.0])), steps=6).diagonal().gt(0.6).all().item()
    True
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrix / (matrix.norm() + eps)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def optimisers(model: nn.Module, name: str, lr: float, weight_decay: float) -> list[Optimiser]:
    """Return the optimisers of a recipe: `sgd` for all weights, or `muon` for the filters.

    Muon decays no filter, as in airbench, so that weight_decay then moves the head alone.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if name != "muon":
        return [Nesterov(trained, lr, weight_decay)]
    rest = [p for p in trained if p.ndim != 4]  # noqa: PLR2004 - filters have four dimensions
    return [
        Muon([p for p in trained if p.ndim == 4], lr=0.6 * lr),  # noqa: PLR2004
        Nesterov(rest, lr, weight_decay),
    ]


def warm_up(step: int, steps: int, share: float = 0.1) -> float:
    """Return the factor on lr: a linear start, then constant.

    Constant on purpose: under a decaying schedule the time to a target is a property of the
    schedule. The averaged weights do what the decay would.

    >>> [warm_up(step, 100) for step in (0, 4, 50)]
    [0.1, 0.5, 1.0]
    """
    return min(1.0, (step + 1) / max(1.0, share * steps))


def wind_down(step: int, steps: int, share: float) -> float:
    """Return the factor on lr of warm-up, stable and decay: the last `share` goes to 0 in a line.

    Source: warmup-stable-decay (Hu et al. 2024, arXiv 2404.06395), linear decay as Haegele et al.
    2024 (arXiv 2405.18392) find it to do.

    >>> [round(wind_down(step, 100, 0.2), 2) for step in (0, 50, 80, 90, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.05]
    """
    left = (steps - step) / max(1.0, share * steps)
    return min(warm_up(step, steps), left)


class Average:
    """Exponential moving average of tensors, with a short memory at the start.

    span: the steps it remembers once warm.
    """

    def __init__(self, tensors: Iterable[Tensor], span: float) -> None:
        self.live = [t.detach() for t in tensors if t.is_floating_point()]
        self.held = [t.clone() for t in self.live]
        self.span, self.count = max(1.0, span), 0

    def of(self, live: Tensor) -> Tensor:
        """Return the averaged value of one of the tensors."""
        pairs = zip(self.live, self.held, strict=True)
        return next(held for one, held in pairs if one.data_ptr() == live.data_ptr())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the current values."""
        self.count += 1
        pull = min(1.0, max(1 / self.span, 10 / (self.count + 10)))
        torch._foreach_lerp_(self.held, self.live, pull)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange live and averaged values; a second call restores them."""
        for live, held in zip(self.live, self.held, strict=True):
            kept = live.clone()
            live.copy_(held)
            held.copy_(kept)
