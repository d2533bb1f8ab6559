"""The store: atomic writes, one writer, clear sentences when the disk refuses."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.shards.samples import IMAGES, TABLE, image_batch, table_batch, write_raw
from training.errors import StoreError
from training.shards import shard as shards
from training.shards import store as shard_store
from training.shards.damage import verify
from training.shards.manifest import current_digest

ROOT = Path(__file__).resolve().parents[3]


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


def test_two_writers_are_kept_apart(tmp_path: Path):
    """A second writer of a held store is refused and told why."""
    with (tmp_path / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another run is writing here"):
            write_raw(tmp_path, table_batch(8), TABLE)
    write_raw(tmp_path, table_batch(8), TABLE)


@pytest.mark.parametrize("after", [1, 4, 11])
def test_killed_writer_goes_on_to_the_same_digest(tmp_path: Path, after: int):
    """After kill -9 between or inside writes, the next run ends with the same digest, no orphan."""
    code = (
        "import os, pathlib, sys; from tests.training.shards.samples import *\n"
        "calls, real = iter(range(1000)), os.fsync\n"
        "def die(fd): os.kill(os.getpid(), 9) if next(calls) == int(sys.argv[2]) else real(fd)\n"
        "os.fsync = die\n"
        "write_raw(pathlib.Path(sys.argv[1]), image_batch(), IMAGES)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed"), str(after)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "CURRENT").exists()
    there = write_raw(tmp_path / "killed", image_batch(), IMAGES)
    assert there.digest == write_raw(tmp_path / "whole", image_batch(), IMAGES).digest
    assert verify(tmp_path / "killed") == []
    assert not list(tmp_path.rglob(".tmp-*"))


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
