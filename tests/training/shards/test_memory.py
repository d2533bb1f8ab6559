"""Memory: a set many times larger takes no more of it, to write as to read."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.training.shards.samples import encode, samples_of
from training.dataset import ShardDataset
from training.loader import ShardLoader
from training.shards import split, writer
from training.shards.ledger import build_ledger
from training.shards.manifest import read_manifest
from training.shards.reader import mapped_bytes
from training.shards.spill import Spill
from training.shards.writer import ShardSpec, write_manifest

ROOT = Path(__file__).resolve().parents[3]
MIB = 2**20
SPEC = ShardSpec(name="large", kind="image", shard_bytes=8 * MIB)


def peak() -> int:
    """The most memory that this process ever had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def large_batches(rows: int) -> Iterator[Any]:
    """Tiny JPEGs with a comment of some 60 kB each, made as they are asked for."""
    draw = np.random.default_rng(1)
    picture = encode(draw.integers(0, 256, (12, 12), dtype=np.uint8))
    for start in range(0, rows, 50):
        keys = [f"{number:032x}-0" for number in range(start, start + 50)]
        text = [draw.bytes(60_000) for _ in keys]
        head = b"\xff\xfe" + (60_002).to_bytes(2, "big")
        images = [picture[:2] + head + one + picture[2:] for one in text]
        yield pa.record_batch(
            {"key": keys, "label": ["a"] * 50, "split": ["train"] * 50, "image": images}
        )


def large_ledger(rows: int) -> Any:
    """The ledger of these rows."""
    facts = {
        "key": [f"{number:032x}-0" for number in range(rows)],
        "split": ["train"] * rows,
        "label": ["a"] * rows,
    }
    return build_ledger(samples_of(pa.record_batch(facts)))


def write_in_bounds(out: Path) -> None:
    """Write 60 MB, then 240 MB, with 8 MiB of waiting rows; tell how far the peak rose."""
    writer.Spill = partial(Spill, limit=8 * MIB)  # type: ignore[misc, assignment, attr-defined]
    peaks = []
    for rows in (1000, 4000):
        write_manifest(out, large_batches(rows), large_ledger(rows), SPEC, make_current=True)
        peaks.append(peak())
    sys.stdout.write(str((peaks[1] - peaks[0]) // MIB))


def read_in_bounds(out: Path) -> None:
    """Read every row, where 24 MiB may stay mapped; tell rows and how far the peak rose."""
    source = ShardDataset(out, read_manifest(out), "train", image_size=8)
    source.fetch(np.arange(8))
    split._RESIDENT, split._UNMEASURED = mapped_bytes() + 24 * MIB, 8
    before = peak()
    rows = sum(len(batch) for batch in ShardLoader(source, 32))
    sys.stdout.write(f"{rows} {(peak() - before) // MIB}")


def run(work: str, out: Path) -> list[int]:
    """Do one of these in a process of its own and return the numbers that it told."""
    command = [sys.executable, "-m", "tests.training.shards.test_memory", work, str(out)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def test_memory_does_not_grow_with_the_set(tmp_path: Path):
    """Of 180 MB more the writer holds 70 at most, and a reader 100 of 240."""
    (rise,) = run("write", tmp_path)
    assert rise < 70
    rows, rise = run("read", tmp_path)
    assert rows == 4000
    assert rise < 100


if __name__ == "__main__":
    {"write": write_in_bounds, "read": read_in_bounds}[sys.argv[1]](Path(sys.argv[2]))
