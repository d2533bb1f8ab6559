"""What else would have bought accuracy on the digits demo, beside cleaning, and what asking costs.

All levers of the network with 5 paired seeds, from the cleaned run on, through the command line;
networks may start from what one learnt on scikit-learn's digits (1,797 of 8 px a side, brought to
20 in the middle of 28, as the demo's are). Points of test accuracy and times sooner with 95 %
intervals; CPU seconds of the command with its workers, where no run is kept from before: their
half bounds what two quiet cores take.

Run it as `python -m bench.levers --json`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from bench.demo_runs import RUNS
from bench.process import run_process
from bench.record import ROOT, Figure, record, show

LIMIT_S, CORES = 300.0, 2
SIDE_PX, INK_PX, FULL = 28, 20, 16  # the demo's images and ink; scikit-learn's brightest value
CONFIG = """version = 1
[source]
path = "other_digits.data"
kind = "image_folder"
"""
GRISTMILL = [sys.executable, "-m", "flows.app.cli"]


def clean_other_digits() -> Path:
    """Write scikit-learn's digits as a user's folder would look, clean it, return the run."""
    folder, out = RUNS / "other_digits.data", RUNS / "other_digits"
    source = load_digits()
    splits = np.random.default_rng(0).permuted(np.arange(len(source.target)) % 10)
    for at, (pixels, label, part) in enumerate(
        zip(source.images, source.target, splits, strict=True)
    ):
        split = "train" if part < 7 else "val" if part == 7 else "test"  # noqa: PLR2004 - of ten
        place = folder / split / str(label)
        place.mkdir(parents=True, exist_ok=True)
        ink = Image.fromarray((255 / FULL * pixels).astype(np.uint8))
        ink = ink.resize((INK_PX, INK_PX), Image.Resampling.BILINEAR)
        image = Image.new("L", (SIDE_PX, SIDE_PX))
        image.paste(ink, ((SIDE_PX - INK_PX) // 2,) * 2)
        image.save(place / f"{at}.png")
    config = RUNS / "other_digits.toml"
    config.write_text(CONFIG)
    return _clean(config, out)


def _clean(config: Path, out: Path) -> Path:
    command = [*GRISTMILL, "clean", str(config), "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return out


def main() -> None:
    """Clean both if needed, forget the training runs, weigh the levers and record them."""
    out, other = _clean(ROOT / "data" / "digits.toml", RUNS / "digits_levers"), clean_other_digits()
    shutil.rmtree(out / "runs", ignore_errors=True)
    begun = time.perf_counter()
    cost = run_process([*GRISTMILL, "levers", str(out), "--from", str(other)])
    wall = time.perf_counter() - begun
    told = json.loads((out / "levers.json").read_text())
    figures = {
        "wall": Figure(wall, LIMIT_S, "lower", 1, unit="s"),
        "CPU": Figure(cost.cpu_s, CORES * LIMIT_S, "lower", 1, unit="s"),
    }
    for row in told["rows"]:
        gain = {key: round(100 * row["final_acc"][key], 3) for key in ("estimate", "low", "high")}
        ends = (gain["low"], gain["high"])
        name = f"{row['lever']}: test accuracy"
        figures[name] = Figure(gain["estimate"], None, "higher", told["seeds"], ends, "points")
        if sooner := row["seconds"]:
            ends, name = (sooner["low"], sooner["high"]), f"{row['lever']}: sooner, CPU s"
            figures[name] = Figure(sooner["ratio"], None, "higher", told["seeds"], ends, "times")
    for name in ("resident", "loader"):
        figures[f"a batch, {name}"] = Figure(
            1000 * told["feeds"][name], None, "lower", 1, unit="ms CPU"
        )
    show(record("levers", figures))


if __name__ == "__main__":
    main()
