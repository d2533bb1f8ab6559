"""All pairs of hashes within a distance: seconds and memory at 1 and 10 million, exactness.

Random 64-bit hashes with planted near copies. Run it as `python -m bench.hashes --json`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.record import Figure, record, show
from checks.metrics.hamming import Hashes, Pairs, pairs_within
from checks.metrics.hash_file import pairs_within_file

MILLION = 1_000_000
SUBSET = 20_000
PLANTED = 10_000
GROUP_ROWS = 500_000
PEAK_TARGET_GIB = 4.0


def plant_copies(
    rng: np.random.Generator, count: int, planted: int, distance: int
) -> tuple[Hashes, Pairs]:
    """Return random hashes, the last `planted` of them copies with up to `distance` flips."""
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    originals = rng.choice(count - planted, planted, replace=False)
    flips = rng.permuted(np.tile(np.arange(64, dtype=np.uint64), (planted, 1)), axis=1)[
        :, :distance
    ]
    use = np.arange(distance) < rng.integers(0, distance + 1, planted)[:, None]
    masks = np.where(use, np.uint64(1) << flips, np.uint64(0)).sum(axis=1, dtype=np.uint64)
    hashes[-planted:] = hashes[originals] ^ masks
    return hashes, np.stack([originals, np.arange(count - planted, count)], axis=1)


def recall(found: Pairs, planted: Pairs, count: int) -> float:
    """Return the share of planted pairs that were found."""
    keys = found[:, 0] * count + found[:, 1]
    return float(np.isin(planted[:, 0] * count + planted[:, 1], keys).mean())


def compare_brute_force(hashes: Hashes, distance: int) -> int:
    """Return how many pairs of `hashes` differ between the index and comparing each with each."""
    missed: set[tuple[int, int]] = {(int(a), int(b)) for a, b in pairs_within(hashes, distance)}
    for at, word in enumerate(hashes[:-1]):
        near = np.flatnonzero(np.bitwise_count(hashes[at + 1 :] ^ word) <= distance) + at + 1
        missed ^= {(at, int(other)) for other in near}
    return len(missed)


def measure_million() -> dict[str, Figure]:
    """CPU seconds at one million, recall of planted pairs, and equality on a subset."""
    rng = np.random.default_rng(0)
    figures = {}
    pairs_within(rng.integers(0, 2**64, 100, dtype=np.uint64), 6)  # compiled before the clock
    for distance, target in ((3, None), (6, 2.0), (10, None)):
        hashes, planted = plant_copies(rng, MILLION, PLANTED, distance)
        seconds = []
        for _ in range(3 if distance < 10 else 1):  # noqa: PLR2004 - the long one once
            start = time.process_time()
            found = pairs_within(hashes, distance)
            seconds.append(time.process_time() - start)
        name = f"million_d{distance}"
        figures[f"{name}_cpu_s"] = Figure(median(seconds), target, "lower", len(seconds), unit="s")
        share = recall(found, planted, MILLION)
        figures[f"{name}_planted_recall"] = Figure(share, 1.0, "higher", PLANTED)
        sample = np.concatenate([hashes[planted[: SUBSET // 4].ravel()], hashes[: SUBSET // 2]])
        wrong = compare_brute_force(sample, distance)
        figures[f"{name}_wrong_pairs_of_{SUBSET}"] = Figure(wrong, 0.0, "lower", sample.size)
    return figures


def write_ten_million(path: Path) -> Pairs:
    """Write 10 million hashes in row groups; return the planted pairs."""
    hashes, planted = plant_copies(np.random.default_rng(1), 10 * MILLION, PLANTED, 3)
    with pq.ParquetWriter(path, pa.schema([("phash64", pa.uint64())])) as writer:
        for start in range(0, hashes.size, GROUP_ROWS):
            writer.write_table(pa.table({"phash64": hashes[start : start + GROUP_ROWS]}))
    return planted


def search_file(path: Path, out: Path) -> None:
    """What the measured process does: pairs of a file; prints CPU seconds, seconds, peak bytes."""
    wall, cpu = time.perf_counter(), time.process_time()
    pairs_within_file(path, "phash64", 3, out)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kib = int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1])
    print(time.process_time() - cpu, time.perf_counter() - wall, peak_kib / 2**20)


def measure_ten_million() -> dict[str, Figure]:
    """Seconds and peak memory of a process of its own that streams 10 million hashes."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "hashes.parquet", Path(folder) / "pairs.parquet"
        planted = write_ten_million(path)
        command = [sys.executable, "-m", "bench.hashes", "--search", str(path), str(out)]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        found = pq.read_table(out).select(["left", "right"])
    cpu, wall, peak = map(float, told.stdout.split())
    pairs = np.stack([column.to_numpy() for column in found.columns], axis=1)
    share = recall(pairs, planted, 10 * MILLION)
    return {
        "ten_million_d3_file_cpu_s": Figure(cpu, None, "lower", 1, unit="s"),
        "ten_million_d3_file_s": Figure(wall, None, "lower", 1, unit="s"),
        "ten_million_d3_file_peak_gib": Figure(peak, PEAK_TARGET_GIB, "lower", 1, unit="GiB"),
        "ten_million_d3_file_planted_recall": Figure(share, 1.0, "higher", PLANTED),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--search"]:
        search_file(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        show(record("hashes", {**measure_million(), **measure_ten_million()}))
