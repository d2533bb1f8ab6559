"""One rank of a user's own loop under torchrun: DDP over gloo, batches from a ShardLoader."""

import json
import sys
from pathlib import Path

import torch
from torch import distributed
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from training.dataset import ShardDataset
from training.loader import ShardLoader
from training.shards.manifest import read_manifest

STATE_AFTER = 2


def main() -> None:
    """Train one epoch of a linear model and write down what was seen and learnt."""
    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()
    out, told = Path(sys.argv[1]), Path(sys.argv[2])
    dataset = ShardDataset(out, read_manifest(out), "train", image_size=12, channels=1, threads=1)
    loader = ShardLoader(dataset, 8, seed=2, ends="pad")
    model = torch.nn.Linear(144, 3)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    wrapped = DistributedDataParallel(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    ids: list[int] = []
    state, at_state, steps = {}, 0, 0
    for batch in loader:
        losses = functional.cross_entropy(
            wrapped(batch.images.float().flatten(1) / 255), batch.labels, reduction="none"
        )
        total = batch.weights.sum()
        distributed.all_reduce(total)
        optimiser.zero_grad()
        ((losses * batch.weights).sum() * world / total).backward()  # DDP takes the ranks' mean
        optimiser.step()
        ids += batch.ids[batch.weights.numpy() > 0].tolist()
        steps += 1
        if steps == STATE_AFTER:
            state, at_state = loader.state_dict(), len(ids)
    weights = model.weight.detach().flatten().tolist()
    found = {"ids": ids, "state": state, "at_state": at_state, "steps": steps, "weights": weights}
    (told / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
