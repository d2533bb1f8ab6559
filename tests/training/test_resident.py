"""The resident: a whole split in memory, equal to its source."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch

from tests.training.shards.samples import IMAGES, TABLE, image_batch, table_batch, write_raw
from training import resident
from training.errors import TrainingError
from training.resident import load_resident
from training.shards.pixels import decode_image


def test_images_equal_their_source(tmp_path: Path):
    """Every image stands under its key with the pixels that its source bytes decode to."""
    batch = image_batch()
    manifest = write_raw(tmp_path, batch, IMAGES)
    for split in ("train", "test"):
        held = load_resident(tmp_path, manifest, split, image_size=12, channels=1, threads=2)
        assert list(held.keys) == sorted(held.keys)
        source = {row["key"]: row for row in batch.to_pylist() if row["split"] == split}
        assert set(held.keys) == set(source)
        for place, key in enumerate(held.keys):
            expected = decode_image(source[str(key)]["image"], 12, 1)
            assert held.images[place].numpy().tobytes() == expected.tobytes()
            assert held.classes[held.labels[place]] == source[str(key)]["label"]
    assert held.images.dtype == torch.uint8
    assert held.weights.eq(1).all()


def test_columns_equal_their_source(tmp_path: Path):
    """A table's features come back as numpy columns, gaps as NaN and None, sorted by key."""
    batch = table_batch()
    manifest = write_raw(tmp_path, batch, TABLE)
    held = load_resident(tmp_path, manifest, "train")
    frame = pl.DataFrame(pl.from_arrow(batch)).filter(pl.col("split") == "train").sort("key")
    assert list(held.columns) == ["size", "gap", "word", "count"]
    assert held.columns["word"].tolist() == frame["word"].to_list()
    for name in ("size", "gap", "count"):
        np.testing.assert_array_equal(held.columns[name], frame[name].to_numpy())
    assert held.keys.tolist() == frame["key"].to_list()
    assert held.images is None


def test_unlabelled_rows_are_minus_one(tmp_path: Path):
    """A row without a label has the label number -1."""
    batch = table_batch(20)
    blank = batch.set_column(1, "label", pl.Series([None, *["c"] * 19]).to_arrow())
    held = load_resident(tmp_path, write_raw(tmp_path, blank, TABLE), "test")
    assert sorted(held.labels.tolist()) == [-1, 0, 0, 0]


def test_too_large_split_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A split above a quarter of the free memory is refused before anything is allocated."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    monkeypatch.setattr(resident, "free_bytes", lambda _: 1_000)
    with pytest.raises(TrainingError, match="split 'train' needs"):
        load_resident(tmp_path, manifest, "train")


def test_undecodable_image_is_named(tmp_path: Path):
    """Intact bytes that are no image are refused with shard, row and what to do."""
    batch = image_batch(10)
    images = [b"no image", *batch.column("image").to_pylist()[1:]]
    broken = batch.set_column(batch.schema.names.index("image"), "image", pa.array(images))
    manifest = write_raw(tmp_path, broken, IMAGES)
    with pytest.raises(TrainingError, match=r"data/test/\w+.parquet, row \d+: no decoder can read"):
        load_resident(tmp_path, manifest, "test")
