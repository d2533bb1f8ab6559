"""What a run needs to go on where it was killed: one file of tensors and numbers, never pickled.

Order, augmentation and dropout are functions of (seed, epoch, sample), so no generator has a state:
weights, averages, momenta and the step are all there is, and a resumed run gives the same bits.
"""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.optim import Average, Optimiser
from training.shards.store import write_atomic

EVERY_S = 30.0
DAMAGED = (  # all that reading a spoiled .npz can raise
    OSError, ValueError, KeyError, EOFError, RuntimeError, SyntaxError, TypeError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
Numbers = Mapping[str, Any]


@dataclass(slots=True)
class Checkpoint:
    """The file of one run, and how often it is written: every so many steps or seconds, if given.

    The caller's path names the run: rows, arm, seed and recipe. A file that is damaged, or whose
    tensors have other names or shapes, counts as none.
    """

    path: Path
    every_s: float | None = EVERY_S
    every_steps: int | None = None
    _last: float = field(default_factory=time.monotonic, init=False)

    def due(self, step: int) -> bool:
        """Tell whether the run should be saved after so many steps."""
        if self.every_steps is not None and step % self.every_steps == 0:
            return True
        return self.every_s is not None and time.monotonic() - self._last >= self.every_s

    def save(self, tensors: Mapping[str, Tensor], numbers: Numbers) -> None:
        """Write all in one stroke: a kill leaves the file before or the file after."""
        told: dict[str, Any] = {
            f"t:{name}": tensor.detach().cpu().numpy() for name, tensor in tensors.items()
        }
        told |= {f"n:{name}": np.asarray(value) for name, value in numbers.items()}
        buffer = io.BytesIO()
        np.savez(buffer, **told)
        write_atomic(self.path, buffer.getvalue())
        self._last = time.monotonic()

    def load(self, tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]] | None:
        """Write what was saved over `tensors` and return the numbers; None where there is none."""
        try:
            content = io.BytesIO(self.path.read_bytes())
            with np.load(content, allow_pickle=False) as stored:
                told = {name: stored[name] for name in stored.files}
        except DAMAGED:
            return None
        held = {name[2:]: torch.from_numpy(a) for name, a in told.items() if name[:2] == "t:"}
        if {name: (t.shape, t.dtype) for name, t in held.items()} != {
            name: (t.shape, t.dtype) for name, t in tensors.items()
        }:
            return None
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(held[name])
        return {name[2:]: array for name, array in told.items() if name[:2] == "n:"}

    def clear(self) -> None:
        """Forget the file: the run is finished and kept elsewhere."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """A model in training with what moves it: all that a checkpoint of it holds."""

    model: nn.Module
    average: Average
    movers: list[Optimiser]
    more: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that training changes, by name, to be saved or written over."""
        named = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        named |= {f"average.{at}": tensor for at, tensor in enumerate(self.average.held)}
        for number, mover in enumerate(self.movers):
            named |= {f"mover{number}.{at}": tensor for at, tensor in enumerate(mover.memory)}
        return {**named, **self.more}

    def go_on(self, step: int) -> None:
        """Count the steps that the written tensors have taken."""
        self.average.count = step
        for mover in self.movers:
            mover.taken = step
