"""The store: atomic writes, one writer, clear sentences when the disk refuses."""

import errno
import os
from pathlib import Path

import pytest

from tests.training.shards.samples import IMAGES, TABLE, image_batch, table_batch, write_raw
from training.errors import StoreError
from training.shards import shard as shards
from training.shards import store as shard_store
from training.shards.damage import verify
from training.shards.manifest import current_digest


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("after", [0, 3, 9])
def test_refusing_disk_leaves_last_good_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, after: int
):
    """A full or read-only disk at any write gives one sentence, no half file, the old CURRENT."""
    good = write_raw(tmp_path, table_batch(), TABLE).digest
    calls = iter(range(1_000))
    real = os.fsync

    def refuse(descriptor: int) -> None:
        if next(calls) >= after:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=os.strerror(code)) as refused:
        write_raw(tmp_path, image_batch(), IMAGES)
    assert "\n" not in str(refused.value)
    assert refused.value.advice
    monkeypatch.undo()
    assert current_digest(tmp_path) == good
    assert verify(tmp_path) == []
    assert not list(tmp_path.rglob(".tmp-*"))


def test_file_in_the_way_is_one_sentence(tmp_path: Path):
    """A target that is a file is refused in one sentence."""
    (tmp_path / "out").write_text("x")
    with pytest.raises(StoreError, match="out: cannot be written"):
        write_raw(tmp_path / "out", table_batch(8), TABLE)


def test_finished_shards_are_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After a failure half-way the next run leaves the finished shards' files alone."""
    written = []

    def stop_later(*args: object) -> object:
        if len(written) == 3:
            raise RuntimeError("stop")
        written.append(shard_store.put_file(*args))
        return written[-1]

    monkeypatch.setattr(shards, "put_file", stop_later)
    with pytest.raises(RuntimeError, match="stop"):
        write_raw(tmp_path, image_batch(), IMAGES)
    monkeypatch.undo()
    before = {file.path: (tmp_path / file.path).stat().st_mtime_ns for file in written}
    write_raw(tmp_path, image_batch(), IMAGES)
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in before} == before
