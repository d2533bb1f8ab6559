"""The loader: CPU from JPEG files to uint8 batches, beside ImageFolder, Pillow and a DataLoader.

Data: `bench.shard_data`. A cost is CPU microseconds a sample (user and system, all threads and
processes) over several epochs after a first one, so that no start of a process or compiler is in
it. Cells run in processes of their own, rounds interleaved; a ratio is the median of the rounds'
ratios, its interval the lowest to the highest. Both sides give the same pixels. Run it as
`python -m bench.loader --json`.

photo: 500 x 375 px, largest centred square resized to 224. crop: 300 x 224 px, of which only the
centre is cut out. small: 32..96 px, resized to 32. Theirs is a map-style data set over class
folders, Pillow, torch's DataLoader with 2 processes, batches of 64; ours 2 threads. The resident is
compared at CIFAR's size in batches of 512, moved by up to 2 px and mirrored.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from bench.process import run_module
from bench.record import Figure, record, show

ROUNDS, EPOCHS, BATCH, WORKERS = 3, 3, 64, 2
SIZES = {"photo": 224, "crop": 224, "small": 32, "cifar": 32}
ROWS = {"photo": 600, "crop": 1_500, "small": 10_000, "cifar": 10_000}
SHIFT_PX = 2


class Folder(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Images in class folders, opened by Pillow one by one, as torchvision's ImageFolder does."""

    def __init__(self, root: Path, change: Callable[[Image.Image], Image.Image]) -> None:
        self._files = [(str(path), int(path.parent.name)) for path in sorted(root.rglob("*.jpg"))]
        self._change = change

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        """Return uint8 (3, H, W) and the class."""
        path, label = self._files[row]
        with Image.open(path) as image:
            changed = self._change(image.convert("RGB"))
        return torch.from_numpy(np.asarray(changed).transpose(2, 0, 1).copy()), label


def fit_square(image: Image.Image, size: int) -> Image.Image:
    """Resize the largest centred square."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if (side, left % 1, top % 1) == (size, 0, 0):
        return image.crop((int(left), int(top), int(left) + side, int(top) + side))
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def move_and_mirror(image: Image.Image) -> Image.Image:
    """Move by up to 2 px, mirror every other image."""
    left, top = random.randint(0, 2 * SHIFT_PX), random.randint(0, 2 * SHIFT_PX)  # noqa: S311
    wide = ImageOps.expand(image, SHIFT_PX)
    moved = wide.crop((left, top, left + image.width, top + image.height))
    return ImageOps.mirror(moved) if random.random() < 0.5 else moved  # noqa: S311, PLR2004


def time_epochs(batches: Iterator[Any], rows: int) -> None:
    """Print CPU microseconds a sample of `EPOCHS` epochs that follow one."""
    for _ in range(-(-rows // BATCH)):
        next(batches)
    before = session_cpu_s()
    for _ in batches:
        pass
    print(json.dumps({"us": (session_cpu_s() - before) / rows / EPOCHS * 1e6}))


def session_cpu_s() -> float:
    """CPU seconds of all processes of this session, those that ended included."""
    ticks = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended just now
        if int(fields[3]) == os.getsid(0):
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def make(kind: str, folder: str) -> None:
    """Write the images of a kind as a store and as class folders."""
    from bench.shard_data import CLASSES, make_jpegs, write_store  # noqa: PLC0415

    jpegs = make_jpegs(kind, ROWS[kind])
    write_store(Path(folder) / "store", jpegs)
    for number, data in enumerate(jpegs):
        path = Path(folder) / "files" / str(number % CLASSES) / f"{number:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _dataset(kind: str, folder: str) -> Any:
    from training.dataset import ShardDataset  # noqa: PLC0415
    from training.shards.manifest import read_manifest  # noqa: PLC0415

    out = Path(folder) / "store"
    return ShardDataset(out, read_manifest(out), "train", image_size=SIZES[kind], threads=WORKERS)


def load_threads(kind: str, folder: str) -> None:
    """Ours, in threads."""
    from training.loader import ShardLoader  # noqa: PLC0415

    dataset = _dataset(kind, folder)
    loader = ShardLoader(dataset, BATCH)
    time_epochs(chain.from_iterable(repeat(loader, 1 + EPOCHS)), len(dataset))


def load_processes(kind: str, folder: str) -> None:
    """Ours, in two processes of one decoder each, which stay over all epochs."""
    from training.loader import Step  # noqa: PLC0415
    from training.prefetch import fetch_in_processes  # noqa: PLC0415
    from training.shards.order import EpochOrder  # noqa: PLC0415

    dataset = _dataset(kind, folder)
    dataset._threads, rows = 1, len(dataset)  # noqa: SLF001 - a decoder for each process
    orders = [EpochOrder(rows, 0, epoch).rows(0, rows) for epoch in range(1 + EPOCHS)]
    steps = [Step(order[n : n + BATCH], 0, 0, (0, 0)) for order in orders
             for n in range(0, rows, BATCH)]  # fmt: skip
    time_epochs((batch for _, batch in fetch_in_processes(dataset, steps, WORKERS)), rows)


def load_items(kind: str, folder: str) -> None:
    """Ours as a map-style data set under torch's DataLoader and its collate, in two processes."""
    dataset = _dataset(kind, folder)
    dataset._threads = 1  # noqa: SLF001 - a decoder for each process
    time_loader(dataset, WORKERS)


