"""What else would have bought accuracy on the digits demo, beside cleaning, and what asking costs.

All levers of the network with 5 paired seeds, from the cleaned run on, through the command line.
Points of test accuracy with 95 % intervals; CPU seconds of the command with its workers, where no
run is kept from before: their half bounds what two quiet cores take.

Run it as `python -m bench.levers --json`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

from bench.demo_runs import RUNS
from bench.process import run_process
from bench.record import ROOT, Figure, record, show

LIMIT_S, CORES = 300.0, 2


def main() -> None:
    """Clean the demo if needed, forget its training runs, weigh the levers and record them."""
    out = RUNS / "digits_levers"
    gristmill = [sys.executable, "-m", "flows.app.cli"]
    config = str(ROOT / "data" / "digits.toml")
    subprocess.run(
        [*gristmill, "clean", config, "--out", str(out)], cwd=ROOT, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.rmtree(out / "runs", ignore_errors=True)
    begun = time.perf_counter()
    cost = run_process([*gristmill, "levers", str(out)])
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
