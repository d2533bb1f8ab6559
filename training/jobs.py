"""Training runs as jobs: one file each, so that a killed experiment redoes only what is missing.

A job is the unit of work and of the cache: one convolutional run, or one batch of heads. Its
digest covers the rows, the arms, the recipe and the engine; a worker reads the rows from a shared
memory map, trains on one thread and leaves an .npz. Results do not depend on the worker count.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.arms import Arms, TrainingData
from training.checkpoint import DAMAGED, Checkpoint
from training.digests import arm_digest, pool_digest
from training.errors import TrainingError
from training.heads import Rows, train_heads
from training.pool import open_pool, shared_pool
from training.recipe import Recipe
from training.shards.store import write_atomic
from training.shards.workers import follow_parent
from training.trainer import Pictures, Run, train
from training.weights import read_start

ENGINE = 6  # raise when training changes what a run gives
HEADS_PER_JOB = 24
Progress = Callable[[int, int], None]
_SOME = ("dynamics", "held_out")  # of a run, where its arm asks for them
_open: dict[str, tuple[Arms, Pictures | Rows]] = {}  # one worker's resident rows


@dataclass(frozen=True, slots=True)
class Job:
    """Runs that are trained together: (arm, seed) pairs, one recipe, one digest."""

    recipe: Recipe
    runs: tuple[tuple[str, int], ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs run.

    workers: processes of one thread on a CPU. packed: processes that share a GPU. 1 is this one.
    """

    cache: Path
    workers: int
    device: torch.device
    packed: int = 1

    @property
    def processes(self) -> int:
        """How many train at once."""
        return self.workers if self.device.type == "cpu" else self.packed


def plan_jobs(
    data: TrainingData,
    arms: Arms,
    recipe: Recipe,
    runs: Sequence[tuple[str, int]],
    device: torch.device,
    *,
    heads: int = HEADS_PER_JOB,
) -> list[Job]:
    """Return the jobs of a tier: single runs for images, batches of whole seeds for heads.

    heads: about so many a job; small ones pay in larger batches.
    """
    rows = pool_digest(data)
    parts = [(run,) for run in runs] if data.images is not None else _by_seed(runs, heads)
    return [Job(recipe, batch, _digest(rows, data, arms, recipe, batch, device)) for batch in parts]


def _by_seed(runs: Sequence[tuple[str, int]], heads: int) -> list[tuple[tuple[str, int], ...]]:
    """Batches of about `heads` runs that never part the arms of one seed."""
    seeds = sorted({seed for _, seed in runs})
    each = max(1, heads * len(seeds) // len(runs))
    parts = [set(seeds[at : at + each]) for at in range(0, len(seeds), each)]
    return [tuple(run for run in runs if run[1] in part) for part in parts]


def _digest(  # noqa: PLR0917 - all that a run depends on
    rows: str,
    data: TrainingData,
    arms: Arms,
    recipe: Recipe,
    runs: tuple[tuple[str, int], ...],
    device: torch.device,
) -> str:
    told = {
        "rows": [rows, data.classes, data.levels],
        "recipe": asdict(recipe),
        "runs": [[name, seed, arm_digest(data, arms.draw(name, seed))] for name, seed in runs],
    }
    return name_result(told, device)


def name_result(told: Mapping[str, Any], device: torch.device) -> str:
    """Return the name, 32 hex digits, of what this engine makes of all that is `told`."""
    whole = {**told, "engine": [ENGINE, torch.__version__, np.__version__, device.type]}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]


def run_jobs(
    data: TrainingData,
    arms: Arms,
    jobs: Sequence[Job],
    place: Place,
    progress: Progress | None = None,
) -> list[Run]:
    """Return the runs of all jobs, in order; those already in the cache are read, not trained.

    progress: called with (jobs done, jobs in all).

    Raises:
        TrainingError: if a worker dies or the device's memory is too small; what was finished
            stays in the cache.
    """
    cache = place.cache
    cache.mkdir(parents=True, exist_ok=True)
    found = {job.digest: _load(cache, job) for job in jobs}
    missing = [job for job in jobs if found[job.digest] is None]
    total, done = len(jobs), len(jobs) - len(missing)
    tell = progress or (lambda _done, _total: None)
    tell(done, total)
    alone = place.processes <= 1 or len(missing) <= 1
    for job in (_alone if alone else _spread)(data, arms, missing, place):
        found[job.digest] = _load(cache, job)
        if found[job.digest] is None:
            raise TrainingError(
                "experiment", "a finished run cannot be read back", got=f"{job.digest}.npz"
            )
        done += 1
        tell(done, total)
    return [run for job in jobs for run in found[job.digest] or []]


def _alone(data: TrainingData, arms: Arms, jobs: list[Job], place: Place) -> Iterator[Job]:
    """Train job after job in this process."""
    cache, device = place.cache, place.device
    if not jobs:
        return
    with repeatable(device):
        resident = _reside(data, device)
        for job in jobs:
            _execute(arms, resident, job, cache)
            yield job


