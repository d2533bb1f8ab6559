from __future__ import annotations

import json
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from threading import Barrier
from typing import Self
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import CPU, RECIPE, bars
from training import jobs as jobs_module
from training import packing
from training.arms import Arms, TrainingData, raw_arm
from training.errors import TrainingError
from training.jobs import Place, plan_jobs, run_jobs
from training.packing import Turn, choose_packing, find_rates, fits, pack, try_together
from training.trainer import Run

GPU = torch.device("cuda")
SHORT = replace(RECIPE, steps=6, evals=2, batch_size=16)
rates = st.dictionaries(st.sampled_from([1, 2, 4]), st.floats(0.01, 1e4), min_size=1)


@given(rates)
def test_fewer_processes_are_taken_unless_more_are_faster(told: dict[int, float]) -> None:
    """What is chosen is within a twentieth of the fastest, and nothing smaller is."""
    chosen = choose_packing(told)
    assert told[chosen] >= 0.95 * max(told.values())
    assert all(told[count] < 0.95 * max(told.values()) for count in told if count < chosen)


def test_a_number_that_failed_is_never_chosen() -> None:
    """A rate of 0, for want of memory, loses to any other."""
    assert choose_packing({1: 5.0, 2: 9.0, 4: 0.0}) == 2


@given(st.integers(1, 8), st.integers(0, 100), st.integers(0, 100))
def test_more_processes_never_need_less_memory(count: int, need: int, free: int) -> None:
    """Where a number fits, every smaller one does."""
    assert fits(count - 1, need, free) or not fits(count, need, free)


def _arms(data: TrainingData) -> Arms:
    raw = raw_arm(data)
    return Arms(raw, replace(raw, name="cleaned"))


def _words(runs: list[Run]) -> list[object]:
    return [(r.arm, r.seed, r.val_nll.tolist(), r.test_pred.tolist(), r.test_nll) for r in runs]


@pytest.mark.parametrize("made", [bars, clouds], ids=["images", "table"])
def test_processes_that_open_the_device_give_the_same_bits(made: object, tmp_path: Path) -> None:
    """Runs spread over two processes, told which device to open, are those of one alone."""
    assert callable(made)
    data = made()
    arms, wanted = _arms(data), [("raw", seed) for seed in range(2)]
    recipe = SHORT if data.images is not None else replace(SHORT, embedding=2)
    jobs = plan_jobs(data, arms, recipe, wanted, CPU, heads=1)
    assert len(jobs) == 2
    told = [
        _words(run_jobs(data, arms, jobs, Place(tmp_path / str(workers), workers, CPU)))
        for workers in (1, 2)
    ]
    assert told[0] == told[1]


def test_a_gpu_has_its_own_number_of_processes() -> None:
    """Workers of a CPU are not those of a GPU, which one process has unless more are asked for."""
    assert Place(Path(), 8, CPU, packed=2).processes == 8
    assert Place(Path(), 8, GPU).processes == 1
    assert Place(Path(), 8, GPU, packed=2).processes == 2


def test_two_processes_are_timed_together(tmp_path: Path) -> None:
    """Real processes open the rows, wait for each other, take their steps and tell a rate."""
    data = bars()
    told = try_together(data, _arms(data), SHORT, Place(tmp_path, 1, CPU), counts=(2,))
    assert list(told) == [2]
    assert told[2] > 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_measured_stays(tmp_path: Path) -> None:
    """Long runs are tried with more processes, once; short ones are not; a damaged file is."""
    data = bars()
    place = Place(tmp_path, 1, CPU)

    def find(runs: int, found: float) -> dict[int, float]:
        together = {2: found, 4: found}
        with patch.object(packing, "try_together", lambda *_asked: together):
            return find_rates(data, _arms(data), SHORT, place, runs)

    assert list(find(1, 1e9)) == [1]
    assert list(tmp_path.iterdir()) == []
    first = find(10**9, 1e9)
    assert choose_packing(first) == 2
    assert find(1, 0.0) == first
    next(tmp_path.iterdir()).write_text(json.dumps({"1": "many"}))
    assert choose_packing(find(10**9, 0.0)) == 1


def test_what_is_asked_for_is_taken(tmp_path: Path) -> None:
    """A number of the user's is not tried out; tables are left alone; a CPU has its workers."""
    place, data = Place(tmp_path, 3, GPU), clouds()
    arms = _arms(data)
    assert pack(data, arms, SHORT, place, 9, 4)[0].processes == 4
    assert pack(data, arms, SHORT, place, 9, None) == (place, {"processes": 1})
    home = replace(place, device=CPU)
    assert pack(bars(), arms, SHORT, home, 9, None) == (home, {})


def test_a_process_that_fails_keeps_none_waiting(tmp_path: Path) -> None:
    """Where one cannot open the rows, the barrier is broken for the others, and the error told."""
    barrier = Barrier(2)
    with patch.dict(packing._barriers, {2: barrier}), pytest.raises(FileNotFoundError):
        packing._work(str(tmp_path), SHORT, CPU, 2)
    assert barrier.broken


class _Full:
    """A pool of processes whose work runs out of memory."""

    def __init__(self, *_asked: object, **_more: object) -> None:
        self.tried = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def submit(self, *_work: object) -> _Full:
        self.tried += 1
        return self

    def result(self) -> Turn:
        assert self.tried <= 2
        raise torch.OutOfMemoryError

    def shutdown(self, **_how: object) -> None:
        return None


def test_too_little_memory_ends_the_trial(tmp_path: Path) -> None:
    """A number of processes that runs out of memory has rate 0, and no larger one is tried."""
    data = bars()
    with patch.object(packing, "ProcessPoolExecutor", _Full):
        told = try_together(data, _arms(data), SHORT, Place(tmp_path, 1, CPU))
    assert told == {2: 0.0}


@pytest.mark.parametrize("workers", [1, 2])
def test_too_little_memory_is_told_in_words(workers: int, tmp_path: Path) -> None:
    """Where the device cannot hold rows and batch, alone or shared, the error says what needs less.

    A worker's error must come through the pipe to be told.
    """
    data = bars()
    arms = _arms(data)
    jobs = plan_jobs(data, arms, SHORT, [("raw", 0), ("raw", 1)], CPU)
    worker, here = Pipe()
    worker.send(torch.OutOfMemoryError("full"))
    with (
        patch.object(jobs_module, "ProcessPoolExecutor", _Full),
        patch.object(jobs_module, "as_completed", list),
        patch.object(jobs_module, "Pictures", side_effect=here.recv()),
        pytest.raises(TrainingError, match=r"too little memory.*'cpu'.*packed.*torchrun"),
    ):
        run_jobs(data, arms, jobs, Place(tmp_path, workers, CPU))
    assert list(tmp_path.iterdir()) == []


def test_rows_larger_than_the_device_are_told_before_a_job(tmp_path: Path) -> None:
    """The first to open the rows, a trial of the device, tells it as a run does."""
    data = bars()
    place = Place(tmp_path, 1, CPU)
    with (
        patch.object(packing, "Pictures", side_effect=torch.OutOfMemoryError),
        pytest.raises(TrainingError, match="too little memory"),
    ):
        find_rates(data, _arms(data), SHORT, place, 1)
