"""ResNet-18, for photos of 64 to 224 px a side."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

STAGES = 4
Norm = Callable[[int], nn.Module]


class Basic(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where shapes differ."""

    def __init__(self, inside: int, outside: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([norm(outside), norm(outside)])
        self.shortcut = nn.Sequential()
        if stride > 1 or inside != outside:
            project = nn.Conv2d(inside, outside, 1, stride, bias=False)
            self.shortcut = nn.Sequential(project, norm(outside))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, outside, H / stride, W / stride)."""
        hidden = nn.functional.relu(self.norms[0](self.first(x)))
        summed: Tensor = self.norms[1](self.second(hidden)) + self.shortcut(x)
        return nn.functional.relu(summed)


class ResNet18(nn.Module):
    """A 7x7 stem of stride 4 with its pooling, four stages of two blocks, mean pool, linear head.

    width: channels of the first stage, 64 in the paper (11.2 M weights without the head); each
    later stage doubles them. norm: makes the norm of so many channels. Convolutions start with
    He's normal values, each block's last norm at 0, so that it starts as its shortcut.

    Source: He et al. 2015 (arXiv 1512.03385); the zero start Goyal et al. 2017 (1706.02677).
    """

    def __init__(self, channels: int, classes: int, width: int, norm: Norm) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.norm = norm(width)
        sizes = [width, *(width * 2**stage for stage in range(STAGES))]
        self.blocks = nn.Sequential(
            *(
                block
                for stage, (inside, outside) in enumerate(pairwise(sizes))
                for block in (
                    Basic(inside, outside, 2 if stage else 1, norm),
                    Basic(outside, outside, 1, norm),
                )
            )
        )
        self.head = nn.Linear(sizes[-1], classes)
        self._start()

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, Basic):
                last = module.norms[1].weight
                assert isinstance(last, Tensor)
                nn.init.zeros_(last)

    def stages(self) -> list[nn.Module]:
        """Return what can be frozen, one part after another: four stages, the stem in the first."""
        pairs = [self.blocks[at : at + 2] for at in range(0, len(self.blocks), 2)]
        return [nn.ModuleList([self.stem, self.norm, pairs[0]]), *pairs[1:]]

    def forward(self, images_NCHW: Tensor, scale_ND: Tensor | None = None) -> Tensor:
        """Standardised (N, C, H, W) -> logits (N, classes). scale_ND: what dropout leaves."""
        x = nn.functional.relu(self.norm(self.stem(images_NCHW)))
        x = self.blocks(nn.functional.max_pool2d(x, 3, 2, 1))
        x = torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.head(x if scale_ND is None else x * scale_ND)
        return logits
