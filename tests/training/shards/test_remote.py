"""Stores behind URLs: the same batches as from the folder, each byte fetched once and proven."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.shards.epochs import read_epoch, same_batches
from tests.training.shards.samples import IMAGES, TABLE, flip, image_batch, table_batch, write_raw
from training.dataset import ShardDataset
from training.errors import DamageError, StoreError
from training.resident import load_resident
from training.shards import cache
from training.shards.columns import read_columns
from training.shards.index import read_index
from training.shards.manifest import Manifest, read_manifest
from training.shards.place import open_store
from training.shards.remote import RemoteStore


@pytest.fixture
def store(tmp_path: Path, copies: Path) -> tuple[Path, Manifest, str]:
    """A store of images as a folder, and the same behind a URL."""
    assert not copies.exists()
    out = tmp_path / "store"
    return out, write_raw(out, image_batch(), IMAGES), out.as_uri()


def test_missing_package_is_named(copies: Path, monkeypatch: pytest.MonkeyPatch):
    """Without the package of a protocol the error says which to install; so does a wrong URL."""
    assert not copies.exists()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(StoreError, match=r"install gcsfs .* Install the package that it names"):
        read_manifest("gs://bucket/store")
    with pytest.raises(StoreError, match="Protocol not known: nowhere"):
        read_manifest("nowhere://bucket/store")


def test_only_what_is_asked_for_is_fetched(store: tuple[Path, Manifest, str], copies: Path):
    """Two rows cost their chunks, not the shard; rows of all kinds equal the folder's."""
    out, manifest, url = store
    shard = manifest.split("train").shards[0]
    dataset = ShardDataset(url, manifest, "train", image_size=12)
    assert dataset.blocks is not None
    rows = np.array([0, 1])
    expected = ShardDataset(out, manifest, "train", image_size=12).fetch(rows)
    assert same_batches([dataset.fetch(rows)], [expected])
    here = np.fromfile(copies / f"{shard.sha256}.map", np.uint8)
    assert 0 < here.sum() < len(here)


def test_whole_columns_and_the_resident_come_too(tmp_path: Path, store: tuple[Path, Manifest, str]):
    """Columns of images and tables, and the resident, are read from a URL as from the folder."""
    out, manifest, url = store
    shard = manifest.split("train").shards[1]
    assert read_columns(open_store(url), shard).equals(read_columns(out, shard))
    ones, others = (load_resident(where, manifest, "test", image_size=12) for where in (out, url))
    assert ones.images.equal(others.images)
    table = write_raw(tmp_path / "table", table_batch(), TABLE)
    far = load_resident((tmp_path / "table").as_uri(), table, "train")
    assert far.keys.tolist() == load_resident(tmp_path / "table", table, "train").keys.tolist()


def test_damage_far_away_is_named_by_row(store: tuple[Path, Manifest, str]):
    """A bit flipped at the far side is a DamageError that names shard and row."""
    out, manifest, url = store
    shard = manifest.split("train").shards[1]
    flip(out / shard.path, int(read_index(out, shard)["offset"][4] + 9) * 8)
    with pytest.raises(DamageError, match=f"{shard.path}, row 4: its content is not what was"):
        read_epoch(url, manifest)
    with pytest.raises(DamageError, match=f"{shard.path}, row 4: "):
        read_columns(open_store(url), shard)


@pytest.mark.parametrize("part", ["shard", "index", "manifest"])
def test_damage_in_the_cache_heals(store: tuple[Path, Manifest, str], copies: Path, part: str):
    """Copies that rotted are fetched anew, and the batches are the same."""
    out, manifest, url = store
    local = read_epoch(out, manifest)
    assert same_batches(read_epoch(url, read_manifest(url)), local)
    for shard in manifest.split("train").shards:
        name = {"shard": shard.sha256, "index": shard.index.sha256, "manifest": manifest.digest}
        rotten = copies / name[part]
        rotten.write_bytes(bytes(byte ^ 1 for byte in rotten.read_bytes()))
        if part == "manifest":
            break
    assert same_batches(read_epoch(url, read_manifest(url)), local)


def test_changed_objects_are_told(store: tuple[Path, Manifest, str]):
    """An object that was removed, cut or replaced is told; a lost index only makes it slower."""
    out, manifest, url = store
    local = read_epoch(out, manifest)
    shards = manifest.split("train").shards
    (out / shards[0].index.path).unlink()
    (out / shards[1].index.path).write_bytes(b"\x93NUMPY")
    assert same_batches(read_epoch(url, manifest), local)
    test = manifest.split("test").shards[0]
    whole = (out / test.path).read_bytes()
    rows = np.arange(test.rows)
    (out / test.path).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamageError, match="not as long as what was written"):
        ShardDataset(url, manifest, "test").fetch(rows)
    (out / test.path).unlink()
    with pytest.raises(StoreError, match=f"{test.path}: is gone"):
        ShardDataset(url, manifest, "test").fetch(rows)
    (out / test.path).write_bytes(whole)
    assert len(ShardDataset(url, manifest, "test").fetch(rows)) == test.rows
    (out / "manifests" / f"{manifest.digest}.json").write_bytes(b"{}")
    with pytest.raises(DamageError, match="not what was written"):
        read_manifest(RemoteStore(url, out.parent / "other"))


