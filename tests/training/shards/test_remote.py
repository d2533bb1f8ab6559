"""Stores behind URLs: the same batches as from the folder, each byte fetched once and proven."""

import multiprocessing
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.shards.bucket import ACCESS, Relay, serve_s3, upload
from tests.training.shards.samples import IMAGES, TABLE, flip, image_batch, table_batch, write_raw
from training.dataset import Batch, ShardDataset
from training.errors import DamageError, StoreError
from training.loader import ShardLoader
from training.resident import load_resident
from training.shards import cache, remote
from training.shards.columns import read_columns
from training.shards.index import read_index
from training.shards.manifest import Manifest, read_manifest
from training.shards.order import Blocks
from training.shards.place import open_store
from training.shards.remote import RemoteStore

ORDER = Blocks(9, 4)


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of tiny chunks, and no long waiting."""
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "CHUNK", 1024)
    monkeypatch.setattr(remote, "_PAUSES_S", (0.0,))
    return tmp_path / "cache" / "shards"


@pytest.fixture
def store(tmp_path: Path, copies: Path) -> tuple[Path, Manifest, str]:
    """A store of images as a folder, and the same behind a URL."""
    assert not copies.exists()
    out = tmp_path / "store"
    return out, write_raw(out, image_batch(), IMAGES), out.as_uri()


def _epoch(out: Path | str | RemoteStore, manifest: Manifest, **how: int) -> list[Batch]:
    dataset = ShardDataset(out, manifest, "train", image_size=12)
    return list(ShardLoader(dataset, 17, seed=3, order=ORDER, **how))


def _same(ones: list[Batch], others: list[Batch]) -> bool:
    return all(
        a.images.equal(b.images) and a.labels.equal(b.labels) and (a.ids == b.ids).all()
        for a, b in zip(ones, others, strict=True)
    )


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Manifest, int]]:
    """A store of images as a folder and in the bucket of a real S3 server; the server's port."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("flask_cors", reason="moto's server is not installed")
    pytest.importorskip("moto", reason="moto is not installed")
    out = tmp_path_factory.mktemp("store")
    with serve_s3() as port, pytest.MonkeyPatch.context() as patch:
        for name, value in ACCESS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        manifest = write_raw(out, image_batch(), IMAGES)
        upload(out, "s3://bucket/store")
        yield out, manifest, port