def load_folder(kind: str, folder: str) -> None:
    """Theirs, in two processes that stay over all epochs."""
    time_folder(folder, partial(fit_square, size=SIZES[kind]), WORKERS)


def load_augmented(folder: str, workers: str) -> None:
    """Theirs at CIFAR's size, each image moved and mirrored by Pillow."""
    time_folder(folder, move_and_mirror, int(workers))


def time_folder(folder: str, change: Callable[[Image.Image], Image.Image], workers: int) -> None:
    """Print what class folders cost."""
    time_loader(Folder(Path(folder) / "files", change), workers)


def time_loader(items: Any, workers: int) -> None:
    """Print what torch's DataLoader over a map-style data set costs."""
    loader = torch.utils.data.DataLoader(items, BATCH, shuffle=True, num_workers=workers,
                                         persistent_workers=workers > 0)  # fmt: skip
    time_epochs(chain.from_iterable(repeat(loader, 1 + EPOCHS)), len(items))


def load_whole(folder: str) -> None:
    """Ours at CIFAR's size, resident; also what loading it once costs."""
    from training.augment import augment  # noqa: PLC0415
    from training.resident import load_resident  # noqa: PLC0415
    from training.shards.manifest import read_manifest  # noqa: PLC0415
    from training.shards.order import EpochOrder  # noqa: PLC0415

    out, batch, epochs = Path(folder) / "store", 512, 5 * EPOCHS
    before = session_cpu_s()
    whole = load_resident(out, read_manifest(out), "train", image_size=32, threads=WORKERS)
    once, rows = session_cpu_s() - before, len(whole)
    assert whole.images is not None
    before = session_cpu_s()
    for epoch in range(epochs):
        order = EpochOrder(rows, 0, epoch).rows(0, rows)
        for start in range(0, rows, batch):
            ids = order[start : start + batch]
            given = whole.images.index_select(0, torch.from_numpy(ids))
            augment(given, ids, np.full(len(ids), epoch), 0, translate_px=SHIFT_PX, flip=True)
    used = session_cpu_s() - before
    print(json.dumps({"us": used / rows / epochs * 1e6, "once_us": once / rows * 1e6}))


def measure_kind(folder: Path, kind: str) -> dict[str, Figure]:
    """Return our cost beside theirs, and threads beside processes."""
    run_module("bench.loader", "make", kind, str(folder))
    costs: dict[str, list[float]] = {"threads": [], "processes": [], "items": [], "folder": []}
    for _ in range(ROUNDS):
        for name, taken in costs.items():
            taken.append(run_module("bench.loader", name, kind, str(folder)).told["us"])
    return {
        f"ours / ImageFolder with Pillow and 2 processes, {kind}": _ratio(
            costs["threads"], costs["folder"], 0.6, "lower"),
        f"threads / processes, same decoder, {kind}": _ratio(
            costs["threads"], costs["processes"], 0.8, "lower"),
        f"threads / DataLoader with 2 processes, same decoder, {kind}": _ratio(
            costs["threads"], costs["items"], 0.8, "lower"),
        f"JPEG to batch, {kind}": _spread(costs["threads"], None, "us"),
    }  # fmt: skip


def measure_resident(folder: Path) -> dict[str, Figure]:
    """Return the resident's cost beside Pillow's at CIFAR's size."""
    run_module("bench.loader", "make", "cifar", str(folder))
    told = []
    theirs: dict[int, list[float]] = {0: [], WORKERS: []}
    for _ in range(ROUNDS):
        told.append(run_module("bench.loader", "whole", str(folder)).told)
        for workers, taken in theirs.items():
            cost = run_module("bench.loader", "augmented", str(folder), str(workers))
            taken.append(cost.told["us"])
    ours = [one["us"] for one in told]
    figures = {
        f"Pillow loader with {workers} processes / resident, CIFAR size": _ratio(
            taken, ours, 15, "higher")
        for workers, taken in theirs.items()
    }  # fmt: skip
    return figures | {
        "resident batch, CIFAR size": _spread(ours, None, "us"),
        "loading it once": _spread([one["once_us"] for one in told], None, "us"),
    }


def _ratio(ours: list[float], theirs: list[float], target: float, better: Any) -> Figure:
    return _spread([a / b for a, b in zip(ours, theirs, strict=True)], target, "x", better)


def _spread(values: list[float], target: float | None, unit: str, better: Any = "lower") -> Figure:
    return Figure(median(values), target, better, len(values), (min(values), max(values)), unit)


def main() -> None:
    """Measure all of it and print the record."""
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
        os.setsid()  # so that `session_cpu_s` counts this process and its own
        torch.set_num_threads(1)
        COMMANDS[sys.argv[1]](*sys.argv[2:])
        return
    figures: dict[str, Figure] = {}
    parts: Iterable[Callable[[Path], dict[str, Figure]]] = (
        *(partial(measure_kind, kind=kind) for kind in ("photo", "crop", "small")),
        measure_resident,
    )
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="gristmill_loader_") as name:
            figures |= part(Path(name))
    show(record("loader", figures))


COMMANDS: Mapping[str, Callable[..., None]] = {
    "make": make, "threads": load_threads, "processes": load_processes, "folder": load_folder,
    "items": load_items,
    "whole": load_whole, "augmented": load_augmented,
}  # fmt: skip

if __name__ == "__main__":
    main()
