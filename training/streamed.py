"""Training one manifest that need not fit into memory, on one process or on many together.

The recipe, the network and the record are those of `training.trainer.train`. The rows come from a
ShardLoader, so the arm is the manifest itself and the order is the loader's; samples are augmented
by their key, the same in every manifest that holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.arms import Arm, TrainingData, keyed_seed
from training.checkpoint import Checkpoint
from training.curriculum import weigh_hardest
from training.dataset import Batch, ShardDataset
from training.errors import TrainingError
from training.learner import Learner
from training.loader import Fetchable, ShardLoader
from training.ranks import Ranks
from training.recipe import Recipe
from training.shards.manifest import Manifest
from training.shards.place import Store
from training.standard import FIT_ROWS, Standard
from training.trail import Trail
from training.trainer import CURVE_ROWS, Run, finished, guard_loss, score

_CHUNK = 256
Longs = NDArray[np.int64]


class Split(Fetchable, Protocol):
    """A split by row number, as `ShardDataset` is."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the labels' numbers."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The rows of one manifest: train is streamed, val and test are read as curves need them."""

    train: Split
    val: Split
    test: Split

    @classmethod
    def open(
        cls, out: str | Store, manifest: Manifest, *, image_size: int = 32, channels: int = 3
    ) -> Splits:
        """Open the three splits of a manifest.

        Raises:
            StoreError: if a split is missing.
            TrainingError: if a split is empty or the manifest holds a table.
        """
        parts = (
            ShardDataset(out, manifest, split, image_size=image_size, channels=channels)
            for split in ("train", "val", "test")
        )
        return cls(*parts)


class _HeldOut:
    """Rows of a held-out split, of which this rank reads its share."""

    def __init__(self, split: Split, rows: Longs, ranks: Ranks, *, resident: bool) -> None:
        self.split, self.count, self.ranks = split, rows.size, ranks
        self.rows = rows[ranks.rank :: ranks.world]
        self.kept = list(self._fetch()) if resident else None

    def _fetch(self) -> Iterator[Batch]:
        for at in range(0, self.rows.size, _CHUNK):
            yield self.split.fetch(self.rows[at : at + _CHUNK], filled=0, epoch=0)

    def read(self, learner: Learner, standard: Standard) -> tuple[Tensor, Longs]:
        """Return logits (R, classes) and labels (R,) of the labelled rows, on every rank."""
        labels: list[Tensor] = []

        def parts() -> Iterator[Tensor]:
            for batch in self._fetch() if self.kept is None else self.kept:
                labels.append(batch.labels)
                images = batch.images.to(learner.device)
                yield standard.scale(images, learner.recipe.memory_format)

        mine = learner.evaluate(parts())
        logits = self.ranks.interleave(mine.to(learner.device), self.count).cpu()
        given = torch.cat([torch.zeros(0, dtype=torch.int64), *labels]).to(learner.device)
        told = self.ranks.interleave(given, self.count).cpu().numpy()
        return logits[told >= 0], told[told >= 0]


def spread(count: int, most: int) -> Longs:
    """Return at most so many of `count` rows, evenly.

    >>> spread(10, 3).tolist()
    [0, 4, 9]
    """
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def train_streamed(
    splits: Splits,
    seed: int,
    recipe: Recipe,
    *,
    arm: str = "raw",
    device: torch.device | None = None,
    ranks: Ranks | None = None,
    saved: Checkpoint | None = None,
) -> tuple[Run, TrainingData]:
    """Train one network on a streamed split; return its run and the test labels it was read on.

    recipe: batch_size counts the samples of all ranks' step, which must share it evenly. arm: name
    of the run. saved: as for `train`; on many ranks a file that all of them see. The second value
    holds no features: it is what `curve_frame` asks for.

    On one device the same call gives the same bits; on several ranks the same up to the order of
    sums. cpu_s are rank 0's. Weights are scaled to a mean of 1 in each step. A run has no dynamics.

    Raises:
        TrainingError: if the ranks cannot share a batch, or a row is damaged.
            Also if blocks are to freeze on several ranks.
        DivergedError: if the loss is not a finite number where the curve is read, or at the end.
    """
    device, ranks = device or torch.device("cpu"), ranks or Ranks()
    if recipe.batch_size % ranks.world:
        raise TrainingError("training.batch_size", "cannot be shared evenly", got=recipe.batch_size,
                            allowed=f"Multiples of {ranks.world}, the ranks.")  # fmt: skip
    if recipe.freeze and ranks.world > 1:
        raise TrainingError("recipe.freeze", "only one process can freeze blocks",
                            got=ranks.world)  # fmt: skip
    some = splits.train.fetch(spread(len(splits.train), FIT_ROWS), filled=0, epoch=0)
    standard = Standard.fit(some.images.to(device))
    key, classes = keyed_seed(arm, seed), len(splits.train.classes)
    learner = Learner(standard.filters, classes, key, recipe, device)
    learner.wrapped = ranks.wrap(learner.net) if ranks.world > 1 else learner.wrapped
    trail = Trail(learner, saved, None)
    feed = _Feed(splits.train, key, recipe.batch_size, ranks, device)
    feed.go_on(trail.more)
    val = _HeldOut(splits.val, spread(len(splits.val), CURVE_ROWS), ranks, resident=True)
    due, batches = set(recipe.eval_steps()), feed.batches()
    for step in range(trail.step, recipe.steps + 1):
        if ranks.rank == 0:
            trail.keep(step, feed.place())
        if step in due:
            read = score(*val.read(learner, standard))
            trail.add(step, guard_loss(read, arm, seed, recipe, step))
        if step < recipe.steps:
            _advance(learner, standard, next(batches), ranks, step)
    test = _HeldOut(splits.test, np.arange(len(splits.test)), ranks, resident=False)
    logits, labels = test.read(learner, standard)
    told = _labels_only(labels, splits.train.classes)
    n = len(splits.train)
    whole = Arm(arm, np.ones(n, bool), *[np.zeros(0)] * 3)  # type: ignore[arg-type]
    return finished(whole, seed, recipe, trail.curve, logits, told), told


def _labels_only(labels: Longs, classes: Sequence[str]) -> TrainingData:
    split = np.full(labels.size, 2, np.int8)
    return TrainingData("image", tuple(classes), np.empty(0, np.str_), labels, split)


class _Feed:
    """Batches without end, from where a run stands."""

    def __init__(
        self, train: Split, key: int, size: int, ranks: Ranks, device: torch.device
    ) -> None:
        self.loader = ShardLoader(
            train, size // ranks.world, seed=key, rank=ranks.rank, world=ranks.world, ends="pad",
            device=device,
        )  # fmt: skip

    def batches(self) -> Iterator[Batch]:
        """Yield this rank's batches, epoch after epoch."""
        while True:
            yield from self.loader

    def place(self) -> dict[str, int]:
        """Return where all ranks stand in the order."""
        state = self.loader.state_dict()
        return {name: state[name] for name in ("epoch", "cursor")}

    def go_on(self, place: dict[str, NDArray[Any]]) -> None:
        """Stand where `place` says, if it says anything."""
        if place:
            state = self.loader.state_dict()
            self.loader.load_state_dict(state | {name: int(at) for name, at in place.items()})


def _advance(learner: Learner, standard: Standard, batch: Batch, ranks: Ranks, step: int) -> None:
    """Take one step: the weighted mean over the samples of all ranks that have a label."""
    recipe, known = learner.recipe, batch.labels >= 0
    weights = batch.weights * known
    images = standard.scale(batch.images, recipe.memory_format)
    logits = learner.predict(images, batch.ids, np.full(len(batch), batch.epoch))
    losses = functional.cross_entropy(
        logits, batch.labels.clamp_min(0), reduction="none", label_smoothing=recipe.label_smoothing
    )
    weighted = losses * weights
    if recipe.hardest < 1:  # of the samples of all ranks, as one process would choose them
        whole = ranks.interleave(weighted.detach(), recipe.batch_size)
        factors = weigh_hardest(whole, recipe.hardest)
        weighted = weighted * factors[ranks.rank :: ranks.world]
    total = ranks.total(weights.sum()).clamp_min(1e-12)
    learner.move(weighted.sum() * ranks.world / total, step)
