"""Crashes: whatever stops a writer, the last good manifest stands and the next run ends as ever."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.training.shards.samples import TABLE, table_batch, write_raw
from tests.training.shards.victim import die, refuse, write_many
from training.errors import StoreError, TrainingError
from training.shards import writer
from training.shards.damage import verify
from training.shards.manifest import current_digest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the sets that no one disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {kind: write_many(folder / kind, kind).digest for kind in ("image", "table")}


def start(
    out: Path, kind: str, deed: str, number: int = 0, processes: int = 1
) -> subprocess.Popen[str]:
    """Start the victim, in a process group of its own."""
    words = [str(out), kind, str(processes), deed, str(number)]
    command = [sys.executable, "-m", "tests.training.shards.victim", *words]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def temporaries(out: Path) -> list[Path]:
    """Files that a writer has not finished."""
    return list(out.rglob(".tmp-*"))


def assert_stands(out: Path, good: str) -> None:
    """The manifest that was current before still is, and all of it is what was written."""
    assert current_digest(out) == good
    assert verify(out) == []


def assert_ends_as_ever(out: Path, kind: str, digest: str) -> None:
    """The next run writes the digest of an undisturbed one and leaves nothing half-done."""
    assert write_many(out, kind).digest == digest == current_digest(out)
    assert verify(out) == []
    assert temporaries(out) == []


@pytest.mark.parametrize(
    ("deed", "number", "kind"),
    [("spill", 1, "image"), ("fsync", 2, "table"), ("fsync", 31, "image"),
     ("rename", 1, "image"), ("rename", 20, "table"), ("rename", 43, "image")],
)  # fmt: skip
def test_killed_at_a_step(
    tmp_path: Path, undisturbed: dict[str, str], deed: str, number: int, kind: str
):
    """After kill -9 at a write, a sync or a rename nothing is lost, and a new run ends as ever."""
    good = write_raw(tmp_path, table_batch(), TABLE).digest
    with start(tmp_path, kind, deed, number) as victim:
        victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    assert_stands(tmp_path, good)
    assert_ends_as_ever(tmp_path, kind, undisturbed[kind])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_from_outside(tmp_path: Path, undisturbed: dict[str, str], number: signal.Signals):
    """Stopped amid its shards, a writer with two processes leaves none behind, and nothing lost."""
    good = write_raw(tmp_path, table_batch(), TABLE).digest
    before = len(list(tmp_path.rglob("*.parquet")))
    with start(tmp_path, "image", "none", processes=2) as victim:
        while len(list(tmp_path.rglob("*.parquet"))) < before + 3:
            assert victim.poll() is None
        if number == signal.SIGINT:
            os.killpg(victim.pid, number)  # as a terminal does
        else:
            victim.send_signal(number)
        victim.communicate(timeout=60)  # its pipes end only with the last process that holds them
    assert victim.returncode == -number
    assert_stands(tmp_path, good)
    assert_ends_as_ever(tmp_path, "image", undisturbed["image"])


def test_terminated_with_files_open(tmp_path: Path, undisturbed: dict[str, str]):
    """The half-written files of a terminated run are there until the next run sweeps them."""
    with start(tmp_path, "table", "pause", 3) as victim:
        assert victim.stdout.readline() == "paused\n"
        assert len(temporaries(tmp_path)) == 2  # the rows and the shard that was to be renamed
        victim.terminate()
        victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGTERM
    assert_ends_as_ever(tmp_path, "table", undisturbed["table"])


@pytest.mark.parametrize(("work", "told"), [(die, "a process .* died"), (refuse, "no space")])
def test_failing_worker_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, str],
    work: object, told: str,
):  # fmt: skip
    """A worker process that is killed, or fails, ends the run in one sentence; no one is lost."""
    good = write_raw(tmp_path, table_batch(), TABLE).digest
    monkeypatch.setattr(writer, "write_shard", work)
    with pytest.raises(TrainingError, match=told) as failed:
        write_many(tmp_path, "table", processes=2)
    assert "\n" not in str(failed.value)
    assert failed.value.advice
    monkeypatch.undo()
    assert_stands(tmp_path, good)
    assert_ends_as_ever(tmp_path, "table", undisturbed["table"])


def test_second_writer_is_refused_or_waits(tmp_path: Path, undisturbed: dict[str, str]):
    """Of two writers at once the second is refused, or, if asked to, waits, says so and goes on."""
    with start(tmp_path, "table", "pause", 2) as first:
        assert first.stdout.readline() == "paused\n"
        with pytest.raises(StoreError, match="another run is writing here"):
            write_many(tmp_path, "table")

        class Release(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                said.append(record.getMessage())
                first.stdin.close()

        said: list[str] = []
        log, heard = logging.getLogger("training.shards.store"), Release()
        log.addHandler(heard)
        try:
            second = write_many(tmp_path, "table", wait_s=60)
        finally:
            log.removeHandler(heard)
        assert first.stdout.read().strip() == second.digest == undisturbed["table"]
    assert len(said) == 1
    assert "waiting 60 s at most" in said[0]
    assert verify(tmp_path) == []


def test_limit_on_file_size(tmp_path: Path, undisturbed: dict[str, str]):
    """A file that may not grow further is told in one sentence with advice, and nothing is lost."""
    good = write_raw(tmp_path, table_batch(), TABLE).digest
    with start(tmp_path, "image", "limit", 60_000) as victim:
        told, _ = victim.communicate(timeout=60)
    assert "cannot be written (got 'File too large'). Raise the limit" in told
    assert temporaries(tmp_path) == []
    assert_stands(tmp_path, good)
    assert_ends_as_ever(tmp_path, "image", undisturbed["image"])


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory; skip where that is not permitted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Change a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


@pytest.mark.parametrize("size", ["300k", "600k"])
def test_full_disk(tmp_path: Path, undisturbed: dict[str, str], size: str):
    """A disk that fills up, early or late, costs the run alone; with more space it ends as ever."""
    out = tmp_path / "disk"
    with mounted(out, f"size={size}"):
        good = write_raw(out, table_batch(), TABLE).digest
        with pytest.raises(StoreError, match=r"No space left.*Free some space") as refused:
            write_many(out, "image")
        assert "\n" not in str(refused.value)
        assert temporaries(out) == []
        assert_stands(out, good)
        remount(out, "size=64m")
        assert_ends_as_ever(out, "image", undisturbed["image"])


def test_read_only_disk(tmp_path: Path, undisturbed: dict[str, str]):
    """A store on a read-only disk can be verified; a writer is told in one sentence."""
    out = tmp_path / "disk"
    with mounted(out, "size=64m"):
        good = write_raw(out, table_batch(), TABLE).digest
        remount(out, "ro")
        with pytest.raises(StoreError, match=r"Read-only.*that you may write to") as refused:
            write_many(out, "image")
        assert "\n" not in str(refused.value)
        assert_stands(out, good)
        remount(out, "rw")
        assert_ends_as_ever(out, "image", undisturbed["image"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path: Path):
    """A folder that one may not write to is told in one sentence."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match=r"Permission denied.*that you may write to"):
            write_many(tmp_path, "table")
    finally:
        tmp_path.chmod(0o700)


def test_lost_current(tmp_path: Path, undisturbed: dict[str, str]):
    """A store whose CURRENT is gone says so, and a run brings back the same one."""
    write_many(tmp_path, "table")
    (tmp_path / "CURRENT").unlink()
    assert [found.path for found in verify(tmp_path)] == ["CURRENT"]
    assert_ends_as_ever(tmp_path, "table", undisturbed["table"])
