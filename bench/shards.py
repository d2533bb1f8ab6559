"""Shards: CPU of verified random reads, disk, bytes that a look at labels costs, and resuming.

Data: `bench.shard_data`. A read figure is CPU microseconds a sample (user and system, all threads
and children) of a shuffled pass over everything, without decoding: in a process of its own, the
median of its passes, the data set open. Rounds are interleaved, one tool after the other; a ratio
is the median of the rounds' ratios, its interval the lowest to the highest. Ours proves each row's
hash, the others prove nothing. Run it as `python -m bench.shards --json`. GRISTMILL_PEERS_SHARDS
names a Python with litdata, datasets, pylance, streaming and webdataset; without it their ratios
are left out.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.process import run_module, run_process
from bench.record import Figure, record, show
from bench.rival_loaders import BATCH, TOOLS, time_passes

ROUNDS, HUGE_ROWS = 5, 100_000_000
PEERS, RIVALS = "GRISTMILL_PEERS_SHARDS", Path(__file__).parent / "rival_loaders.py"
TARGETS = {"litdata": {"small": 2, "photo": 2}, "arrow": {"small": 10, "photo": 3}}
NAMES = {"litdata": "LitData's own format", "arrow": "Hugging Face Arrow ds[i]",
         "lance": "Lance take(128)", "mds": "MDS ds[i]", "webdataset": "WebDataset",
         "files": "loose files"}  # fmt: skip


def make(kind: str, folder: str) -> None:
    """Write the images of a kind as a table for the others and as stores; print their sizes."""
    from bench.shard_data import make_jpegs, write_store, write_table  # noqa: PLC0415

    jpegs, told = make_jpegs(kind), {}
    write_table(Path(folder) / "images.parquet", jpegs)
    raw = sum(map(len, jpegs))
    for layout in ("train", "archive"):
        split = write_store(Path(folder) / layout, jpegs, layout).split("train")
        indexes = sum(shard.index.bytes for shard in split.shards if shard.index)
        told[layout] = (split.bytes + indexes) / raw
    print(json.dumps({"sizes": told, "mean": raw / len(jpegs)}))


def read(folder: str) -> None:
    """Print what a sample costs, read in a random order and proven."""
    import numpy as np  # noqa: PLC0415

    from training.shards.manifest import read_manifest  # noqa: PLC0415
    from training.shards.order import EpochOrder  # noqa: PLC0415
    from training.shards.split import SplitReader  # noqa: PLC0415

    out = Path(folder) / "train"
    split = SplitReader(out, read_manifest(out), "train")
    rows = len(split)

    def run() -> int:
        order, done = EpochOrder(rows, 1, 0).at(np.arange(rows)), 0
        for start in range(0, rows, BATCH):
            done += len(split.read(order[start : start + BATCH]).images)
        return done

    print(json.dumps(time_passes(run, rows)))


def look_at_labels(folder: str) -> None:
    """Print the share of a store's shards that reading its schema, keys, labels and weights costs.

    The bytes are counted by the file that pyarrow is given, as it checks pages like `open_shard`.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    from training.shards.manifest import read_manifest  # noqa: PLC0415

    class Counted(io.FileIO):
        read_bytes = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Counted.read_bytes += len(data)
            return data

    out = Path(folder) / "train"
    split = read_manifest(out).split("train")
    for shard in split.shards:
        with Counted(out / shard.path) as file:
            found = pq.ParquetFile(file, page_checksum_verification=True)
            assert found.read(columns=["key", "label", "weight"]).num_rows == shard.rows
    print(json.dumps({"share": Counted.read_bytes / split.bytes}))


