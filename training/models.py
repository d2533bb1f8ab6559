"""The networks of the train tier: a small one for CPUs, and what a recipe may ask of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.errors import TrainingError
from training.limits import NET, NetName, Norm, Stride, check
from training.resnet import ResNet18

WIDTHS = (16, 32, 64)


@dataclass(frozen=True, slots=True)
class Net:
    """Which network a recipe trains; the default is the one that pays on a CPU.

    name: small, or resnet18 for photos of 64 to 224 px. widths: channels of the small net's
    blocks, as many blocks as widths. convs: 3x3 convolutions in each block, at least 1. residual:
    each block adds what its first convolution gave to what its last one gives (convs 2 or more).
    width: channels of a resnet's first stage, which each later stage doubles. norm: batch, or group
    (no sample's output depends on the others). stride: of the small net's whitening, 2 costs a
    third of 1. dirac: its convolutions start as the identity, as far as channels go. dropout:
    share of the last features set to 0 in training, 0 to below 1.

    Raises:
        TrainingError: if a value is out of range.
    """

    name: NetName = "small"
    widths: tuple[int, ...] = WIDTHS
    convs: int = 2
    residual: bool = False
    width: int = 64
    norm: Norm = "batch"
    stride: Stride = 2
    dirac: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no network can be built from."""
        check("recipe.net", NET, {one.name: getattr(self, one.name) for one in fields(self)})
        if self.residual and self.convs == 1:
            allowed = "With residual at least 2."
            raise TrainingError("recipe.net.convs", "cannot be", got=1, allowed=allowed)


DEFAULT = Net()


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


def normalise(channels: int, kind: str, momentum: float = 0.4) -> nn.Module:
    """Return a batch norm, or a group norm of about 16 channels a group."""
    if kind == "group":
        groups = max(g for g in range(1, max(1, channels // 16) + 1) if channels % g == 0)
        return nn.GroupNorm(groups, channels)
    return nn.BatchNorm2d(channels, momentum=momentum)


class Block(nn.Module):
    """3x3 convolutions, each normed; the first one halves the side if there is room."""

    def __init__(self, inside: int, outside: int, net: Net) -> None:
        super().__init__()
        sizes = [inside, *[outside] * net.convs]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in pairwise(sizes)
        )
        self.norms = nn.ModuleList(normalise(outside, net.norm) for _ in range(net.convs))
        self.residual = net.residual
        if net.dirac:
            for conv in self.convs:
                assert isinstance(conv, nn.Conv2d)
                nn.init.dirac_(conv.weight.data[: conv.in_channels])

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, outside, H // 2, W // 2)."""
        x = self.convs[0](x)
        if min(x.shape[2:]) > 1:
            x = nn.functional.max_pool2d(x, 2)
        first = hidden = nn.functional.gelu(self.norms[0](x))
        for at in range(1, len(self.convs)):
            hidden = self.norms[at](self.convs[at](hidden))
            if self.residual and at == len(self.convs) - 1:
                hidden = hidden + first
            hidden = nn.functional.gelu(hidden)
        return hidden


class SmallNet(nn.Module):
    """Frozen 2x2 whitening, blocks of convolutions, global max pool, linear head.

    For 1 or 3 channels, 16 to 96 px a side. 76 k weights at 3 channels as it comes.
    Source: airbench's shape at the widths that pay on a CPU; residual as in its airbench96.
    """

    def __init__(self, filters: Tensor, classes: int, net: Net = DEFAULT) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(
            filters.shape[1], filters.shape[0], 2, stride=net.stride, bias=False
        )
        self.whiten.weight.data.copy_(filters)
        self.whiten.weight.requires_grad = False
        inside = (filters.shape[0], *net.widths[:-1])
        self.blocks = nn.Sequential(
            *(Block(i, o, net) for i, o in zip(inside, net.widths, strict=True))
        )
        self.head = nn.Linear(net.widths[-1], classes, bias=False)

    def stages(self) -> list[nn.Module]:
        """Return what can be frozen, one part after another: the blocks."""
        return list(self.blocks)

    def forward(self, images_NCHW: Tensor, scale_ND: Tensor | None = None) -> Tensor:
        """Standardised (N, C, H, W) -> logits (N, classes). scale_ND: what dropout leaves."""
        x = nn.functional.gelu(self.whiten(images_NCHW))
        x = self.blocks(x).amax(dim=(2, 3))
        logits: Tensor = self.head(x if scale_ND is None else x * scale_ND)
        return logits


Network = SmallNet | ResNet18


def filter_banks(net: nn.Module) -> list[Tensor]:
    """Return the 3x3 filters that learn, a tensor for each convolution."""
    return [
        module.weight
        for module in net.modules()
        if isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.weight.requires_grad
    ]


def build(
    filters: Tensor,
    classes: int,
    seed: int,
    device: torch.device,
    net: Net = DEFAULT,
    *,
    layout: torch.memory_format = torch.channels_last,
) -> Network:
    """Return the network initialised as a function of `seed` alone.

    filters: of `whitening_filters`; a resnet takes but its channels from them. The global
    generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Network = (
            SmallNet(filters, classes, net)
            if net.name == "small"
            else ResNet18(filters.shape[1], classes, net.width, lambda c: normalise(c, net.norm))
        )
    return made.to(device=device, memory_format=layout)  # type: ignore[call-overload,no-any-return]
