"""Epochs of stores, wherever they lie, and whether two are the same."""

from __future__ import annotations

from pathlib import Path

from training.dataset import Batch, ShardDataset
from training.loader import ShardLoader
from training.shards.manifest import Manifest
from training.shards.order import Blocks
from training.shards.remote import RemoteStore

ORDER = Blocks(9, 4)


def read_epoch(out: Path | str | RemoteStore, manifest: Manifest, **how: int) -> list[Batch]:
    """One epoch of train in an order by blocks."""
    dataset = ShardDataset(out, manifest, "train", image_size=12)
    return list(ShardLoader(dataset, 17, seed=3, order=ORDER, **how))


def same_batches(ones: list[Batch], others: list[Batch]) -> bool:
    """Whether images, labels and ids are equal, batch by batch."""
    return all(
        a.images.equal(b.images) and a.labels.equal(b.labels) and (a.ids == b.ids).all()
        for a, b in zip(ones, others, strict=True)
    )
