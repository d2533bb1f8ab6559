"""One input, one digest: over threads, processes and runs, and after kill -9 at random points.

Images and a table are written by a process each time: with 1, 2 and 8 threads of polars and
pyarrow, in 1 and 2 processes, three times; then 30 writers are killed after a random share of the
time that a whole one takes, and the next one goes on in the same store, where everything must
verify and no temporary file may lie. Run it as `python -m bench.shard_digests --json`: ten minutes.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import cycle, islice, product
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import numpy as np

from bench.process import run_module
from bench.record import ROOT, Figure, record, show

Kind = Literal["image", "table"]
THREADS, PROCESSES, RUNS, KILLS, SEED = (1, 2, 8), (1, 2), 3, 30, 20261205
KINDS: tuple[Kind, ...] = ("image", "table")
IMAGES, ROWS = 4_000, 60_000


def main() -> None:
    """Write, kill and count digests."""
    digests: dict[str, set[str]] = defaultdict(set)
    clocks: dict[tuple[str, int], list[float]] = defaultdict(list)
    for kind, processes, threads in product(KINDS, PROCESSES, THREADS):
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as place:
                told = _write(Path(place), kind, processes, threads)
            digests[kind].add(told["digest"])
            clocks[kind, processes].append(told["clock_s"])
    draw, broken = random.Random(SEED), 0  # noqa: S311 - moments, not secrets
    for kind, processes in islice(cycle(product(KINDS, PROCESSES)), KILLS):
        with tempfile.TemporaryDirectory() as place:
            out, clock = Path(place) / "store", median(clocks[kind, processes])
            while not _kill(out, kind, processes, draw.random() * clock):
                shutil.rmtree(out)  # it ended before
            told = _write(out, kind, processes, 2)
            digests[kind].add(told["digest"])
            broken += told["damaged"] + len(list(out.rglob(".tmp-*")))
    show(record("shard_digests", _figures(digests, broken)))


def _figures(digests: dict[str, set[str]], broken: int) -> dict[str, Figure]:
    runs = len(PROCESSES) * len(THREADS) * RUNS + KILLS // len(KINDS)
    found = {
        f"{kind}: distinct digests": Figure(len(held), 1, "lower", runs)
        for kind, held in digests.items()
    }
    return found | {
        "writers killed amid their work": Figure(KILLS, None, "higher", KILLS),
        "damaged or left half-done after the next run": Figure(broken, 0, "lower", KILLS),
    }


def _write(out: Path, kind: str, processes: int, threads: int) -> dict[str, Any]:
    os.environ.update({"POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)})
    return run_module("bench.shard_digests", str(out), kind, str(processes)).told


def _kill(out: Path, kind: str, processes: int, after_s: float) -> bool:
    """Start a writer and kill it `after_s` seconds into its write; return whether it still ran."""
    command = [sys.executable, "-m", "bench.shard_digests", str(out), kind, str(processes)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it begins
        try:
            child.wait(after_s)
        except subprocess.TimeoutExpired:
            child.kill()
        child.stdout.read()  # ends with the last of its processes
    return child.returncode < 0


def write(out: Path, kind: Kind, processes: int) -> dict[str, object]:
    """Write a set as the store `out`; return its digest, its damage and the seconds it took."""
    import pyarrow as pa  # noqa: PLC0415 - the parent stays small

    from training.shards.damage import verify  # noqa: PLC0415
    from training.shards.ledger import build_ledger  # noqa: PLC0415
    from training.shards.writer import ShardSpec, write_manifest  # noqa: PLC0415

    pa.set_cpu_count(int(os.environ.get("OMP_NUM_THREADS", "2")))
    batch = _batch(kind)
    ledger = build_ledger(_samples(batch))
    spec = ShardSpec(name=kind, kind=kind, shard_bytes=4 << 20, shard_rows=4_000)
    print("begins", flush=True)
    start = time.monotonic()
    manifest = write_manifest(
        out, batch.to_batches(1_000), ledger, spec, make_current=True, processes=processes
    )
    clock = time.monotonic() - start
    return {"digest": manifest.digest, "damaged": len(verify(out)), "clock_s": clock}


def _batch(kind: str) -> Any:
    """The rows: numbers, gaps and words, or JPEG heads with some 20 kB of noise behind them."""
    import pyarrow as pa  # noqa: PLC0415 - the parent stays small

    draw, rows = np.random.default_rng(SEED), IMAGES if kind == "image" else ROWS
    numbers = np.arange(rows)
    common = {
        "key": [f"{number * 2_654_435_761 % 2**32:032x}-0" for number in numbers.tolist()],
        "label": [f"c{number % 7}" for number in numbers],
        "split": ["test" if number % 5 == 0 else "train" for number in numbers],
    }
    if kind == "image":
        image = [
            b"\xff\xd8" + draw.bytes(int(size)) for size in draw.integers(10_000, 30_000, rows)
        ]
        return pa.table({**common, "image": image})
    gaps = pa.array(draw.normal(size=rows), mask=draw.random(rows) < 0.1)  # noqa: PLR2004
    words = [f"word {number}" for number in draw.integers(0, 500, rows)]
    return pa.table({**common, "value": draw.normal(size=rows), "gap": gaps, "word": words})


def _samples(batch: Any) -> Any:
    import polars as pl  # noqa: PLC0415 - the parent stays small

    frame = pl.DataFrame(pl.from_arrow(batch.select(["key", "split", "label"])))
    return frame.select(
        pl.col("key").alias("sample_id"),
        "split",
        "label",
        pl.lit("data").alias("uri"),
        pl.int_range(pl.len()).alias("row"),
        pl.col("key").str.head(32).alias("xxh3_128"),
    )


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--json"]
    if words:
        print(json.dumps(write(Path(words[0]), cast("Kind", words[1]), int(words[2]))))
    else:
        main()
