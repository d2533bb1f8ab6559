"""200 million generated rows profiled in 4 GiB: does it end, and does memory stay flat?

40 Parquet files of 5 million rows (`bench.mixed_table`, 19 GB) are profiled by `gristmill profile`
in a process that may not map more than 4 GiB. Run it as `python -m bench.huge --json FOLDER`; files
that lie in FOLDER already are used as they are. An hour, once: it is no part of `make bench`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.process import run_process
from bench.record import Figure, record, show

FILES, ROWS, SEED, LIMIT_KIB = 40, 5_000_000, 20261128, 4 * 2**20


def write_files(folder: Path) -> None:
    """Write the files that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(FILES):
        path, part = folder / f"part-{at:02}.parquet", folder / "part.tmp"
        if not path.exists():
            command = [sys.executable, "-m", "bench.mixed_table", str(part), str(ROWS)]
            subprocess.run([*command, str(SEED + at)], check=True)
            part.rename(path)


def measure(folder: Path) -> dict[str, Figure]:
    """Profile one file, then all of them, each from nothing and in 4 GiB."""
    figures: dict[str, Figure] = {}
    peaks = {}
    for name, target in (("5M rows", folder / "part-00.parquet"), ("200M rows", folder)):
        run = Path(tempfile.mkdtemp(prefix="gristmill_huge_"))
        start = f"ulimit -v {LIMIT_KIB}; exec {sys.executable} -m flows.app.cli profile"
        cost = run_process(["bash", "-c", f"{start} {target} --out {run}"])
        told = json.loads((run / "profile.json").read_text())
        shutil.rmtree(run)
        peaks[name] = cost.peak_mb
        figures |= {
            f"{name}: counted": Figure(told["row_count"], None, "higher", 1, unit="rows"),
            f"{name}: CPU": Figure(cost.cpu_s, None, "lower", 1, unit="s"),
            f"{name}: peak": Figure(cost.peak_mb, LIMIT_KIB / 1024, "lower", 1, unit="MB"),
        }
    flat = peaks["200M rows"] / peaks["5M rows"]
    return figures | {"peak, 200M over 5M": Figure(flat, 1.25, "lower", 1, unit="x")}


if __name__ == "__main__":
    home = Path(next((word for word in sys.argv[1:] if not word.startswith("-")), "huge"))
    write_files(home)
    show(record("huge", measure(home)))
