"""What worker processes cost and bring: two against one in wall-clock, and against none in CPU.

The photos of the measuring data are linked under many names. Start-up is inside the clock. Rounds
are interleaved; a ratio is the median of six, its interval the lowest to the highest (97 %, as in
images).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import polars as pl

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from bench.spoilt_files import draw_picture, encode
from checks.metrics.image import profile_images
from checks.metrics.image_measure import measure_image
from checks.metrics.image_schema import Limits
from checks.metrics.workers import Job, run_jobs
from checks.sources.source import open_source

COPIES, ROUNDS, PIPE_ITEMS = 15, 6, 20_000


def main() -> None:
    """Profile the same folder with 1, 2 and 0 workers in turn, and send empty work by the pipe."""
    with tempfile.TemporaryDirectory() as folder:
        link_photos(Path(folder))
        start_cpu_s(workers=0)  # imports and compiles in this process
        runs = [{n: measure(Path(folder), n) for n in (1, 2, 0)} for _ in range(ROUNDS)]
    speedups = [run[1][0] / run[2][0] for run in runs]
    overheads = [(run[1][1] - start_cpu_s()) / run[0][1] - 1 for run in runs]
    pipe_us = [pipe_cpu_us() for _ in range(ROUNDS)]
    figures = {
        "wall-clock, 1 worker / 2 workers": Figure(
            statistics.median(speedups), 1.8, "higher", ROUNDS, (min(speedups), max(speedups))
        ),
        "CPU, 1 worker / in this process, less 1, start-up apart": Figure(
            statistics.median(overheads), 0.05, "lower", ROUNDS, (min(overheads), max(overheads))
        ),
        "CPU of starting a worker": Figure(start_cpu_s(), None, "lower", 1, unit="s"),
        "CPU of the pipe for a result, both ends": Figure(
            min(pipe_us), 30, "lower", PIPE_ITEMS, unit="us"
        ),
    }
    show(record("workers", figures))


def link_photos(folder: Path) -> None:
    """Write every photo once, and link it under COPIES names."""
    table = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet", columns=["image"])
    for number, data in enumerate(table["image"]):
        first = folder / "class_0" / f"{number:04}.jpg"
        first.parent.mkdir(exist_ok=True)
        first.write_bytes(data)
        for copy in range(1, COPIES):
            other = folder / f"class_{copy}" / first.name
            other.parent.mkdir(exist_ok=True)
            other.hardlink_to(first)


def measure(folder: Path, workers: int) -> tuple[float, float, int]:
    """Return wall-clock seconds, CPU seconds and files of one profile without a cache."""
    source = open_source(folder)
    entries = source.entries()
    wall, cpu = time.monotonic(), cpu_s()
    profile_images(source, entries, workers=workers)
    return time.monotonic() - wall, cpu_s() - cpu, entries.height


def cpu_s() -> float:
    """Return the CPU seconds of this process and its ended children."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def start_cpu_s(workers: int = 1) -> float:
    """Return the CPU seconds of profiling one file, which is next to nothing but the start."""
    cpu = cpu_s()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a").mkdir()
        (Path(folder) / "a" / "one.jpg").write_bytes(encode(draw_picture(1, 400), "JPEG"))
        source = open_source(folder)
        profile_images(source, source.entries(), workers=workers)
    return cpu_s() - cpu


def pipe_cpu_us() -> float:
    """Return the CPU microseconds of one photo's result that costs nothing to make."""
    row = measure_image(encode(draw_picture(1, 400), "JPEG"), "a.jpg", Limits())
    items = [(f"train/class_a/photo_{i:05}.jpg", 0) for i in range(PIPE_ITEMS)]

    def send(count: int) -> float:
        jobs = [Job(i, tuple(items[i : i + 64])) for i in range(0, count, 64)]
        cpu = cpu_s()
        for _ in run_jobs("bench.idle_worker", row, jobs, workers=1, limits=Limits()):
            pass
        return cpu_s() - cpu

    return (send(PIPE_ITEMS) - send(64)) / (PIPE_ITEMS - 64) * 1e6


if __name__ == "__main__":
    main()
