"""A run, or a batch of heads, that kills itself right after its second checkpoint."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import bars
from training.arms import raw_arm
from training.checkpoint import Checkpoint
from training.heads import Rows, train_heads
from training.jobs import repeatable
from training.models import Net
from training.recipe import Recipe
from training.trainer import Pictures, Run, train

CPU = torch.device("cpu")
RECIPES = {
    "plain": Recipe("train", 24, 32, 0.05, 5e-4, evals=4),
    "all": Recipe(
        "train", 24, 32, 0.05, 5e-4, evals=4, optimiser="muon", schedule="wsd", flip=True,
        net=Net(widths=(8, 16), convs=3, residual=True, dropout=0.3),
    ),
    "held": Recipe(
        "train", 24, 32, 0.05, 5e-4, evals=4, sparsity=0.7, sparse_from=0.4, freeze=(0.5, 0.8),
        net=Net(widths=(8, 16)),
    ),
}  # fmt: skip
HEADS = {
    "heads": Recipe(
        "train", 24, 32, 3e-3, 0.1, evals=4, hidden=16, embedding=4, sparsity=0.5, sparse_from=0.3,
    ),
    "ensemble": Recipe("train", 24, 32, 3e-3, 0.1, evals=4, hidden=16, members=3),
}  # fmt: skip


class Deadly(Checkpoint):
    """Kills this process after so many savings; a number that is never reached: not at all."""

    __slots__ = ("left",)

    def save(self, *state: object) -> None:
        """Save, and die when it is time."""
        super().save(*state)  # type: ignore[arg-type]
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def run(name: str, path: Path | None, left: int = 0) -> list[Run]:
    """Train; die at the `left`th checkpoint. Without a path nothing is kept."""
    saved = None
    if path is not None:
        saved = Deadly(path, every_s=None, every_steps=7)
        saved.left = left
    with repeatable(CPU):
        if name in RECIPES:
            data = bars()
            return [train(Pictures(data, CPU), raw_arm(data), 0, RECIPES[name], saved)]
        data = clouds()
        raw = raw_arm(data)
        half = replace(raw, name="cleaned", keep=np.arange(raw.keep.size) % 2 > 0)
        runs = [(raw, 0), (half, 0), (raw, 1), (half, 1)]
        return train_heads(Rows(data, CPU), runs, HEADS[name], saved)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), 2)