@pytest.fixture
def wire(
    bucket: tuple[Path, Manifest, int], copies: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Relay]:
    """The way to the bucket."""
    assert not copies.exists()
    relay = Relay(bucket[2])
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{relay.port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    _hang_up()
    yield relay
    _hang_up()
    relay.cut()


def _hang_up() -> None:
    """Forget the connections of this process, so that the next one goes where it should."""
    import s3fs  # noqa: PLC0415 - only where it is installed

    remote._CONNECTIONS.clear()
    s3fs.S3FileSystem.clear_instance_cache()


def test_bucket_gives_the_batches_of_the_folder(bucket: tuple[Path, Manifest, int], wire: Relay):
    """Cold and warm epochs from S3 equal the local one; bytes come once, then none at all."""
    out, manifest, _ = bucket
    local = _epoch(out, manifest)
    assert read_manifest("s3://bucket/store") == manifest
    before = wire.answered
    assert _same(_epoch("s3://bucket/store", manifest), local)
    shards = manifest.split("train").shards
    stored = sum(shard.bytes + shard.index.bytes for shard in shards)
    chunks = sum(-(-shard.bytes // cache.CHUNK) + 1 for shard in shards)
    assert wire.answered - before <= stored + 700 * chunks  # headers of at most as many answers
    before = wire.answered
    assert _same(_epoch("s3://bucket/store", manifest), local)
    assert wire.answered == before


def test_lost_connection_is_one_sentence(bucket: tuple[Path, Manifest, int], wire: Relay):
    """A server lost in mid-epoch is a StoreError; a new one goes on where the last batch was."""
    out, manifest, port = bucket
    local = _epoch(out, manifest)
    dataset = ShardDataset("s3://bucket/store", manifest, "train", image_size=12)
    loader = ShardLoader(dataset, 17, seed=3, order=ORDER, ahead=0)
    stream = iter(loader)
    seen = [next(stream)]
    wire.cut()
    with pytest.raises(StoreError, match=r"s3://bucket/store/\S+: cannot be read .*network"):
        seen.extend(stream)
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    _hang_up()
    again = ShardLoader(dataset, 17)
    again.load_state_dict(loader.state_dict())
    assert _same([*seen, *again], local)


def test_no_bucket_and_no_access_are_told(wire: Relay):
    """A bucket that is not there and one that may not be read are told apart, in one sentence."""
    with pytest.raises(StoreError, match=r"no current manifest .*bucket does not exist"):
        read_manifest("s3://elsewhere/store")
    with pytest.raises(StoreError, match="no current manifest"):
        read_manifest("s3://bucket/elsewhere")
    try:
        _refuse_after(wire, "0")
        with pytest.raises(StoreError, match=r"cannot be read \(got 'PermissionError"):
            read_manifest("s3://bucket/store")
    finally:
        _refuse_after(wire, "inf")


def _refuse_after(wire: Relay, requests: str) -> None:
    """Have the server check who asks, after so many requests."""
    address = f"http://127.0.0.1:{wire.port}/moto-api/reset-auth"
    kind = {"Content-Type": "text/plain"}
    asked = urllib.request.Request(address, requests.encode(), kind)
    urllib.request.urlopen(asked).close()  # noqa: S310


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
    assert _same([dataset.fetch(rows)], [expected])
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
        _epoch(url, manifest)
    with pytest.raises(DamageError, match=f"{shard.path}, row 4: "):
        read_columns(open_store(url), shard)


@pytest.mark.parametrize("part", ["shard", "index", "manifest"])
def test_damage_in_the_cache_heals(store: tuple[Path, Manifest, str], copies: Path, part: str):
    """Copies that rotted are fetched anew, and the batches are the same."""
    out, manifest, url = store
    local = _epoch(out, manifest)
    assert _same(_epoch(url, read_manifest(url)), local)
    for shard in manifest.split("train").shards:
        name = {"shard": shard.sha256, "index": shard.index.sha256, "manifest": manifest.digest}
        rotten = copies / name[part]
        rotten.write_bytes(bytes(byte ^ 1 for byte in rotten.read_bytes()))
        if part == "manifest":
            break
    assert _same(_epoch(url, read_manifest(url)), local)


def test_changed_objects_are_told(store: tuple[Path, Manifest, str]):
    """An object that was removed, cut or replaced is told; a lost index only makes it slower."""
    out, manifest, url = store
    local = _epoch(out, manifest)
    shards = manifest.split("train").shards
    (out / shards[0].index.path).unlink()
    (out / shards[1].index.path).write_bytes(b"\x93NUMPY")
    assert _same(_epoch(url, manifest), local)
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
    assert _same(_epoch(url, manifest, workers=2), _epoch(out, manifest))
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
    assert _same(_epoch(url, manifest), _epoch(out, manifest))


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
    assert _same(_epoch(small, manifest), _epoch(out, manifest))
    assert sum(path.stat().st_blocks * 512 for path in copies.iterdir()) < held
    (copies / manifest.split("train").shards[0].sha256).unlink(missing_ok=True)
    assert _same(_epoch(small, manifest), _epoch(out, manifest))


def test_manifest_cannot_lead_out_of_the_cache(store: tuple[Path, Manifest, str], copies: Path):
    """A manifest whose digests are paths, or whose sizes cannot be, writes nothing anywhere."""
    _, manifest, url = store
    shard = manifest.split("train").shards[0]
    with pytest.raises(DamageError, match="no sha256 in its manifest"):
        RemoteStore(url).open(replace(shard, sha256="../" * 9 + "tmp/x"))
    with pytest.raises(DamageError, match="cannot be 0 bytes long"):
        RemoteStore(url).open(replace(shard, bytes=0))
    assert not copies.exists()
