"""The bars of the trainer's tests as shards."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tests.training.shards.samples import IMAGES, encode, write_raw
from tests.training.test_trainer_runs import bars
from training.shards.manifest import Manifest


def write_bars(
    out: Path, weights: NDArray[np.float32] | None = None, *, wrong: bool = False
) -> Manifest:
    """Write 160 images of train, 50 of val, 50 of test, 16 px; the fourth has no label.

    wrong: with each label the other one.
    """
    data = bars(side=16)
    assert data.images is not None
    labels = [data.classes[label ^ wrong] for label in data.labels]
    columns = {
        "key": [f"{n * 2_654_435_761 % 2**32:032x}-0" for n in range(len(labels))],
        "label": [*labels[:3], None, *labels[4:]],
        "split": np.array(["train", "val", "test"])[data.split].tolist(),
        "image": [encode(image[0], "PNG") for image in data.images],
    }
    if weights is not None:
        columns["weight"] = weights
    return write_raw(out, pa.record_batch(columns), IMAGES)
