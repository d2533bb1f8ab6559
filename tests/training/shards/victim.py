"""A writer in a process of its own, that dies, stops or may not write on at a known point.

`python -m tests.training.shards.victim OUT KIND PROCESSES DEED NUMBER`. DEED: 'none'; 'fsync',
'rename' or 'spill' (killed at the NUMBER-th of these); 'pause' (at the NUMBER-th rename tells
"paused" and waits for its input to end); 'limit' (no file may be longer than NUMBER bytes).
It prints the manifest's digest, or the error.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from tests.training.shards.samples import IMAGES, image_batch, samples_of, table_batch
from training.errors import StoreError
from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest
from training.shards.spill import Spill
from training.shards.writer import ShardSpec, write_manifest

MANY = {"image": 320, "table": 600}  # rows: enough for dozens of shards
SPECS = {
    "image": ShardSpec(name="many", kind="image", shard_bytes=IMAGES.shard_bytes),
    "table": ShardSpec(name="many", kind="table", shard_rows=20),
}


def write_many(out: Path, kind: str, **how: Any) -> Manifest:
    """Write the set that the victim writes."""
    batch = (image_batch if kind == "image" else table_batch)(MANY[kind])
    ledger = build_ledger(samples_of(batch))
    return write_manifest(out, [batch], ledger, SPECS[kind], make_current=True, **how)


def die(*_: object) -> None:
    """Be killed, as by a system that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(*_: object) -> None:
    """Fail as on a full disk, in a worker process."""
    raise StoreError("data/train", "cannot be written", got="no space", advice="Free some.")


def _pause() -> None:
    sys.stdout.write("paused\n")
    sys.stdout.flush()
    sys.stdin.read()


def _at(number: int, deed: Callable[[], None], real: Callable[..., Any]) -> Callable[..., Any]:
    calls = count(1)

    def wrapped(*given: Any, **named: Any) -> Any:
        if next(calls) == number:
            deed()
        return real(*given, **named)

    return wrapped


def _arm(deed: str, number: int) -> None:
    if deed == "fsync":
        os.fsync = _at(number, die, os.fsync)
    elif deed == "rename":
        os.replace = _at(number, die, os.replace)
    elif deed == "spill":
        Spill._write = _at(number, die, Spill._write)  # type: ignore[method-assign]
    elif deed == "pause":
        os.replace = _at(number, _pause, os.replace)
    elif deed == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))


if __name__ == "__main__":
    place, kind, processes, deed, number = sys.argv[1:]
    _arm(deed, int(number))
    try:
        told = write_many(Path(place), kind, processes=int(processes)).digest
    except StoreError as refused:
        told = str(refused)
    sys.stdout.write(told)
