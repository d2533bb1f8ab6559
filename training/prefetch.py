"""Batches made ready while the trainer works: in a thread, in processes, on the way to a GPU.

Each of these turns steps into pairs of step and batch, in order, so that whoever hands a batch out
knows where the epoch then stands, however far ahead others have read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import torch

Pairs = Iterator[tuple[Any, Any]]


def fetch_ahead(source: Any, steps: Iterable[Any], ahead: int) -> Pairs:
    """Yield each step with its batch; the next `ahead` are fetched by a thread meanwhile."""
    if not ahead:
        yield from ((step, _fetch(source, step)) for step in steps)
        return
    left, waiting = iter(steps), deque[tuple[Any, Future[Any]]]()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        try:
            for step in islice(left, ahead):
                waiting.append((step, pool.submit(_fetch, source, step)))
            while waiting:
                for step in islice(left, 1):
                    waiting.append((step, pool.submit(_fetch, source, step)))
                now, batch = waiting.popleft()
                yield now, batch.result()
        finally:
            for _, pending in waiting:
                pending.cancel()


def fetch_in_processes(source: Any, steps: Iterable[Any], workers: int) -> Pairs:
    """Yield each step with its batch, fetched by worker processes of torch's DataLoader."""
    sent: deque[Any] = deque()

    def remembered() -> Iterator[Any]:
        for step in steps:
            sent.append(step)
            yield step

    loader = torch.utils.data.DataLoader(
        _Steps(source),
        batch_size=None,
        sampler=remembered(),
        num_workers=workers,
        collate_fn=_as_it_is,
        multiprocessing_context="forkserver",  # a fork would inherit locks, not their threads
    )
    for batch in loader:
        yield sent.popleft(), batch


class _Steps(torch.utils.data.Dataset[Any]):
    """A source that is asked for steps instead of rows."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __getitem__(self, step: Any) -> Any:
        return _fetch(self._source, step)


def _fetch(source: Any, step: Any) -> Any:
    return source.fetch(step.rows, filled=step.filled, epoch=step.epoch)


def _as_it_is(batch: Any) -> Any:
    return batch


def hand_to_device(pairs: Pairs, device: str | torch.device | None) -> Pairs:
    """Yield the pairs with their batches on `device`.

    On CUDA each copy starts a batch early, from pinned memory and on a stream of its own, so that
    it runs beside the step before (double buffering).
    """
    if device is None:
        yield from pairs
        return
    place = torch.device(device)
    if place.type != "cuda":
        yield from ((step, batch.to(place)) for step, batch in pairs)
        return
    copies = torch.cuda.Stream(place)  # type: ignore[no-untyped-call]
    before = None
    for step, batch in pairs:
        with torch.cuda.stream(copies):
            moved = batch.pin_memory().to(place, non_blocking=True)
            done = copies.record_event()
        if before is not None:
            yield _arrived(*before)
        before = step, moved, done
    if before is not None:
        yield _arrived(*before)


def _arrived(step: Any, batch: Any, done: torch.cuda.Event) -> tuple[Any, Any]:
    """Make the trainer's stream wait for the copy, and keep the memory until it is used."""
    stream = torch.cuda.current_stream(batch.images.device)
    stream.wait_event(done)
    for tensor in (batch.images, batch.labels, batch.weights):
        tensor.record_stream(stream)
    return step, batch