def test_processes_share_the_cache(store: tuple[Path, Manifest, str], copies: Path):
    """Two worker processes give the batches of the folder and leave every chunk here once."""
    out, manifest, url = store
    assert same_batches(read_epoch(url, manifest, workers=2), read_epoch(out, manifest))
    for shard in manifest.split("train").shards:
        copy = (copies / shard.sha256).read_bytes()
        assert len(copy) == shard.bytes
        assert (copies / f"{shard.sha256}.map").read_bytes().count(1)


def _die_while_fetching(url: str, manifest: Manifest, folder: Path) -> None:
    """Be killed by the third request, for tiny chunks one after the other."""
    cache.CHUNK, cache._REQUEST, cache._FLIGHT = 1024, 1, 1
    sparse, asked = RemoteStore(url, folder).open(manifest.split("train").shards[0]), []
    fetch = sparse._fetch

    def fetch_or_die(spans: Sequence[tuple[int, int]]) -> list[bytes]:
        asked.append(spans)
        if len(asked) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return fetch(spans)

    sparse._fetch = fetch_or_die
    sparse.ensure(np.array([0]), np.array([sparse.length]))


def test_killed_reader_leaves_a_usable_cache(store: tuple[Path, Manifest, str], copies: Path):
    """After a kill -9 in the middle of a shard others go on with what was fetched of it."""
    out, manifest, url = store
    spawning = multiprocessing.get_context("spawn")
    child = spawning.Process(target=_die_while_fetching, args=(url, manifest, copies))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    here = (copies / f"{manifest.split('train').shards[0].sha256}.map").read_bytes()
    assert here.count(1) == 2
    assert same_batches(read_epoch(url, manifest), read_epoch(out, manifest))


def test_cache_stays_within_its_limit(store: tuple[Path, Manifest, str], copies: Path):
    """What was used least recently goes first, what is open stays, and all can be read again."""
    out, manifest, url = store
    shards = manifest.split("train").shards
    far = RemoteStore(url, copies, limit=3 * max(shard.bytes for shard in shards))
    whole = [(np.array([0]), np.array([shard.bytes])) for shard in shards]
    first = far.open(shards[0])
    first.ensure(*whole[0])
    for _ in range(2):
        for shard, span in zip(shards[1:], whole[1:], strict=True):
            sparse = far.open(shard)
            sparse.ensure(*span)
            assert bytes(sparse.view) == (out / shard.path).read_bytes()
            held = sum(path.stat().st_blocks * 512 for path in copies.iterdir())
            assert held <= far.limit + 4096 * len(shards)  # whole pages, and the small maps
    assert (copies / shards[0].sha256).exists()
    assert bytes(first.view) == (out / shards[0].path).read_bytes()


def test_epoch_larger_than_the_cache(store: tuple[Path, Manifest, str], copies: Path):
    """A split that the cache cannot hold is read all the same, and the cache stays small."""
    out, manifest, url = store
    held = manifest.split("train").bytes
    small = RemoteStore(url, copies, limit=held // 2)
    assert same_batches(read_epoch(small, manifest), read_epoch(out, manifest))
    assert sum(path.stat().st_blocks * 512 for path in copies.iterdir()) < held
    (copies / manifest.split("train").shards[0].sha256).unlink(missing_ok=True)
    assert same_batches(read_epoch(small, manifest), read_epoch(out, manifest))


def test_manifest_cannot_lead_out_of_the_cache(store: tuple[Path, Manifest, str], copies: Path):
    """A manifest whose digests are paths, or whose sizes cannot be, writes nothing anywhere."""
    _, manifest, url = store
    shard = manifest.split("train").shards[0]
    with pytest.raises(DamageError, match="no sha256 in its manifest"):
        RemoteStore(url).open(replace(shard, sha256="../" * 9 + "tmp/x"))
    with pytest.raises(DamageError, match="cannot be 0 bytes long"):
        RemoteStore(url).open(replace(shard, bytes=0))
    assert not copies.exists()


def test_ranges_outside_a_file_are_nothing(store: tuple[Path, Manifest, str], copies: Path):
    """An index that points before or behind its shard makes nothing be fetched, nor fails."""
    _, manifest, url = store
    sparse = RemoteStore(url, copies).open(manifest.split("train").shards[0])
    far = np.array([-(2**40), 2**40])
    sparse.ensure(far, far + 99)
    sparse.forget(far, far + 99)
    assert not any((copies / f"{manifest.split('train').shards[0].sha256}.map").read_bytes())
