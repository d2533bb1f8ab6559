"""Training one manifest that need not fit into memory, on one process or on many together.

The recipe, the network, the length of a step and the record are those of `training.trainer.train`.
The arm is the manifest itself, its rows come in the order of a ShardLoader, an epoch straight after
another; samples are augmented by their key, the same in every manifest that holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow.compute as pc
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
from training.loader import DRAWN, Fetchable
from training.prefetch import fetch_ahead, hand_to_device
from training.ranks import Ranks
from training.recipe import Recipe
from training.shards.columns import read_columns
from training.shards.manifest import Manifest
from training.shards.order import open_order
from training.shards.place import Store, open_store
from training.shards.split import stored_shards
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
    """The rows of one manifest: train is streamed, val and test are read as curves need them.

    weight: mean weight of the rows of train, 0 for one without a label.
    """

    train: Split
    val: Split
    test: Split
    weight: float

    @classmethod
    def open(
        cls, out: str | Store, manifest: Manifest, *, image_size: int = 32, channels: int = 3
    ) -> Splits:
        """Open the three splits of a manifest.

        Raises:
            StoreError: if a split is missing.
            TrainingError: if a split is empty, the manifest holds a table, or no row of train has
                both a label and a weight.
            DamageError: if labels or weights are not what was written.
        """
        train, val, test = (
            ShardDataset(out, manifest, split, image_size=image_size, channels=channels)
            for split in ("train", "val", "test")
        )
        return cls(train, val, test, mean_weight(out, manifest))


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


def mean_weight(out: str | Store, manifest: Manifest) -> float:
    """Return the mean weight of the rows of train, in which one without a label counts 0.

    Raises:
        TrainingError: if that leaves nothing to learn from.
        DamageError: if a shard is not what was written.
    """
    store, shards, total = open_store(out), stored_shards(manifest, "train"), 0.0
    for shard in shards:
        facts = read_columns(store, shard, ["label", "weight"])
        known = facts["weight"].filter(pc.is_valid(facts["label"]))
        total += pc.sum(known).as_py() or 0.0
    if total <= 0:
        where = f"manifest {manifest.name}"
        problem = "no row of train has a label and a weight above 0"
        raise TrainingError(where, problem, got=total, allowed="A sum of weights above 0.")
    return total / sum(shard.rows for shard in shards)


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
    sums. cpu_s are rank 0's. Batches cross the end of an epoch, and weights are scaled to a mean of
    1 over the split, so every row counts once in each epoch. A run has no dynamics.

    Raises:
        TrainingError: if the ranks cannot share a batch, or cannot do what the recipe asks for, or
            a row is damaged.
        DivergedError: if the loss is not a finite number where the curve is read, or at the end.
    """
    device, ranks = device or torch.device("cpu"), ranks or Ranks()
    _guard(recipe, ranks)
    some = splits.train.fetch(spread(len(splits.train), FIT_ROWS), filled=0, epoch=0)
    standard = Standard.fit(some.images.to(device))
    key, classes = keyed_seed(arm, seed), len(splits.train.classes)
    learner = Learner(standard.filters, classes, key, recipe, device)
    learner.wrapped = ranks.wrap(learner.net) if ranks.world > 1 else learner.wrapped
    trail = Trail(learner, saved, None)
    feed = _feed(splits.train, _steps(splits.train, key, recipe, ranks, trail.step), device)
    val = _HeldOut(splits.val, spread(len(splits.val), CURVE_ROWS), ranks, resident=True)
    due = set(recipe.eval_steps())
    for step in range(trail.step, recipe.steps + 1):
        if ranks.rank == 0:
            trail.keep(step)
        if step in due:
            with trail.reading():
                read = score(*val.read(learner, standard))
            trail.add(step, guard_loss(read, arm, seed, recipe, step))
        if step < recipe.steps:
            learner.move(_loss(learner, standard, next(feed), ranks, splits.weight), step)
    test = _HeldOut(splits.test, np.arange(len(splits.test)), ranks, resident=False)
    logits, labels = test.read(learner, standard)
    told = _labels_only(labels, splits.train.classes)
    n = len(splits.train)
    whole = Arm(arm, np.ones(n, bool), *[np.zeros(0)] * 3)  # type: ignore[arg-type]
    return finished(whole, seed, recipe, trail.curve, logits, told), told


