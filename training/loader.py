"""Batches of images from shards: exactly once, resumable mid-epoch, elastic over ranks.

The order of an epoch is a keyed permutation; one global cursor says how far all ranks have come.
That cursor, the epoch, the seed and the kind of order are the whole state, whatever the number of
ranks, threads or worker processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.errors import TrainingError
from training.prefetch import fetch_ahead, fetch_in_processes, hand_to_device
from training.shards.order import Blocks, open_order

DRAWN = 4096  # places of the order at a time: one by one they would cost twenty times as much


class Fetchable(Protocol):
    """What a `ShardLoader` reads from. blocks: the order that suits it; None: over all rows."""

    digest: str
    blocks: Blocks | None

    def __len__(self) -> int: ...

    def fetch(self, rows: NDArray[np.int64], *, filled: int, epoch: int) -> Any:
        """Return the batch of these rows, of which the last `filled` only fill it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rank's part of a step. after: (epoch, cursor) of all ranks once it is handed out."""

    rows: NDArray[np.int64]
    filled: int
    epoch: int
    after: tuple[int, int]


class ShardLoader:
    """Batches in keyed order for one of `world` ranks; iterate once for each epoch.

    At each step all ranks together take the next batch_size * world positions of the epoch's
    order, and rank r every world-th of them from r on. So a state saved with one number of ranks
    goes on with any other, and every row comes exactly once.

    rank, world: those of torch.distributed where it runs, else 0 of 1. ends: what becomes of an
    epoch's last, incomplete step. 'short': a rank's batch may have fewer rows, or none. 'drop': it
    is left out. 'pad': it is filled up with the epoch's first rows at weight 0, so that all ranks
    take equally many full steps and a weighted loss still counts every row once. ahead: batches
    prepared while the trainer works. workers: processes that read and decode; 0: threads of this
    one, which cost less. device: where batches go; on CUDA through pinned memory on a stream of
    its own. order: 'full', over all rows, or `Blocks` of near ones; None: what suits the source.

    >>> class Numbers:
    ...     digest, blocks = "d", None
    ...     def __len__(self): return 10
    ...     def fetch(self, rows, *, filled, epoch): return rows.tolist()
    >>> loader = ShardLoader(Numbers(), batch_size=4, seed=1)
    >>> sorted(sum(loader, []))
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(
        self,
        source: Fetchable,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int | None = None,
        world: int | None = None,
        ends: Literal["short", "drop", "pad"] = "short",
        ahead: int = 1,
        workers: int = 0,
        device: str | torch.device | None = None,
        order: Blocks | Literal["full"] | None = None,
    ) -> None:
        here = _distributed()
        rank, world = here[0] if rank is None else rank, here[1] if world is None else world
        if batch_size < 1 or not 0 <= rank < world or ahead < 0 or workers < 0:
            problem = "needs batch_size >= 1, 0 <= rank < world, ahead and workers >= 0"
            got = {"batch_size": batch_size, "rank": rank, "world": world, "ahead": ahead,
                   "workers": workers}  # fmt: skip
            raise TrainingError("loader", problem, got=got)
        self._source, self._seed, self._ends = source, seed, ends
        self._rank, self._world = rank, world
        self._ahead, self._workers, self._device = ahead, workers, device
        self._step = batch_size * world
        self._blocks = source.blocks if order is None else None if order == "full" else order
        self._epoch = self._cursor = 0

    def __len__(self) -> int:
        """Steps in a whole epoch."""
        rows = len(self._source)
        return rows // self._step if self._ends == "drop" else -(-rows // self._step)

    def __iter__(self) -> Iterator[Any]:
        epoch = self._epoch
        fetch = fetch_in_processes if self._workers else fetch_ahead
        pairs = fetch(self._source, self._steps(), self._workers or self._ahead)
        for step, batch in hand_to_device(pairs, self._device):
            self._epoch, self._cursor = step.after
            yield batch
        self._epoch, self._cursor = epoch + 1, 0

    def _steps(self) -> Iterator[Step]:
        """This rank's steps from the cursor to the end of the epoch."""
        rows, epoch, cursor = len(self._source), self._epoch, self._cursor
        order = open_order(rows, self._seed, epoch, self._blocks)
        end = rows - (self._step - 1 if self._ends == "drop" else 0)
        size = self._step // self._world
        while cursor < end:
            steps = min(-(-DRAWN // size), -(-(end - cursor) // self._step))
            mine = np.arange(cursor + self._rank, cursor + steps * self._step, self._world)
            drawn = order.at(mine % rows)
            for first in range(0, len(mine), size):
                cursor += self._step
                after = (epoch, cursor) if cursor < end else (epoch + 1, 0)
                part = drawn[first : first + size]
                filled = int((mine[first : first + size] >= rows).sum())
                if self._ends != "pad":
                    part, filled = part[: size - filled], 0
                yield Step(part, filled, epoch, after)

    def state_dict(self) -> dict[str, Any]:
        """Return where all ranks stand after the last batch that was handed out."""
        return {
            "manifest": self._source.digest,
            "seed": self._seed,
            "epoch": self._epoch,
            "cursor": self._cursor,
            "order": asdict(self._blocks) if self._blocks else "full",
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a loader with any number of ranks stood, in the order that it had.

        Raises:
            TrainingError: if the state belongs to another manifest or is out of range.
        """
        if state["manifest"] != self._source.digest:
            told = f"This loader reads {self._source.digest}."
            problem = "the state belongs to another manifest"
            raise TrainingError("loader", problem, got=state["manifest"], allowed=told)
        if not 0 <= state["cursor"] < len(self._source):
            raise TrainingError("loader", "the cursor is out of range", got=state["cursor"])
        self._seed, self._epoch = int(state["seed"]), int(state["epoch"])
        self._cursor = int(state["cursor"])
        self._blocks = None if state["order"] == "full" else Blocks(**state["order"])


def _distributed() -> tuple[int, int]:
    """Rank and world size of this process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
