"""Stores in a bucket of a real S3 server: the same batches, each byte once, clear sentences."""

import os
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.shards.bucket import ACCESS, Relay, serve_s3, upload
from tests.training.shards.epochs import ORDER, read_epoch, same_batches
from tests.training.shards.samples import IMAGES, flip, image_batch, write_raw
from training.dataset import ShardDataset
from training.errors import DamageError, StoreError
from training.loader import ShardLoader
from training.shards import cache, remote
from training.shards.index import read_index
from training.shards.manifest import Manifest, read_manifest


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
    local = read_epoch(out, manifest)
    assert read_manifest("s3://bucket/store") == manifest
    before = wire.answered
    assert same_batches(read_epoch("s3://bucket/store", manifest), local)
    shards = manifest.split("train").shards
    stored = sum(shard.bytes + shard.index.bytes for shard in shards)
    chunks = sum(-(-shard.bytes // cache.CHUNK) + 1 for shard in shards)
    assert wire.answered - before <= stored + 700 * chunks  # headers of at most as many answers
    before = wire.answered
    assert same_batches(read_epoch("s3://bucket/store", manifest), local)
    assert wire.answered == before


def test_lost_connection_is_one_sentence(bucket: tuple[Path, Manifest, int], wire: Relay):
    """A server lost in mid-epoch is a StoreError; a new one goes on where the last batch was."""
    out, manifest, port = bucket
    local = read_epoch(out, manifest)
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
    assert same_batches([*seen, *again], local)


def test_flipped_byte_in_the_bucket_is_named(
    bucket: tuple[Path, Manifest, int], wire: Relay, tmp_path: Path
):
    """A row that is not what was written is a DamageError with its shard and number."""
    out, manifest, _ = bucket
    shutil.copytree(out, tmp_path / "store")
    shard = manifest.split("train").shards[2]
    flip(tmp_path / "store" / shard.path, int(read_index(out, shard)["offset"][3] + 5) * 8)
    upload(tmp_path / "store", "s3://damaged/store")
    with pytest.raises(DamageError, match=f"{shard.path}, row 3: its content is not what was"):
        read_epoch("s3://damaged/store", manifest)
    assert wire.answered > shard.bytes


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