def _labels_only(labels: Longs, classes: Sequence[str]) -> TrainingData:
    split = np.full(labels.size, 2, np.int8)
    return TrainingData("image", tuple(classes), np.empty(0, np.str_), labels, split)


def _guard(recipe: Recipe, ranks: Ranks) -> None:
    """Refuse what these ranks cannot do together."""
    if recipe.batch_size % ranks.world:
        raise TrainingError("training.batch_size", "cannot be shared evenly", got=recipe.batch_size,
                            allowed=f"Multiples of {ranks.world}, the ranks.")  # fmt: skip
    if ranks.world == 1:
        return
    if recipe.freeze:
        raise TrainingError("recipe.freeze", "only one process can freeze blocks",
                            got=ranks.world, allowed="1 process, or no freeze.")  # fmt: skip
    if recipe.engine != "eager":
        raise TrainingError("recipe.engine", f"{ranks.world} processes cannot compile together",
                            got=recipe.engine, allowed="eager, or 1 process.")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Share:
    """One rank's rows of a step, and the epoch that each is drawn from; none only fills it."""

    rows: Longs
    epochs: Longs
    filled: int = 0
    epoch: int = 0


def _draw(train: Split, key: int, positions: Longs) -> tuple[Longs, Longs]:
    """Return the rows at positions of an order without end, and the epoch of each."""
    epochs, places = np.divmod(positions, len(train))
    rows = np.empty_like(places)
    for epoch in np.unique(epochs).tolist():
        there = epochs == epoch
        rows[there] = open_order(len(train), key, epoch, train.blocks).at(places[there])
    return rows, epochs


def _steps(train: Split, key: int, recipe: Recipe, ranks: Ranks, first: int) -> Iterator[_Share]:
    """Yield this rank's part of each step from `first` on: every world-th of the step's places."""
    size = recipe.batch_size
    many = -(-DRAWN // size)
    for step in range(first, recipe.steps, many):
        last = min(step + many, recipe.steps)
        positions = np.arange(step * size + ranks.rank, last * size, ranks.world)
        drawn = _draw(train, key, positions)
        yield from map(_Share, *(part.reshape(last - step, -1) for part in drawn))


def _feed(
    train: Split, steps: Iterator[_Share], device: torch.device
) -> Iterator[tuple[Batch, Longs]]:
    """Yield the batch of each step and the epochs of its rows, fetched a step ahead."""
    for share, batch in hand_to_device(fetch_ahead(train, steps, 1), device):
        yield batch, share.epochs


def _loss(
    learner: Learner, standard: Standard, drawn: tuple[Batch, Longs], ranks: Ranks, mean: float
) -> Tensor:
    """Return this rank's part of a step's loss; the mean over the ranks is that of `train`.

    mean: weight of a row of the split, by which weights are divided.
    """
    (batch, epochs), recipe = drawn, learner.recipe
    weights = batch.weights * (batch.labels >= 0) / mean
    images = standard.scale(batch.images, recipe.memory_format)
    logits = learner.predict(images, batch.ids, epochs)
    losses = functional.cross_entropy(
        logits, batch.labels.clamp_min(0), reduction="none", label_smoothing=recipe.label_smoothing
    )
    weighted = losses * weights
    if recipe.hardest < 1:  # of the samples of all ranks, as one process would choose them
        whole = ranks.interleave(weighted.detach(), recipe.batch_size)
        factors = weigh_hardest(whole, recipe.hardest)
        weighted = weighted * factors[ranks.rank :: ranks.world]
    return weighted.mean()
