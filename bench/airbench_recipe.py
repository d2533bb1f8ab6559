"""airbench94_muon's published recipe, written anew from its numbers, on any device.

Source: K. Jordan, cifar10-airbench, airbench94_muon.py (2.59 s on an A100, 94.01 %, n = 200).
Batches of 2,000, 8 epochs; Muon of lr .24 and momentum .6 on filters, Nesterov SGD of momentum .85
elsewhere: lr .67 for the head, .053 for biases; decay 2e-6 times the batch a step, label smoothing
.2, summed losses, rates falling to 0 in a line, the whitening's bias learns for 3 epochs. As there,
one network is compiled once, by the fastest kernels that tuning finds, and taken back to its start
for every run. The whitening's filters are given: either side of a comparison has the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.optim import orthogonal
from training.trainer import Pictures

BATCH, EPOCHS, WHITE_EPOCHS = 2000, 8, 3
MUON_LR, HEAD_LR, BIAS_LR, DECAY = 0.24, 0.67, 0.053, 2e-6 * BATCH
WIDTHS = (64, 256, 256)
_PAD = 2  # px that an image is moved by at most


class Airbench(nn.Module):
    """Whitening of stride 1 with a bias, three groups of two convolutions, a scaled head."""

    def __init__(self, filters: Tensor, classes: int) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(filters.shape[1], filters.shape[0], 2)
        self.whiten.weight.requires_grad = False
        sizes = (filters.shape[0], *WIDTHS)
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for inside, outside in zip(sizes, WIDTHS, strict=False):
            for first in (inside, outside):
                self.convs.append(nn.Conv2d(first, outside, 3, padding="same", bias=False))
                norm = nn.BatchNorm2d(outside, eps=1e-12, momentum=0.4)
                norm.weight.requires_grad = False
                self.norms.append(norm)
        self.head = nn.Linear(WIDTHS[-1], classes, bias=False)

    @torch.no_grad()
    def reset(self, filters: Tensor) -> None:
        """Draw a new start in place, which compiled code goes on with."""
        for module in (self.whiten, *self.convs, *self.norms, self.head):
            module.reset_parameters()
        for conv in self.convs:
            nn.init.dirac_(conv.weight[: conv.in_channels])
        self.whiten.weight.copy_(filters)
        self.head.weight.div_(self.head.weight.std())

    def forward(self, images_NCHW: Tensor, bias_learns: bool = True) -> Tensor:
        """(N, 3, 32, 32) -> logits (N, classes)."""
        bias = self.whiten.bias if bias_learns else self.whiten.bias.detach()
        x = functional.gelu(functional.conv2d(images_NCHW, self.whiten.weight, bias))
        for at, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(x)
            x = functional.gelu(norm(x if at % 2 else functional.max_pool2d(x, 2)))
        return self.head(functional.max_pool2d(x, 3).flatten(1)) / WIDTHS[-1]


@dataclass(frozen=True, slots=True)
class Rows:
    """Training images, half of them mirrored, padded; each epoch moves and orders them anew."""

    padded: Tensor
    labels: Tensor

    @classmethod
    def begin(cls, images: Tensor, labels: Tensor) -> Rows:
        """Mirror and pad once for all epochs."""
        mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5  # noqa: PLR2004
        turned = torch.where(mirrored, images.flip(-1), images)
        return cls(functional.pad(turned, (_PAD,) * 4, mode="reflect"), labels)

    def epoch(self, number: int) -> tuple[Tensor, Tensor]:
        """Return images and labels: moved by up to 2 px, every other epoch turned round."""
        count, device, spots = len(self.padded), self.padded.device, range(2 * _PAD + 1)
        side = self.padded.shape[-1] - 2 * _PAD
        moves = torch.randint(0, len(spots), (count, 2), device=device)
        images = torch.empty_like(self.padded[..., :side, :side])
        for down in spots:
            for right in spots:
                at = ((moves[:, 0] == down) & (moves[:, 1] == right)).nonzero().flatten()
                images[at] = self.padded[at, :, down : down + side, right : right + side]
        order = torch.randperm(count, device=device)
        images = images.flip(-1) if number % 2 else images
        return images[order], self.labels[order]


class Reference:
    """The published network, compiled once on its device; `reset` comes before each `train`.

    Half precision on a GPU; single on a CPU, where nothing is compiled.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.pictures, cuda = pictures, pictures.device.type == "cuda"
        self.kind = torch.half if cuda else torch.float
        net = Airbench(pictures.standard.filters, len(pictures.data.classes))
        net = net.to(pictures.device, self.kind)
        net.norms.float()
        self.net = net.to(memory_format=torch.channels_last)
        if cuda:
            self.net.compile(mode="max-autotune")
        self.whiten = torch.compile(orthogonal) if cuda else orthogonal
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Go back to the start of a seed's run: weights, statistics and momenta."""
        torch.manual_seed(seed)
        self.net.reset(self.pictures.standard.filters.to(self.pictures.device, self.kind))
        self.filters = list(self.net.convs.parameters())
        self.held = [torch.zeros_like(weight) for weight in self.filters]
        biases = [p for p in self.net.norms.parameters() if p.requires_grad]
        groups = [
            {"params": part, "lr": lr, "weight_decay": DECAY / lr}
            for part, lr in (([self.net.whiten.bias], BIAS_LR), (biases, BIAS_LR),
                             ([self.net.head.weight], HEAD_LR))
        ]  # fmt: skip
        fused = self.pictures.device.type == "cuda"
        self.rest = torch.optim.SGD(groups, momentum=0.85, nesterov=True, fused=fused)

    def train(self, epochs: int = EPOCHS, batch: int = BATCH) -> Tensor:
        """Train as published; return the classes of the test rows, by its six views of each."""
        data, device = self.pictures.data, self.pictures.device
        labels = torch.from_numpy(data.labels[data.train]).to(device)
        rows = Rows.begin(self.pictures.batch(data.train).to(self.kind), labels)
        each = len(labels) // batch
        steps, white_steps, step = epochs * each, WHITE_EPOCHS * each, 0
        self.net.train()
        for number in range(epochs):
            images, given = rows.epoch(number)
            for at in range(0, each * batch, batch):
                part = slice(at, at + batch)
                told = self.net(images[part], step < white_steps)
                functional.cross_entropy(
                    told, given[part], label_smoothing=0.2, reduction="sum"
                ).backward()  # type: ignore[no-untyped-call]
                self._move(1 - step / steps, max(0.0, 1 - step / white_steps))
                step += 1
        self.net.eval()
        return self._classes(self.pictures.batch(data.rows_of(2)).to(self.kind))

    @torch.no_grad()
    def _move(self, factor: float, white: float) -> None:
        rates = (BIAS_LR * white, BIAS_LR * factor, HEAD_LR * factor)
        for group, rate in zip(self.rest.param_groups, rates, strict=True):
            group["lr"] = rate
        self.rest.step()
        for weight, momentum in zip(self.filters, self.held, strict=True):
            momentum.mul_(0.6).add_(weight.grad)
            update = self.whiten(weight.grad.add(momentum, alpha=0.6).flatten(1).bfloat16())
            weight.mul_(len(weight) ** 0.5 / weight.norm())
            weight.add_(update.view_as(weight).to(weight), alpha=-MUON_LR * factor)
        self.net.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _classes(self, images: Tensor) -> Tensor:
        """The views: mirrored or not, in place or moved by one pixel either way."""
        told = []
        for part in images.split(BATCH):
            side = part.shape[-1]
            padded = functional.pad(part, (1,) * 4, mode="reflect")
            views = ((part, 0.5), (padded[:, :, :side, :side], 0.25), (padded[:, :, 2:, 2:], 0.25))
            ways = ((way, share) for view, share in views for way in (view, view.flip(-1)))
            told.append(sum(share * self.net(way) for way, share in ways))
        return torch.cat(told).argmax(1).cpu()


@contextmanager
def as_published() -> Iterator[None]:
    """Compute by the fastest kernels, whether or not they give the same bits again; restore."""
    strict, tried = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(mode=False)
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.backends.cudnn.benchmark = tried


def accuracy(told: Tensor, truth: NDArray[np.int64]) -> float:
    """Return the share of test rows whose class is right."""
    return float((told.numpy() == truth).mean())
