"""airbench94_muon's published recipe, written anew from its numbers, on any device.

Source: K. Jordan, cifar10-airbench, airbench94_muon.py (2.59 s on an A100, 94.01 %, n = 200).
Batches of 2,000, 8 epochs; Muon of lr .24 and momentum .6 on filters, Nesterov SGD of momentum .85
elsewhere: lr .67 for the head, .053 for biases; decay 2e-6 times the batch a step, label smoothing
.2, summed losses, rates falling to 0 in a line, those of the whitening's bias over 3 epochs.
"""

from __future__ import annotations

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


class Airbench(nn.Module):
    """Whitening of stride 1 with a bias, three groups of two convolutions, a scaled head."""

    def __init__(self, filters: Tensor, classes: int) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(filters.shape[1], filters.shape[0], 2)
        self.whiten.weight.data.copy_(filters)
        self.whiten.weight.requires_grad = False
        nn.init.zeros_(self.whiten.bias)
        sizes = (filters.shape[0], *WIDTHS)
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for inside, outside in zip(sizes, WIDTHS, strict=False):
            for first in (inside, outside):
                conv = nn.Conv2d(first, outside, 3, padding="same", bias=False)
                nn.init.dirac_(conv.weight.data[:first])
                norm = nn.BatchNorm2d(outside, eps=1e-12, momentum=0.4)
                norm.weight.requires_grad = False
                self.convs.append(conv)
                self.norms.append(norm)
        self.head = nn.Linear(WIDTHS[-1], classes, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> logits (N, classes)."""
        x = functional.gelu(self.whiten(images_NCHW))
        for at, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(x)
            x = functional.gelu(norm(x if at % 2 else functional.max_pool2d(x, 2)))
        return self.head(functional.max_pool2d(x, 3).flatten(1)) / WIDTHS[-1]


@dataclass(frozen=True, slots=True)
class Epoch:
    """The images of an epoch, moved and mirrored as a whole."""

    images: Tensor
    labels: Tensor

    @classmethod
    def make(cls, whole: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> Epoch:
        """Move each image by up to 2 px; mirror those of `mirrored`, every other epoch the rest."""
        turn = (mirrored ^ bool(epoch % 2)).view(-1, 1, 1, 1)
        flipped = torch.where(turn, whole.flip(-1), whole)
        padded = functional.pad(flipped, (2,) * 4, mode="reflect")
        moves = torch.randint(0, 5, (len(whole), 2), device=whole.device)
        images = torch.empty_like(flipped)
        side = whole.shape[-1]
        for down in range(5):
            for right in range(5):
                at = ((moves[:, 0] == down) & (moves[:, 1] == right)).nonzero().flatten()
                images[at] = padded[at, :, down : down + side, right : right + side]
        order = torch.randperm(len(whole), device=whole.device)
        return cls(images[order], labels[order])


def train_airbench(
    pictures: Pictures, seed: int, epochs: int = EPOCHS, batch: int = BATCH
) -> Tensor:
    """Train as published and return the classes of the test rows, by its six views of each.

    Half precision on a GPU, single on a CPU.
    """
    torch.manual_seed(seed)
    data, device = pictures.data, pictures.device
    kind = torch.half if device.type == "cuda" else torch.float
    net = Airbench(pictures.standard.filters, len(data.classes)).to(device, kind)
    net.norms.float()
    net = net.to(memory_format=torch.channels_last)
    whole = pictures.batch(data.train).to(kind)
    labels = torch.from_numpy(data.labels[data.train]).to(device)
    mirrored = torch.rand(len(whole), device=device) < 0.5  # noqa: PLR2004 - half of them
    called = torch.compile(net, mode="max-autotune") if device.type == "cuda" else net
    move, steps = _mover(net), epochs * (len(whole) // batch)
    white_steps, step = WHITE_EPOCHS * (len(whole) // batch), 0
    net.train()
    for number in range(epochs):
        epoch = Epoch.make(whole, labels, mirrored, number)
        for at in range(0, len(whole) // batch * batch, batch):
            told = called(epoch.images[at : at + batch])
            given = epoch.labels[at : at + batch]
            losses = functional.cross_entropy(told, given, label_smoothing=0.2, reduction="sum")
            losses.backward()  # type: ignore[no-untyped-call]
            move(1 - step / steps, max(0.0, 1 - step / white_steps))
            step += 1
    net.eval()
    return _classes(net, pictures.batch(data.rows_of(2)).to(kind))


def _mover(net: Airbench):  # noqa: ANN202 - a step
    filters = [p for p in net.convs.parameters() if p.requires_grad]
    held = [torch.zeros_like(p) for p in filters]
    biases = [p for p in net.norms.parameters() if p.requires_grad]
    groups = [
        {"params": part, "lr": lr, "weight_decay": DECAY / lr}
        for part, lr in (([net.whiten.bias], BIAS_LR), (biases, BIAS_LR),
                         ([net.head.weight], HEAD_LR))
    ]  # fmt: skip
    rest = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
    rates = [group["lr"] for group in rest.param_groups]

    @torch.no_grad()
    def move(factor: float, white: float) -> None:
        shares = (white, factor, factor)
        for group, rate, share in zip(rest.param_groups, rates, shares, strict=True):
            group["lr"] = rate * share
        rest.step()
        for weight, momentum in zip(filters, held, strict=True):
            momentum.mul_(0.6).add_(weight.grad)
            update = orthogonal(weight.grad.add(momentum, alpha=0.6).flatten(1).bfloat16())
            weight.mul_(len(weight) ** 0.5 / weight.norm())
            weight.add_(update.view_as(weight).to(weight), alpha=-MUON_LR * factor)
        net.zero_grad(set_to_none=True)

    return move


@torch.no_grad()
def _classes(net: Airbench, images: Tensor) -> Tensor:
    """The views: mirrored or not, in place or moved by one pixel either way."""
    told = []
    for part in images.split(2000):
        side = part.shape[-1]
        padded = functional.pad(part, (1,) * 4, mode="reflect")
        views = [(part, 0.5), (padded[:, :, :side, :side], 0.25), (padded[:, :, 2:, 2:], 0.25)]
        told.append(sum(share * (net(v) + net(v.flip(-1))) for v, share in views))
    return torch.cat(told).argmax(1).cpu()


def accuracy(told: Tensor, truth: NDArray[np.int64]) -> float:
    """Return the share of test rows whose class is right."""
    return float((told.numpy() == truth).mean())
