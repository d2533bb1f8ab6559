"""What a second profile of an unchanged folder costs beside the first.

Command: `python -m bench.incremental --json`.

CPU seconds of the station `profile` in this process, workers' too, with all imports and compiled
code before the clock; the first run measures in this process, so that no worker's start counts.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import polars as pl
from PIL import Image

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from flows.app import intake
from flows.app.config import Config, read_config
from flows.app.stations import profile
from flows.app.store import RunFolder, open_run

FILES, CLASSES, ROUNDS = 20_000, 10, 5
TARGET_FRAC = 0.02


def main() -> None:
    """Measure photographs and 32x32 pictures, one after the other."""
    figures: dict[str, Figure] = {}
    for name, contents, target in (("jpeg", _photos, TARGET_FRAC), ("png32", _pictures, None)):
        with tempfile.TemporaryDirectory() as place:
            data, size = _write(Path(place) / "data", contents())
            figures |= _measure(name, data, Path(place), size, target)
    show(record("incremental", figures))


def _photos() -> Iterator[tuple[str, bytes]]:
    """Yield FILES photographs, each copy with a comment of its own: no two have equal bytes."""
    found = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet", columns=["image"])
    photos = found["image"].to_list()
    for i in range(FILES):
        text, photo = f"copy {i}".encode(), photos[i % len(photos)]
        comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
        yield f"{i:05}.jpg", photo[:2] + comment + photo[2:]


def _pictures() -> Iterator[tuple[str, bytes]]:
    found = pl.read_parquet(find_shared_data() / "cifar10n" / "train.parquet", columns=["image"])
    for i, content in enumerate(found["image"].head(FILES)):
        stream = io.BytesIO()
        Image.open(io.BytesIO(content)).save(stream, "PNG", compress_level=1)
        yield f"{i:05}.png", stream.getvalue()


def _write(data: Path, contents: Iterator[tuple[str, bytes]]) -> tuple[Path, float]:
    """Write the files into class folders; return the folder and their mean size in KB."""
    total = 0
    for i, (name, content) in enumerate(contents):
        path = data / f"class{i % CLASSES}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        total += len(content)
    return data, total / FILES / 1000


def _measure(
    name: str, data: Path, place: Path, size: float, target: float | None
) -> dict[str, Figure]:
    config = _config(data, "sample")
    run = open_run(config, place / "run")
    intake.workers_of = lambda _config: 0
    _warm(data, place / "warm")
    first = _cost(lambda: profile(config, run), skipped=False)
    second = _median(lambda: profile(config, run))
    every = _median(lambda: profile(_config(data, "all"), run))
    process = median(_cost_of_process(data, run) for _ in range(3))
    (data / "class0" / "new.png").write_bytes(_dot())
    grown = _cost(lambda: profile(config, run), skipped=False)

    def lower(value: float, *, reach: float | None = None, n: int = ROUNDS, unit: str) -> Figure:
        return Figure(value, reach, "lower", n=n, unit=unit)

    return {
        f"{name}_kb_per_file": lower(size, n=FILES, unit="KB"),
        f"{name}_first_cpu_s": lower(first, n=1, unit="CPU s"),
        f"{name}_second_cpu_s": lower(second, unit="CPU s"),
        f"{name}_second_of_first_frac": lower(second / first, reach=target, unit="of the first"),
        f"{name}_second_verify_all_frac": lower(every / first, unit="of the first"),
        f"{name}_one_new_file_frac": lower(grown / first, n=1, unit="of the first"),
        f"{name}_second_whole_process_cpu_s": lower(process, n=3, unit="CPU s"),
        f"{name}_second_whole_process_frac": lower(process / first, n=3, unit="of the first"),
    }


def _config(data: Path, verify: str) -> Config:
    raw = {"version": 1, "source": {"path": str(data)}, "profile": {"verify": verify}}
    return read_config(raw)


def _warm(data: Path, place: Path) -> None:
    """Import and compile everything that a profile and a repeated one need."""
    small = place / "data" / "class0"
    small.mkdir(parents=True)
    for path in sorted((data / "class0").iterdir())[:40]:
        (small / path.name).write_bytes(path.read_bytes())
    config = _config(place / "data", "all")
    run = open_run(config, place / "run")
    for _ in range(2):
        profile(config, run)


def _median(work: Callable[[], dict[str, object]]) -> float:
    return median(_cost(work, skipped=True) for _ in range(ROUNDS))


def _cost(work: Callable[[], dict[str, object]], *, skipped: bool) -> float:
    """Return the CPU seconds of one station; it must have done, or skipped, its work."""
    before = _cpu(resource.RUSAGE_SELF) + _cpu(resource.RUSAGE_CHILDREN)
    facts = work()
    if facts["skipped"] is not skipped:
        message = f"the station told {facts}, skipped should be {skipped}"
        raise RuntimeError(message)
    return _cpu(resource.RUSAGE_SELF) + _cpu(resource.RUSAGE_CHILDREN) - before


def _cost_of_process(data: Path, run: RunFolder) -> float:
    """Return the CPU seconds of `gristmill profile`, start-up and imports included."""
    before = _cpu(resource.RUSAGE_CHILDREN)
    gristmill = Path(sys.executable).parent / "gristmill"
    command = [str(gristmill), "profile", str(run.path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=data.parent)
    if "unchanged" not in told.stderr:
        raise RuntimeError(told.stderr)
    return _cpu(resource.RUSAGE_CHILDREN) - before


def _cpu(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _dot() -> bytes:
    stream = io.BytesIO()
    Image.frombytes("RGB", (32, 32), os.urandom(3072)).save(stream, "PNG")
    return stream.getvalue()


if __name__ == "__main__":
    main()
