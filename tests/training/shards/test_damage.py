"""Damage: every flipped bit is found, and named by shard and row where it can be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.shards.samples import (
    IMAGES,
    TABLE,
    flip,
    image_batch,
    table_batch,
    write_raw,
    write_without,
)
from training.dataset import ShardDataset
from training.errors import DamageError
from training.resident import load_resident
from training.shards import damage
from training.shards.damage import repair_indexes, verify
from training.shards.index import read_index
from training.shards.ledger import read_ledger
from training.shards.manifest import read_manifest
from training.shards.store import point_current
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


def test_damaged_index_is_named_by_row_and_made_anew(tmp_path: Path):
    """A flipped bit in an index is told by its row, and repair gives the very bytes back."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    first, second = manifest.split("train").shards[:2]
    good = (tmp_path / first.index.path).read_bytes()
    entry = read_index(tmp_path, first).dtype.itemsize
    flip(tmp_path / first.index.path, (len(good) - 2 * entry + 5) * 8)
    (tmp_path / second.index.path).unlink()
    found = {(one.path, one.row) for one in verify(tmp_path)}
    assert found == {(first.index.path, first.rows - 2), (second.index.path, -1)}
    mended = repair_indexes(tmp_path)
    assert mended == sorted([first.index.path, second.index.path])
    assert (tmp_path / first.index.path).read_bytes() == good
    assert verify(tmp_path) == []
    assert repair_indexes(tmp_path) == []


def test_index_of_a_damaged_shard_is_not_made_up(tmp_path: Path):
    """An index whose shard is damaged too stays missing: what it would say is not what it said."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    shard = manifest.split("train").shards[0]
    offset = int(read_index(tmp_path, shard)["offset"][2])
    (tmp_path / shard.index.path).unlink()
    flip(tmp_path / shard.path, offset * 8 + 80)
    assert repair_indexes(tmp_path) == []
    assert [(d.path, d.row) for d in verify(tmp_path)] == [(shard.path, 2), (shard.index.path, -1)]


@pytest.mark.parametrize("byte", range(0, 128, 3))
def test_damaged_head_of_an_index_does_not_stop_a_loader(tmp_path: Path, byte: int):
    """Whatever the first bytes of an index say, the same samples are read, slower or not."""
    manifest = write_raw(tmp_path, image_batch(20), IMAGES)
    shard = manifest.split("train").shards[0]
    whole = ShardDataset(tmp_path, manifest, "train")[0][0]
    flip(tmp_path / shard.index.path, byte * 8 + byte % 8)
    assert ShardDataset(tmp_path, manifest, "train")[0][0].equal(whole)


def test_shared_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that several manifests name is hashed once, and progress counts files."""
    batch = image_batch()
    raw = write_raw(tmp_path, batch, IMAGES)
    write_without(tmp_path, batch, set(batch.column("key").to_pylist()[:2]), IMAGES, raw)
    hashed: list[Path] = []
    real = damage.file_digest
    monkeypatch.setattr(damage, "file_digest", lambda path: hashed.append(path) or real(path))
    seen: list[tuple[int, int]] = []
    assert verify(tmp_path, progress=lambda *step: seen.append(step)) == []
    on_disk = [p for top in ("data", "index", "ledger") for p in (tmp_path / top).rglob("*.*")]
    assert sorted(hashed) == sorted(on_disk)
    assert seen == [(n + 1, len(on_disk)) for n in range(len(on_disk))]


def test_every_manifest_is_looked_at(tmp_path: Path):
    """With `every` a manifest that nothing current descends from is proven, and strays are told."""
    old = write_raw(tmp_path, image_batch(20), IMAGES, make_current=False)
    write_raw(tmp_path, table_batch(), TABLE)
    (tmp_path / old.ledger[0].path).unlink()
    assert verify(tmp_path) == []
    (tmp_path / "manifests" / "notes.json").write_text("{}")
    paths = [one.path for one in verify(tmp_path, every=True)]
    assert paths == ["manifests/notes.json", old.ledger[0].path]


def test_current_that_names_nothing_is_told(tmp_path: Path):
    """A CURRENT that holds no digest, or one of no manifest, is damage of CURRENT."""
    write_raw(tmp_path, table_batch(), TABLE)
    for told in ("../../etc/passwd", "0" * 64):
        point_current(tmp_path, told)
        found = [(one.path, one.problem) for one in verify(tmp_path)]
        assert found == [("CURRENT", "names no manifest of this store")]


def test_worst_is_told_first(tmp_path: Path):
    """What is lost for good stands before what can be made anew."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    shard = manifest.split("train").shards[0]
    for path in (shard.index.path, manifest.ledger[0].path, shard.path):
        (tmp_path / path).unlink()
    assert [one.part for one in verify(tmp_path)] == ["data", "ledger", "index"]
