"""Rows and arms in a folder of plain arrays, which worker processes map: one copy for all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from training.arms import Arm, Arms, TrainingData

_PREFIX = "pool-"
_ARRAYS = ("labels", "split", "images", "numbers", "codes")
_ARM = ("keep", "weights", "labels", "rows", "held")


@contextmanager
def shared_pool(cache: Path, data: TrainingData, arms: Arms) -> Iterator[Path]:
    """Yield a folder of `cache` that workers map the pool from; it is gone afterwards.

    What runs that were killed left of theirs is swept first. The folder is locked while this
    process lives, which the system sees to, so a run that shares the cache never sweeps it.
    """
    with ExitStack() as mine:
        with _locked(cache):  # no one sweeps between a folder's making and its lock
            for left in cache.glob(f"{_PREFIX}*"):
                _sweep(left)
            folder = Path(mkdtemp(dir=cache, prefix=_PREFIX))
            mine.enter_context(_locked(folder))
        mine.callback(shutil.rmtree, folder)
        share_pool(folder, data, arms)
        yield folder


def _sweep(folder: Path) -> None:
    """Remove the folder if nobody holds it."""
    with suppress(FileNotFoundError), _locked(folder, wait=False) as ours:
        if ours:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a folder; yield False where another does, or where the file system has no locks."""
    handle, ours = os.open(folder, os.O_RDONLY), True
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            ours = False
        yield ours
    finally:
        os.close(handle)


def share_pool(folder: Path, data: TrainingData, arms: Arms) -> None:
    """Write the arrays that workers map: the pool once, each arm as masks."""
    for name in _ARRAYS:
        if (array := getattr(data, name)) is not None:
            np.save(folder / f"{name}.npy", array)
    fixed = {"raw": arms.raw, "cleaned": arms.cleaned, "oracle": arms.oracle}
    for arm, held in fixed.items():
        for part in _ARM:
            if (array := getattr(held, part, None)) is not None:
                np.save(folder / f"{arm}.{part}.npy", array)
    for at, mask in enumerate(arms.groups.values()):
        np.save(folder / f"group{at}.npy", mask)
    if arms.order is not None:
        np.save(folder / "order.npy", arms.order)
    told = {
        "kind": data.kind, "classes": data.classes, "levels": data.levels,
        "groups": list(arms.groups),
    }  # fmt: skip
    (folder / "pool.json").write_text(json.dumps(told), encoding="utf-8")


def open_pool(folder: Path) -> tuple[TrainingData, Arms]:
    """Return what `share_pool` wrote, as copy-on-write memory maps; keys are left out."""

    def read(name: str) -> Any:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="c", allow_pickle=False) if path.exists() else None

    told = json.loads((folder / "pool.json").read_text(encoding="utf-8"))
    labels = read("labels")
    data = TrainingData(
        told["kind"], tuple(told["classes"]), np.empty(0, np.str_), labels, read("split"),
        read("images"), read("numbers"), read("codes"), tuple(told["levels"]),
    )  # fmt: skip
    arms = {
        arm: None if (first := read(f"{arm}.keep")) is None
        else Arm(arm, first, *(read(f"{arm}.{part}") for part in _ARM[1:]))
        for arm in ("raw", "cleaned", "oracle")
    }  # fmt: skip
    assert arms["raw"] is not None
    assert arms["cleaned"] is not None
    groups = {name: read(f"group{at}") for at, name in enumerate(told["groups"])}
    return data, Arms(arms["raw"], arms["cleaned"], arms["oracle"], groups, read("order"))
