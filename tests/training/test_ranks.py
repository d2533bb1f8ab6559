"""A group of one process: what several ranks compute together, beside what one computes alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, distributed

from training.models import Net, build, whitening_filters
from training.ranks import Ranks

CPU = torch.device("cpu")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group that holds this process only."""
    store = distributed.FileStore(str(tmp_path / "meet"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(("low", "most"), [(False, 1e-5), (True, 0.05)])
def test_shared_norms_compute_what_torch_does(*, low: bool, most: float) -> None:
    """Under float32 and bf16, logits, gradients and running means are those of torch's own norms.

    Sums over all ranks are float32 whatever the network computes in; bf16 rounds at 2**-8.
    """
    images = torch.rand(32, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    told: list[list[Tensor]] = []
    for shared in (False, True):
        net = build(whitening_filters(images), 3, 1, CPU, Net(widths=(8, 16)))
        forward = Ranks(0, 2).wrap(net) if shared else net
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            logits = forward(images)
        logits.float().square().mean().backward()
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        told.append([logits.detach().float(), *grads, *(b.float() for b in net.buffers())])
    for one, other in zip(*told, strict=True):
        scale = float(one.abs().max())
        assert np.allclose(one, other, rtol=0, atol=most * scale)
