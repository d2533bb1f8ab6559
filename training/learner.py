"""One network while it learns: its weights, their average, the momenta, and the step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.augment import augment, dropout_scale
from training.checkpoint import Learning
from training.curriculum import weigh_hardest
from training.errors import TrainingError
from training.limits import IMAGES, check
from training.models import Network, build, filter_banks
from training.optim import Average, optimisers
from training.recipe import Recipe
from training.sparsity import Sparse
from training.weights import take_over

Longs = NDArray[np.int64]
Forward = Callable[..., Any]


class Learner:
    """A network, keyed by `key` alone in its start and by (key, epoch, sample) in all that moves.

    wrapped: what is called in training, the network itself unless it is set to a compiled or a
    distributed one. start: the weights that the recipe names; the network's head is its own.

    Raises:
        TrainingError: if the recipe's `start` was not handed over, it freezes more blocks than the
            network has, or its weight_decay is none of images.
    """

    def __init__(  # noqa: PLR0917 - what a network is made of
        self,
        filters: Tensor,
        classes: int,
        key: int,
        recipe: Recipe,
        device: torch.device,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.recipe, self.key, self.device = recipe, key, device
        self.net: Network = build(
            filters, classes, key, device, recipe.net, layout=recipe.memory_format
        )
        check("recipe", IMAGES, {"weight_decay": recipe.weight_decay})
        if recipe.start and start is None:
            raise TrainingError("recipe.start", "these weights are not here", got=recipe.start)
        if len(recipe.freeze) > (most := len(self.net.stages())):
            told = f"At most {most}, the network's blocks."
            raise TrainingError("recipe.freeze", "too many", got=len(recipe.freeze), allowed=told)
        if start is not None:
            take_over(self.net, start)
        span = recipe.ema_share * recipe.steps
        self.average = Average([*self.net.parameters(), *self.net.buffers()], span)
        self.movers = optimisers(self.net, recipe.optimiser, recipe.lr, recipe.weight_decay)
        self.sparse = Sparse(filter_banks(self.net), self.average, recipe)
        self.learning = Learning(self.net, self.average, self.movers, self.sparse.named())
        self.wrapped: Forward = compiled(self.net, recipe)
        self._freeze(0)

    def predict(self, images_NCHW: Tensor, ids: Longs, epochs: Longs) -> Tensor:
        """Return the logits (B, classes) of a training batch, augmented, with their gradients.

        images_NCHW: standardised. ids: what keys each sample, (B,). The logits are the caller's to
        keep: a replayed graph's own output is written over by the next batch.
        """
        recipe = self.recipe
        images = augment(
            images_NCHW, ids, epochs, self.key, translate_px=recipe.translate_px, flip=recipe.flip
        )
        images = images.contiguous(memory_format=recipe.memory_format)
        scale = None
        if rate := recipe.net.dropout:
            drawn = dropout_scale(ids, epochs, self.key, self.net.head.in_features, rate)
            scale = torch.from_numpy(drawn).to(self.device)
        self.net.train()
        with self._precision():
            logits: Tensor = self.wrapped(images, scale)
        return logits.to(torch.float32, copy=recipe.engine == "graphs")

    def _precision(self) -> torch.autocast:
        low = self.recipe.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)

    def move(self, loss: Tensor, step: int) -> None:
        """Take the step that lowers the loss, and average."""
        loss.backward()  # type: ignore[no-untyped-call]
        for mover in self.movers:
            mover.step(self.recipe.factor(step))
        self.sparse.hold(step + 1)
        self.average.update()
        self._freeze(step + 1)

    def _freeze(self, taken: int) -> None:
        """Let the blocks whose time is over learn no more; their norms go on reading batches."""
        for stage, share in zip(self.net.stages(), self.recipe.freeze, strict=False):
            if taken >= round(share * self.recipe.steps):
                stage.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def evaluate(self, parts: Iterable[Tensor]) -> Tensor:
        """Return the averaged network's logits (R, classes), on the CPU, of standardised images."""
        self.net.eval()
        self.average.swap()
        with self._precision():
            told = [self.net(images).float().cpu() for images in parts]
        self.average.swap()
        return torch.cat(told) if told else torch.zeros(0, self.net.head.out_features)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that training changes, to be saved or written over."""
        return self.learning.tensors()

    def averaged(self) -> dict[str, Tensor]:
        """Return a copy of the averaged network's tensors by name, on the CPU."""
        self.average.swap()
        told = {name: own.detach().cpu().clone() for name, own in self.net.state_dict().items()}
        self.average.swap()
        return told

    def go_on(self, step: int) -> None:
        """Count the steps that the written tensors have taken."""
        self.learning.go_on(step)
        self._freeze(step)


def compiled(net: Network, recipe: Recipe) -> Forward:
    """Return what a training step calls: the network, or as compiled code or replayed graphs."""
    if recipe.engine == "eager":
        return net
    mode = "reduce-overhead" if recipe.engine == "graphs" else "default"
    return torch.compile(net, mode=mode)


def weighted_loss(
    logits: Tensor, labels: Tensor, weights: NDArray[np.float32], recipe: Recipe
) -> Tensor:
    """Return the batch's mean of weight times cross entropy, of its hardest share if asked for."""
    smoothing = recipe.label_smoothing
    losses = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    weighted = losses * torch.from_numpy(weights).to(logits.device)
    if recipe.hardest < 1:
        weighted = weighted * weigh_hardest(weighted, recipe.hardest)
    return weighted.mean()
