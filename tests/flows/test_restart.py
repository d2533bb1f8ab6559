"""Killed runs go on where they were; two runs never share a folder; threads change nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import polars as pl
import psutil
import pytest

from checks.metrics.image_cache import write_piece
from checks.metrics.image_schema import Limits
from flows.app.config import load_config
from flows.app.intake import plan_bundles_of
from flows.app.launch import run_station
from flows.app.lock import BusyError
from flows.app.outcome import Outcome
from flows.app.store import RunFolder, open_run

LIMIT_S = 120.0
WriteConfig = Callable[..., Path]
Clean = Callable[[Path, Path], Outcome]


def kill_when(reached: Callable[[], bool], *tokens: str) -> None:
    """Start `gristmill` and kill it with -9 as soon as `reached` says so: its workers end too."""
    command = [sys.executable, "-m", "flows.app.cli", *tokens]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    limit = monotonic() + LIMIT_S
    while not reached():
        assert monotonic() < limit
        try:
            child.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("the run ended by itself")
    workers = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGKILL)
    child.wait()
    _, left = psutil.wait_procs(workers, timeout=LIMIT_S)
    assert left == []


def current(run: Path) -> str:
    """Return what CURRENT of a run's shards says."""
    return (run / "shards" / "CURRENT").read_text()


def test_killed_between_bundles(  # noqa: PLR0917 - fixtures
    cleaned: tuple[Path, Outcome], tiny_images: Path, tmp_path: Path, write_config: WriteConfig,
    clean: Clean, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A run killed amid its bundles measures only what is missing and ends with equal digests."""
    path = write_config(tmp_path, tiny_images, bundle_size=1)
    out = tmp_path / "killed"
    kill_when(lambda: any(out.glob("cache/*/*.parquet")), "clean", str(path), "--out", str(out))
    config = load_config(path)
    missing = len(plan_bundles_of(config, RunFolder(out), 512))
    assert 0 < missing < 120
    written: list[str] = []

    def count(piece: pl.DataFrame, cache: Path, key: str, limits: Limits) -> Path:
        written.append(key)
        return write_piece(piece, cache, key, limits)

    monkeypatch.setattr("checks.metrics.image.write_piece", count)
    again = clean(path, out)
    assert len(set(written)) == len(written) == missing
    assert [facts["skipped"] for facts in again.stations] == [False, False, False]
    assert current(out) == current(cleaned[1].run)


def test_killed_while_training(
    cleaned: tuple[Path, Outcome], tiny_images: Path, tmp_path: Path, write_config: WriteConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A run killed amid its comparison trains only what is missing and draws equal curves."""
    path = write_config(tmp_path, tiny_images, tier="train")
    for name in ("whole", "killed"):
        shutil.copytree(cleaned[1].run, tmp_path / name)
    out = tmp_path / "killed"

    def runs() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in out.glob("runs/**/*.npz")}

    kill_when(lambda: bool(runs()), "compare", str(path), "--out", str(out))
    kept = runs()
    assert not RunFolder(out).has("experiment.json")
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # in this process: workers change no result
    again = run_station("compare", str(path), out)
    assert [facts["skipped"] for facts in again.stations] == [True, True, True, False]
    now = runs()
    assert {file: now[file] for file in kept} == kept
    assert len(now) > len(kept)
    whole = run_station("compare", str(path), tmp_path / "whole")
    timing = pl.selectors.exclude(pl.selectors.matches("_s$|seconds"))
    curves = [one.folder.read_table("curves").select(timing) for one in (again, whole)]
    assert curves[0].equals(curves[1])


def test_threads_change_no_digest(
    cleaned: tuple[Path, Outcome], tiny_table: Path, tmp_path: Path, write_config: WriteConfig,
    clean: Clean,
) -> None:  # fmt: skip
    """One, two and eight threads of polars end with the same manifests, images and table."""
    assert pl.thread_pool_size() == 2
    path = write_config(tmp_path, tiny_table, head='label = "grade"')
    configs = [str(cleaned[0]), str(path)]
    table = clean(path, tmp_path / "2")
    expected = [current(cleaned[1].run).strip(), current(table.run).strip()]
    code = (
        "import sys\nfrom pathlib import Path\nimport polars as pl\n"
        "from flows.app import judging\nfrom flows.app.launch import run_station\n"
        "judging.run_gate = lambda *_: {}  # slow to import, and no digest depends on it\n"
        "print(pl.thread_pool_size())\n"
        f"for i, path in enumerate({configs!r}):\n"
        "    run = run_station('clean', path, Path(sys.argv[1]) / str(i)).run\n"
        "    print((run / 'shards' / 'CURRENT').read_text().strip())\n"
    )
    for threads in ("1", "8"):
        env = {**os.environ, "POLARS_MAX_THREADS": threads}
        command = [sys.executable, "-c", code, str(tmp_path / threads)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [threads, *expected]


def test_two_runs_never_share_a_folder(tiny_table: Path, tmp_path: Path,
                                       write_config: WriteConfig) -> None:  # fmt: skip
    """While one process works in a run folder another is refused, until that one is dead."""
    config = load_config(write_config(tmp_path, tiny_table))
    run = open_run(config, tmp_path / "run")
    code = (
        "import sys\nfrom pathlib import Path\nfrom flows.app.lock import alone\n"
        "with alone(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(run.path)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match=rf"another run is at work.*process {child.pid}"):
        open_run(config, run.path)
    child.kill()
    child.communicate()
    assert json.loads(open_run(config, run.path).file("config.json").read_text())
