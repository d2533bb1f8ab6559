"""The small convolutional network of the train tier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)


def whitening_filters(images_NCHW: Tensor, size: int = 2, eps: float = 5e-4) -> Tensor:
    """Return filters (2 C size^2, C, size, size) whose responses to the patches are white.

    images_NCHW: float32, 0..1, the raw training images; up to 2,000 are read.
    Source: frozen whitening layer of airbench (K. Jordan, 2404.00498).
    """
    some = images_NCHW[:: max(1, images_NCHW.shape[0] // 2000)]
    patches = nn.functional.unfold(some, size, stride=size).transpose(1, 2)
    flat = patches.reshape(-1, patches.shape[2]).double()
    flat = flat - flat.mean(0)
    values, vectors = torch.linalg.eigh(flat.T @ flat / flat.shape[0])
    signs = torch.where(vectors.sum(0) < 0, -1.0, 1.0)  # eigh leaves the sign open
    white = (vectors * signs / (values + eps).sqrt()).T.flip(0).float()
    filters = white.reshape(-1, images_NCHW.shape[1], size, size)
    return torch.cat([filters, -filters])


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm; the first one halves the side if there is room."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outside, momentum=0.4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, outside, H // 2, W // 2)."""
        x = self.first(x)
        if min(x.shape[2:]) > 1:
            x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.gelu(self.norms[0](x))
        hidden: Tensor = nn.functional.gelu(self.norms[1](self.second(x)))
        return hidden


class SmallNet(nn.Module):
    """Frozen 2x2 stride-2 whitening, three blocks, global max pool, linear head.

    For 1 or 3 channels, 16 to 96 px a side. 76 k weights at 3 channels.
    Source: airbench's shape at the widths that pay on a CPU.
    """

    def __init__(self, filters: Tensor, classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(filters.shape[1], filters.shape[0], 2, stride=2, bias=False)
        self.whiten.weight.data.copy_(filters)
        self.whiten.weight.requires_grad = False
        inside = (filters.shape[0], *widths[:-1])
        self.blocks = nn.Sequential(*(Block(i, o) for i, o in zip(inside, widths, strict=True)))
        self.head = nn.Linear(widths[-1], classes, bias=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) float32 in 0..1 -> logits (N, classes)."""
        x = nn.functional.gelu(self.whiten(images_NCHW))
        x = self.blocks(x).amax(dim=(2, 3))
        logits: Tensor = self.head(x)
        return logits


def build(filters: Tensor, classes: int, seed: int, device: torch.device) -> SmallNet:
    """Return the network initialised as a function of `seed` alone, channels last.

    The global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SmallNet(filters, classes)
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
