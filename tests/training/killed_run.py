"""A run that kills itself, as the kernel would, right after its second checkpoint."""

import os
import signal
import sys
from pathlib import Path

import torch

from tests.training.test_trainer_runs import bars
from training.arms import raw_arm
from training.checkpoint import Checkpoint
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


class Deadly(Checkpoint):
    """Kills this process after so many savings; a number that is never reached: not at all."""

    __slots__ = ("left",)

    def save(self, *state: object) -> None:
        """Save, and die when it is time."""
        super().save(*state)  # type: ignore[arg-type]
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def run(name: str, path: Path, left: int) -> Run:
    """Train; die at the `left`th checkpoint."""
    data = bars()
    saved = Deadly(path, every_s=None, every_steps=7)
    saved.left = left
    with repeatable(CPU):
        return train(Pictures(data, CPU), raw_arm(data), 0, RECIPES[name], saved)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), 2)
