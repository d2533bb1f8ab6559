"""How many training processes share a GPU: some steps by 1, 2 and 4 at once, timed.

A small network leaves most of a large device idle, and how much differs from device to device.
Times differ from call to call too, so the choice is stored and read back. It changes no result.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import torch

from training.arms import Arms, TrainingData
from training.jobs import Place, begin_worker, repeatable
from training.pool import open_pool, shared_pool
from training.probing import FASTER, STEPS, WARM_UP, some_steps
from training.recipe import Recipe
from training.resident import free_bytes
from training.shards.store import write_atomic
from training.trainer import Pictures

COUNTS = (2, 4)  # beside one, which is tried without a process of its own
LEAST_S = 120.0  # of training alone: starting processes costs more than shorter ones save
HEADROOM = 0.9  # of what the device has free
CONTEXT_BYTES = 600 << 20  # what CUDA takes for a process before its first tensor
WAIT_S = 120.0  # for the other processes of a trial to get ready
_barriers: dict[int, Any] = {}  # one worker's, by how many meet there


@dataclass(frozen=True, slots=True)
class Turn:
    """What one process did: seconds of the machine's clock, and bytes of the device.

    need: what the process holds. free: what it could have had.
    """

    begun_s: float
    ended_s: float
    need: int
    free: int


def choose_packing(rates: Mapping[int, float]) -> int:
    """Return the fewest processes that no other number beats by more than a twentieth.

    rates: steps a second of all processes together, by how many they are.

    >>> choose_packing({1: 100.0, 2: 180.0, 4: 185.0})
    2
    """
    best = max(rates.values())
    return min(count for count, rate in rates.items() if rate >= FASTER * best)


def fits(count: int, need: int, free: int) -> bool:
    """Say whether so many processes of `need` bytes leave some of the `free` bytes over.

    >>> fits(2, 40, 100), fits(4, 40, 100)
    (True, False)
    """
    return count * need <= HEADROOM * free


def pack(  # noqa: PLR0917 - what is trained, and where
    data: TrainingData, arms: Arms, recipe: Recipe, place: Place, runs: int, packed: int | None
) -> tuple[Place, dict[str, Any]]:
    """Return the place with as many processes on its GPU as train `runs` runs soonest, and facts.

    packed: that many; None tries it. One of tables, whose heads are trained together as it is. The
    first call for this recipe, image shape and device writes into the cache; later ones read. A
    CPU is left as it is: it has workers.
    """
    if place.device.type == "cpu":
        return place, {}
    if packed is None and data.images is None:
        packed = 1
    if packed is not None:
        return replace(place, packed=packed), {"processes": packed}
    rates = find_rates(data, arms, recipe, place, runs)
    told = {str(count): rate for count, rate in rates.items()}
    packed = choose_packing(rates)
    return replace(place, packed=packed), {"processes": packed, "packing": told}


def find_rates(
    data: TrainingData, arms: Arms, recipe: Recipe, place: Place, runs: int
) -> dict[int, float]:
    """Return the steps a second of all processes together, by how many they are; stored or new.

    Processes are started for it only where one alone would train for more than `LEAST_S`.
    """
    path = place.cache / f"packing-{_digest(data, recipe, place.device)}.json"
    if (stored := _read(path)) is not None:
        return stored
    alone, fitting = _try_alone(data, recipe, place.device)
    if runs * recipe.steps / alone < LEAST_S:
        return {1: alone}
    rates = {1: alone, **try_together(data, arms, recipe, place, fitting)}
    write_atomic(path, json.dumps(rates).encode())
    return rates


def _digest(data: TrainingData, recipe: Recipe, device: torch.device) -> str:
    assert data.images is not None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    told = [asdict(recipe), list(data.images.shape), name, torch.__version__]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def _read(path: Path) -> dict[int, float] | None:
    """The rates that were found before; None where there are none, or the file is damaged."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        rates = {int(count): float(rate) for count, rate in told.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return rates if rates.get(1, 0) > 0 and min(rates.values()) >= 0 else None


def _try_alone(
    data: TrainingData, recipe: Recipe, device: torch.device
) -> tuple[float, tuple[int, ...]]:
    """The steps a second of this process, and which of `COUNTS` the device has memory for."""
    with repeatable(device):
        turn = _take_turn(Pictures(data, device), recipe)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return rate([turn]), tuple(count for count in COUNTS if fits(count, turn.need, turn.free))


def rate(turns: Sequence[Turn]) -> float:
    """Return the steps a second of processes that began together, the slowest one's end counted.

    >>> rate([Turn(0.0, 1.0, 0, 0), Turn(0.0, 2.0, 0, 0)]) == 2 * STEPS / 2
    True
    """
    spent = max(turn.ended_s for turn in turns) - min(turn.begun_s for turn in turns)
    return len(turns) * STEPS / spent


def try_together(
    data: TrainingData, arms: Arms, recipe: Recipe, place: Place, counts: Sequence[int] = COUNTS
) -> dict[int, float]:
    """Return the steps a second of so many processes at once, by count; 0 of what failed.

    Where a number fails, for lack of memory say, larger ones are not tried.
    """
    place.cache.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    barriers = {count: context.Barrier(count) for count in counts}
    rates: dict[int, float] = {}
    with (
        shared_pool(place.cache, data, arms) as shared,
        ProcessPoolExecutor(
            max(counts, default=1), mp_context=context, initializer=_begin,
            initargs=(place.device, barriers),
        ) as pool,
    ):  # fmt: skip
        for count in counts:
            turns = [
                pool.submit(_work, str(shared), recipe, place.device, count) for _ in range(count)
            ]
            try:
                rates[count] = rate([turn.result() for turn in turns])
            except (torch.OutOfMemoryError, BrokenBarrierError, BrokenProcessPool):
                rates[count] = 0.0
                break
    return rates


def _begin(device: torch.device, barriers: Mapping[int, Any]) -> None:
    begin_worker(device)
    _barriers.update(barriers)


def _work(shared: str, recipe: Recipe, device: torch.device, count: int) -> Turn:
    """One process's part of a trial: ready itself, wait for the others, take the steps."""
    barrier = _barriers[count]
    try:
        data, _ = open_pool(Path(shared))
        return _take_turn(Pictures(data, device), recipe, barrier)
    except BaseException:
        barrier.abort()  # the others need not wait for this one
        raise


def _take_turn(pictures: Pictures, recipe: Recipe, barrier: Any = None) -> Turn:
    steps = some_steps(pictures, recipe)
    for _ in islice(steps, WARM_UP):
        pass
    _finish(pictures.device)
    if barrier is not None:
        barrier.wait(WAIT_S)
    begun_s = time.monotonic()  # one clock for all processes of the machine
    for _ in steps:
        pass
    _finish(pictures.device)
    ended_s = time.monotonic()
    need = _held_bytes(pictures.device)
    return Turn(begun_s, ended_s, need, free_bytes(pictures.device) + need)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _held_bytes(device: torch.device) -> int:
    """What this process holds of a GPU; of a CPU's memory nothing is counted."""
    if device.type == "cpu":
        return 0
    return int(torch.cuda.max_memory_reserved(device)) + CONTEXT_BYTES