def make_huge(folder: str) -> None:
    """Write a manifest of 100M rows: one real shard of thumbnails under as many names as it takes.

    The others are hard links to it and to its index, so every row can be read.
    """
    from bench.shard_data import make_jpegs, write_store  # noqa: PLC0415
    from training.shards.manifest import Split, store_manifest  # noqa: PLC0415
    from training.shards.store import point_current  # noqa: PLC0415

    out, few = Path(folder), make_jpegs("cifar", 1_000)
    manifest = write_store(out, [few[n % 1_000] for n in range(131_579)])
    (only,) = manifest.split("train").shards
    count = -(-HUGE_ROWS // only.rows)
    counts = {label: held * count for label, held in only.label_counts.items()}
    split = Split(count * only.rows, count * only.rows, 0, count * only.bytes, 10, counts,
                  tuple(_link(out, only, number) for number in range(count)))  # fmt: skip
    point_current(out, store_manifest(out, replace(manifest, splits={"train": split})).digest)


def _link(out: Path, shard: Any, number: int) -> Any:
    """Give a shard and its index another name; return its entry."""
    path, index = f"data/train/{number:016x}.parquet", f"index/{number:016x}.npy"
    (out / path).hardlink_to(out / shard.path)
    (out / index).hardlink_to(out / shard.index.path)
    held = replace(shard.index, path=index)
    return replace(shard, path=path, row_start=number * shard.rows, index=held)


def resume(folder: str) -> None:
    """Print CPU milliseconds from the folder's name to the first batch at 90 % of the epoch."""
    from bench.rival_loaders import cpu_s  # noqa: PLC0415
    from training.dataset import ShardDataset  # noqa: PLC0415
    from training.loader import ShardLoader  # noqa: PLC0415
    from training.shards.manifest import read_manifest  # noqa: PLC0415

    before = cpu_s()
    manifest = read_manifest(Path(folder))
    opened = cpu_s()
    dataset = ShardDataset(Path(folder), manifest, "train", image_size=32)
    loader = ShardLoader(dataset, BATCH, ahead=0)
    state = {"manifest": manifest.digest, "seed": 7, "epoch": 3, "cursor": len(dataset) * 9 // 10,
             "order": "full"}  # fmt: skip
    loader.load_state_dict(state)
    batch = next(iter(loader))
    took = cpu_s() - before
    assert len(batch) == BATCH
    print(json.dumps({"ms": took * 1e3, "manifest": (opened - before) * 1e3, "rows": len(dataset)}))


def measure_reads(folder: Path, kind: str) -> dict[str, Figure]:
    """Return the cost of a shuffled, verified pass, beside the other formats."""
    python = os.environ.get(PEERS)
    tools = list(TOOLS) if python else []
    if not python:
        print(f"{PEERS} is not set: no ratio against other formats", file=sys.stderr)
    for tool in tools:
        run_process([str(python), str(RIVALS), "write", tool, str(folder)])
    ours, first = [], []
    theirs: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(ROUNDS):
        told = run_module("bench.shards", "read", str(folder)).told
        ours.append(told["us"])
        first.append(told["first_us"])
        for tool in tools:
            cost = run_process([str(python), str(RIVALS), "read", tool, str(folder)])
            theirs[tool].append(cost.told["us"])
    figures = {f"verified shuffled read, {kind}": _spread(ours, None, "us"),
               f"the first pass of a process, {kind}": _spread(first, None, "us")}  # fmt: skip
    for tool, costs in theirs.items():
        ratios = [cost / own for cost, own in zip(costs, ours, strict=True)]
        target = TARGETS.get(tool, {}).get(kind)
        figures[f"{NAMES[tool]} / ours, {kind}"] = _spread(ratios, target, "x", "higher")
    return figures


def measure_kind(folder: Path, kind: str) -> dict[str, Figure]:
    """Return the figures of thumbnails or photos."""
    told = run_module("bench.shards", "make", kind, str(folder)).told
    sizes = told["sizes"]
    disk = {("photo", "train"): 1.02, ("small", "archive"): 0.75}
    figures = {f"bytes of an image, {kind}": Figure(told["mean"], None, "lower", 1, unit="B")}
    for layout in ("train", "archive"):
        figures[f"disk against JPEG, {layout} layout, {kind}"] = Figure(
            sizes[layout], disk.get((kind, layout)), "lower", 1, unit="x"
        )
    share = run_module("bench.shards", "labels", str(folder)).told["share"]
    target = 0.01 if kind == "photo" else None
    figures[f"share read for labels, {kind}"] = Figure(share, target, "lower", 1)
    return figures | measure_reads(folder, kind)


def measure_resume(folder: Path) -> dict[str, Figure]:
    """Return what it costs to go on at 90 % of 100M rows."""
    run_module("bench.shards", "make_huge", str(folder))
    told = [run_module("bench.shards", "resume", str(folder)).told for _ in range(ROUNDS)]
    return {
        "first batch after resume at 90 % of 100M rows": _spread([t["ms"] for t in told], 50, "ms"),
        "of it, reading the manifest": _spread([t["manifest"] for t in told], None, "ms"),
    }


def _spread(values: list[float], target: float | None, unit: str, better: Any = "lower") -> Figure:
    return Figure(median(values), target, better, len(values), (min(values), max(values)), unit)


def main() -> None:
    """Measure all of it and print the record."""
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
        return
    figures: dict[str, Figure] = {}
    for kind in ("small", "photo"):
        with tempfile.TemporaryDirectory(prefix="gristmill_shards_") as name:
            figures |= measure_kind(Path(name), kind)
    with tempfile.TemporaryDirectory(prefix="gristmill_shards_") as name:
        figures |= measure_resume(Path(name))
    show(record("shards", figures))


COMMANDS: Mapping[str, Callable[..., None]] = {
    "make": make, "read": read, "labels": look_at_labels, "make_huge": make_huge, "resume": resume,
}  # fmt: skip

if __name__ == "__main__":
    main()
