import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.training.test_experiment_end_to_end import SMALL, _images
from training.experiment import compare
from training.store_arms import Comparison

ROOT = Path(__file__).parents[2]
OPTIONS = replace(SMALL, tiers=("probe", "train"), seeds=3, pilots=1, steps=6, raw_shares=(0.5,))


def made() -> Comparison:
    """Return the pool and arms that both processes train on."""
    return _images()


def test_a_killed_experiment_goes_on_where_it_was(tmp_path: Path) -> None:
    """After kill -9 the next call trains only what is missing, and every curve is the same."""
    whole = compare(made(), OPTIONS, tmp_path / "whole")
    cache = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.training.killed", str(cache), "4"]
    dead = subprocess.run(command, cwd=ROOT, check=False, timeout=100)
    assert dead.returncode == -signal.SIGKILL
    kept = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.npz")}
    assert 4 <= len(kept) < len(list((tmp_path / "whole").glob("*.npz")))
    resumed = compare(made(), OPTIONS, cache)
    timed = ("cpu_s", "wall_s")
    assert resumed.curves.drop(timed).equals(whole.curves.drop(timed))
    assert all((cache / name).stat().st_mtime_ns == at for name, at in kept.items())
