import numpy as np
import pytest

from training.matching import match_compute
from training.trainer import Run


def _run(arm: str, seed: int, curve: list[float], cpu_s: list[float], right: int) -> Run:
    steps = np.linspace(0, 100, len(curve)).astype(np.int64)
    return Run(
        arm, seed, 10, steps, steps, np.array(cpu_s), np.array(cpu_s), np.array(curve),
        np.zeros(len(curve)), (np.arange(20) >= right).astype(np.int16), 0.0, 0.0, 0.0,
    )  # fmt: skip


def test_each_way_of_matching_reads_its_own_runs() -> None:
    """Steps and epochs compare test items of their runs, seconds the curves at the common time."""
    labels = np.zeros(20, np.int64)
    raw = [_run("raw", s, [0.0, 0.4, 0.8], [0.0, 1.0, 2.0], 10 + s) for s in range(3)]
    slow = [_run("cleaned", s, [0.0, 0.5, 1.0], [0.0, 2.0, 4.0], 14 + s) for s in range(3)]
    short = [_run("cleaned_epochs", s, [0.0, 0.5], [0.0, 2.0], 12 + s) for s in range(3)]
    rows = {row["matched"]: row for row in match_compute(raw, slow, short, labels, 10)}
    assert [row["primary"] for row in rows.values()] == [True, False, False]
    assert rows["steps"]["estimate"] == pytest.approx(4 / 20)
    assert rows["epochs"]["estimate"] == pytest.approx(2 / 20)
    assert rows["seconds"]["estimate"] == pytest.approx(0.5 - 0.8)
    assert rows["seconds"]["cpu_s"] == pytest.approx(2.0)


def test_nothing_dropped_makes_epochs_steps() -> None:
    """Where cleaning drops no row, equal epochs are equal steps."""
    labels = np.zeros(20, np.int64)
    runs = [_run("raw", s, [0.0, 0.4], [0.0, 1.0], 10 + s) for s in range(3)]
    steps, epochs, _ = match_compute(runs, runs, [], labels, 10)
    assert (steps["estimate"], steps["low"]) == (epochs["estimate"], epochs["low"]) == (0.0, 0.0)


def test_equal_readings_of_unequal_runs_are_no_precision() -> None:
    """All seeds right on the same few items, by other curves: every way of matching has a width."""
    labels = np.zeros(20, np.int64)
    raw = [_run("raw", s, [0.0, 0.4, 0.8], [0.0, 1.0, 2.0], 12) for s in range(5)]
    cleaned = [_run("cleaned", s, [0.0, 0.5, 0.8], [0.0, 1.0, 2.0], 12) for s in range(5)]
    short = [_run("cleaned_epochs", s, [0.0, 0.5], [0.0, 2.0], 12) for s in range(5)]
    for row in match_compute(raw, cleaned, short, labels, 5):
        assert row["low"] < row["estimate"] == 0 < row["high"], row["matched"]