def _spread(data: TrainingData, arms: Arms, jobs: list[Job], place: Place) -> Iterator[Job]:
    """Train in worker processes that map one copy of the rows; each opens the device itself."""
    cache, device = place.cache, place.device
    with shared_pool(cache, data, arms) as shared:
        pool = ProcessPoolExecutor(
            min(place.processes, len(jobs)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=begin_worker,
            initargs=(device,),
        )
        with pool, _enough_memory(device):
            try:
                waiting = {pool.submit(_work, str(shared), job, cache, device): job for job in jobs}
                for future in as_completed(waiting):
                    future.result()
                    yield waiting[future]
            except BrokenProcessPool as broken:
                raise TrainingError(
                    "experiment", "a training worker died", got=f"{len(jobs)} jobs were open",
                    advice="Start again: finished runs are kept. Short of memory: fewer workers.",
                ) from broken  # fmt: skip
            finally:
                pool.shutdown(cancel_futures=True)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Compute so that a seed gives the same bits each time; restore the settings afterwards.

    Raises:
        TrainingError: if the device's memory is too small for what is computed.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    _repeat(device)
    try:
        with _enough_memory(device):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


@contextmanager
def _enough_memory(device: torch.device) -> Iterator[None]:
    """Tell in words where the device's memory is too small, and what needs less."""
    try:
        yield
    except torch.OutOfMemoryError as full:
        raise TrainingError(
            "experiment", "too little memory for the rows and a batch", got=str(device),
            advice="Take fewer processes ([training] packed), a smaller batch_size or image_size; "
            "rows that outgrow one device train through torchrun -m training.distributed.",
        ) from full  # fmt: skip


def _repeat(device: torch.device) -> None:
    """Compute on one thread, as all workers do, and on a GPU with deterministic algorithms.

    cuBLAS must know of them before its first call (CUDA documentation, cuBLAS, results
    reproducibility).
    """
    torch.set_num_threads(1)
    if device.type != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def begin_worker(device: torch.device) -> None:
    """Compute as `repeatable` does, for good, and end when the parent does."""
    _repeat(device)
    follow_parent()


def _reside(data: TrainingData, device: torch.device) -> Pictures | Rows:
    return Pictures(data, device) if data.images is not None else Rows(data, device)


def _work(shared: str, job: Job, cache: Path, device: torch.device) -> None:
    """One task in a worker: the rows are opened at its first job."""
    if shared not in _open:
        data, arms = open_pool(Path(shared))
        _open[shared] = (arms, _reside(data, device))
    _execute(*_open[shared], job, cache)


def _execute(arms: Arms, resident: Pictures | Rows, job: Job, cache: Path) -> None:
    drawn = [(arms.draw(name, seed), seed) for name, seed in job.runs]
    saved = [Checkpoint(cache / f"{job.digest}-{at}.open") for at in range(len(drawn))]
    if isinstance(resident, Rows):
        runs = train_heads(resident, drawn, job.recipe, saved[0])
    else:
        start = read_start(cache, job.recipe.start)
        runs = [
            train(resident, arm, seed, job.recipe, kept, start=start)
            for (arm, seed), kept in zip(drawn, saved, strict=True)
        ]
    columns: dict[str, Any] = {
        f.name: np.stack([np.asarray(getattr(r, f.name)) for r in runs])
        for f in fields(Run)
        if f.name not in _SOME
    }
    for name in _SOME:
        told = enumerate(getattr(run, name) for run in runs)
        columns |= {f"{name}{at}": array for at, array in told if array is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)
    write_atomic(cache / f"{job.digest}.npz", buffer.getvalue())
    for kept in saved:
        kept.clear()


def _load(cache: Path, job: Job) -> list[Run] | None:
    """The runs of a finished job; None where there is none, or the file is damaged or another."""
    try:
        content = io.BytesIO((cache / f"{job.digest}.npz").read_bytes())
        with np.load(content, allow_pickle=False) as stored:
            columns = {f.name: stored[f.name] for f in fields(Run) if f.name not in _SOME}
            some = [
                {name: stored[f"{name}{at}"] for name in _SOME if f"{name}{at}" in stored}
                for at in range(len(job.runs))
            ]
    except DAMAGED:
        return None
    told = [columns["arm"].tolist(), columns["seed"].tolist()]
    whole = all(column.shape[:1] == (len(job.runs),) for column in columns.values())
    if not whole or told != [list(part) for part in zip(*job.runs, strict=True)]:
        return None
    scalar: dict[str, Callable[[Any], Any]] = {
        "arm": str, "seed": int, "n_train": int,
        "test_nll": float, "test_brier": float, "test_ece": float,
    }  # fmt: skip
    kept: list[dict[str, Any]] = [
        {name: scalar.get(name, np.asarray)(column[at]) for name, column in columns.items()}
        for at in range(len(job.runs))
    ]
    return [Run(**one, **more) for one, more in zip(kept, some, strict=True)]
