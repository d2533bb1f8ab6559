"""What a batch costs from rows that are resident in memory, and from shards through the loader."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from training.dataset import ShardDataset
from training.loader import ShardLoader
from training.shards.manifest import Manifest


def time_feeds(
    store: Path, manifest: Manifest, *, image_size: int, batch_size: int, batches: int = 30
) -> dict[str, float]:
    """Return CPU seconds of one batch of train images: `resident` and `loader`, uint8 each.

    Resident: rows are picked from one tensor that holds the split. Loader: read and decoded from
    the shards. Both in the loader's order, over up to `batches` batches, decoding threads counted.

    Raises:
        TrainingError: if the manifest has no images, or they cannot be read.
    """
    source = ShardDataset(store, manifest, "train", image_size=image_size)
    loader = ShardLoader(source, batch_size, ends="drop")
    begun = time.process_time()
    seen = [batch.rows for batch in islice(loader, batches)]
    loaded = time.process_time() - begun
    shape = (len(source), 3, image_size, image_size)
    images = torch.zeros(shape, dtype=torch.uint8)
    begun = time.process_time()
    for rows in seen:
        images[torch.from_numpy(np.asarray(rows))].contiguous(memory_format=torch.channels_last)
    resident = time.process_time() - begun
    count = max(1, len(seen))
    return {"resident": resident / count, "loader": loaded / count}
