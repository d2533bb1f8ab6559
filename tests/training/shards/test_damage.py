"""Damage: every flipped bit is found, and named by shard and row where it can be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.shards.samples import IMAGES, TABLE, flip, image_batch, table_batch, write_raw
from training.dataset import ShardDataset
from training.errors import DamageError
from training.resident import load_resident
from training.shards.damage import verify
from training.shards.index import read_index
from training.shards.ledger import read_ledger
from training.shards.manifest import read_manifest
from training.shards.writer import ShardSpec


@pytest.mark.parametrize(("batch", "spec"), [(image_batch(), IMAGES), (table_batch(), TABLE)])
def test_every_flipped_bit_is_found(tmp_path: Path, batch: Any, spec: ShardSpec):
    """80 single flipped bits, anywhere in any file of the store, are all found by verify."""
    write_raw(tmp_path, batch, spec)
    assert verify(tmp_path) == []
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock")
    draw = np.random.default_rng(3)
    for number in range(80):
        path = files[number % len(files)]
        bit = int(draw.integers(path.stat().st_size * 8))
        flip(path, bit)
        found = verify(tmp_path)
        assert found, (path, bit)
        if path.name != "CURRENT":
            assert str(path.relative_to(tmp_path)) in {damage.path for damage in found}
        flip(path, bit)
    assert verify(tmp_path) == []


def test_flipped_image_bit_is_named_by_row(tmp_path: Path):
    """A bit inside an image is found by verify, the resident and the random-access loader alike."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    shard = manifest.split("train").shards[1]
    entries = read_index(tmp_path, shard)
    offsets, lengths = entries["offset"], entries["length"]
    for row in (0, 3, shard.rows - 1):
        bit = int(offsets[row] + lengths[row] // 2) * 8
        flip(tmp_path / shard.path, bit)
        assert [(d.path, d.row) for d in verify(tmp_path)] == [(shard.path, row)]
        with pytest.raises(DamageError, match=f"{shard.path}, row {row}: "):
            load_resident(tmp_path, manifest, "train")
        with pytest.raises(DamageError, match=f"{shard.path}, row {row}: "):
            _ = ShardDataset(tmp_path, manifest, "train")[shard.row_start + row]
        flip(tmp_path / shard.path, bit)


def test_loader_never_returns_damaged_pixels(tmp_path: Path):
    """Any flipped bit in a shard gives an error or the very same pixels, never others."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    whole = load_resident(tmp_path, manifest, "test", image_size=12)
    path = tmp_path / manifest.split("test").shards[0].path
    draw = np.random.default_rng(5)
    refused = 0
    for bit in draw.integers(path.stat().st_size * 8, size=60).tolist():
        flip(path, bit)
        try:
            found = load_resident(tmp_path, manifest, "test", image_size=12)
            assert found.images.equal(whole.images)
            assert found.labels.equal(whole.labels)
        except DamageError:
            refused += 1
        flip(path, bit)
    assert refused > 30


def test_missing_files_are_found(tmp_path: Path):
    """A shard, an index and a ledger that are gone are each named."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    shard = manifest.split("train").shards[0]
    gone = {shard.path, shard.index.path, manifest.ledger[0].path}
    for path in gone:
        (tmp_path / path).unlink()
    assert {damage.path for damage in verify(tmp_path)} == gone
    with pytest.raises(DamageError, match="the ledger is not what was written"):
        read_ledger(tmp_path, manifest)
    with pytest.raises(DamageError, match="the shard is missing"):
        load_resident(tmp_path, manifest, "train")


def test_empty_store_is_told(tmp_path: Path):
    """A folder without a current manifest is one finding, not a traceback."""
    assert [damage.path for damage in verify(tmp_path)] == ["CURRENT"]


def test_damaged_ancestor_is_found(tmp_path: Path):
    """Verify follows the parents of the current manifest."""
    manifest = write_raw(tmp_path, table_batch(), TABLE)
    again = write_raw(tmp_path, table_batch(), TABLE)
    assert read_manifest(tmp_path) == again == manifest
    flip(tmp_path / "manifests" / f"{manifest.digest}.json", 99)
    assert [d.path for d in verify(tmp_path)] == [f"manifests/{manifest.digest}.json"]
