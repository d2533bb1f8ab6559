"""Rows and arms in a folder of plain arrays, which worker processes map: one copy for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from training.arms import Arm, Arms, TrainingData

_ARRAYS = ("labels", "split", "images", "numbers", "codes")
_ARM = ("keep", "weights", "labels", "rows", "held")


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
