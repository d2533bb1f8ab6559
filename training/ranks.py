"""The processes that train one network together, as torchrun starts them, or the only one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.distributed._functional_collectives import all_reduce  # its gradient is summed too
from torch.nn.parallel import DistributedDataParallel

from training.learner import Forward


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process, `rank` of `world`; alone it talks to nobody."""

    rank: int = 0
    world: int = 1

    def wrap(self, net: nn.Module) -> Forward:
        """Return what a training step calls: its gradients are the mean over the ranks.

        Batch norms read the batches of all ranks, so that the result does not depend on how many
        there are.
        """
        if self.world == 1:
            return net
        _share_statistics(net)
        return DistributedDataParallel(net, forward_sync_buffers=False)

    def interleave(self, mine: Tensor, count: int) -> Tensor:
        """Return rows 0..count - 1, of which rank r holds r, r + world, and so on."""
        if self.world == 1:
            return mine
        most = -(-count // self.world)
        full = mine.new_zeros(most, *mine.shape[1:])
        full[: mine.shape[0]] = mine
        held = [torch.empty_like(full) for _ in range(self.world)]
        distributed.all_gather(held, full)
        return torch.stack(held, dim=1).flatten(0, 1)[:count]


@contextmanager
def join(device: torch.device) -> Iterator[Ranks]:
    """Meet the other processes that torchrun started; without torchrun this one is alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of all ranks' batches, on any device.

    torch's own SyncBatchNorm needs a GPU. Batches are of one size on all ranks. Sums are float32
    whatever the images are, as those of torch's own are.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), normed over N, H, W of all ranks in training; of the dtype that it had."""
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._norm(x.float()).to(x.dtype)

    def _norm(self, x: Tensor) -> Tensor:
        world = distributed.get_world_size()
        sums = torch.cat([x.sum((0, 2, 3)), x.square().sum((0, 2, 3))])
        count = world * x.numel() / x.shape[1]
        assert distributed.group.WORLD is not None
        whole = all_reduce(sums, "sum", distributed.group.WORLD)
        mean, square = (whole / count).chunk(2)
        var = (square - mean.square()).clamp_min(0)
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        normed: Tensor = x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
        return normed


def _share_statistics(net: nn.Module) -> None:
    """Put a shared norm in the place of each batch norm, around the same weights and buffers."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.weight, shared.bias = child.weight, child.bias
                shared.running_mean, shared.running_var = child.running_mean, child.running_var
                shared.num_batches_tracked = child.num_batches_tracked
                setattr(parent, name, shared)
