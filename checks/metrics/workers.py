"""Work in processes that may die: limits on time and memory, and one item lost at the most.

A worker is `python -m <module>`, so no start method and no `__main__` guard matter. The parent
sends jobs pickled (it trusts itself), a worker answers one line of JSON for each item (whatever
hostile data does to it, it cannot make the parent run anything).
"""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from checks.core.errors import GristmillError
from checks.metrics.image_schema import Limits

Item = tuple[str, int]  # uri and row
Handler = Callable[[list[Item]], Iterator[dict[str, Any]]]

_WALL_FACTOR = 10  # a file may wait for a slow disk or a busy machine, but not for ever
_START_S = 300.0
_ATTEMPTS = 2
_STARTS_MAX = 3
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Job:
    """Items that one worker takes in one go; `first` is the position of the first of them."""

    index: int
    items: tuple[Item, ...]
    first: int = 0


class Lost(NamedTuple):
    """What is left of an item whose worker was lost. kind: timeout or worker_died."""

    kind: str
    message: str


class Answer(NamedTuple):
    """The result for item `position` of job `job`."""

    job: int
    position: int
    result: dict[str, Any] | Lost


def run_jobs(
    module: str, setup: object, jobs: Iterable[Job], *, workers: int, limits: Limits
) -> Iterator[Answer]:
    """Yield one answer for every item of every job, in the order in which they are done.

    An item whose worker dies is tried once more in a fresh one (somebody may have killed the
    first by mistake); one that exceeds its time is not.

    Args:
        module: what a worker runs; it calls `serve`.
        setup: picklable, handed to each worker once.
        jobs: what is to be done.
        workers: how many processes, at least 1.
        limits: max_seconds and max_memory_mb are held for each item and process.

    Raises:
        GristmillError: a worker cannot even start.
    """
    crew = _Crew(module, pickle.dumps((setup, limits)), limits, deque(jobs))
    try:
        while crew.busy(max(1, workers)):
            yield from crew.listen()
    finally:
        crew.stop()


@dataclass(slots=True)
class _Worker:
    """A process, the job that it is at, and the bytes of a line that is not complete yet."""

    process: subprocess.Popen[bytes]
    since: float
    ready: bool = False
    job: Job | None = None
    done: int = 0
    partial: bytes = b""
    overdue: bool = False


@dataclass(slots=True)
class _Crew:
    """The workers of one call, the jobs that wait, and how often an item has failed."""

    module: str
    setup: bytes
    limits: Limits
    waiting: deque[Job]
    workers: list[_Worker] = field(default_factory=list)
    failures: dict[tuple[int, int], int] = field(default_factory=dict)
    failed_starts: int = 0

    def busy(self, wanted: int) -> bool:
        """Start and feed workers; return whether anything is left to wait for."""
        at_work = sum(worker.job is not None for worker in self.workers)
        missing = min(wanted, at_work + len(self.waiting)) - len(self.workers)
        for _ in range(missing):
            self.workers.append(self._start())
        for worker in self.workers:
            if worker.ready and worker.job is None and self.waiting:
                self._feed(worker)
        return bool(self.waiting) or any(worker.job for worker in self.workers)

    def _start(self) -> _Worker:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", self.module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=_worker_environment(), bufsize=0,
        )  # fmt: skip
        worker = _Worker(process, time.monotonic())
        _send(process, self.setup)
        return worker

    def _feed(self, worker: _Worker) -> None:
        worker.job, worker.done = self.waiting.popleft(), 0
        worker.since = time.monotonic()
        _send(worker.process, pickle.dumps(worker.job.items))

    def listen(self) -> Iterator[Answer]:
        """Wait for the workers' next words; yield what they measured and what was lost."""
        with selectors.DefaultSelector() as ears:
            for worker in self.workers:
                assert worker.process.stdout is not None
                ears.register(worker.process.stdout, selectors.EVENT_READ, worker)
            heard = [key.data for key, _ in ears.select(timeout=1.0)]
        for worker in heard:
            yield from self._hear(worker)
        wall = self.limits.max_seconds * _WALL_FACTOR
        for worker in self.workers:
            allowed = wall if worker.ready else _START_S
            idle = worker.ready and worker.job is None
            if not idle and time.monotonic() - worker.since > allowed:
                worker.overdue = True
                worker.process.kill()

    def _hear(self, worker: _Worker) -> Iterator[Answer]:
        assert worker.process.stdout is not None
        block = os.read(worker.process.stdout.fileno(), _READ_BYTES)
        if not block:
            yield from self._bury(worker)
            return
        worker.since = time.monotonic()
        *lines, worker.partial = (worker.partial + block).split(b"\n")
        for line in lines:
            if not worker.ready:
                worker.ready, self.failed_starts = True, 0
                continue
            assert worker.job is not None
            yield Answer(worker.job.index, worker.job.first + worker.done, json.loads(line))
            worker.done += 1
            if worker.done == len(worker.job.items):
                worker.job = None

    def _bury(self, worker: _Worker) -> Iterator[Answer]:
        """Take a dead worker out, give up on the item that it was at or queue it once more."""
        self.workers.remove(worker)
        code = worker.process.wait()
        _close(worker.process)
        if not worker.ready:
            self.failed_starts += 1
            if self.failed_starts >= _STARTS_MAX:
                raise GristmillError(
                    self.module, "a worker process cannot start", got=f"exit code {code}",
                    advice="Its own message stands above.",
                )  # fmt: skip
        job = worker.job
        if job is None:
            return
        position = job.first + worker.done
        late = worker.overdue or code == -getattr(signal, "SIGPROF", 0)
        count = self.failures[job.index, position] = 1 + self.failures.get((job.index, position), 0)
        skip = 0
        if late or count >= _ATTEMPTS:
            skip = 1
            yield Answer(job.index, position, self._explain(late, code))
        rest = job.items[worker.done + skip :]
        if rest:
            self.waiting.appendleft(Job(job.index, rest, position + skip))

    def _explain(self, late: bool, code: int) -> Lost:
        if late:
            return Lost("timeout", f"took longer than {self.limits.max_seconds:g} s")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Lost("worker_died", f"its worker process ended with {name}, {_ATTEMPTS} times")

    def stop(self) -> None:
        """Kill what still runs: after an error, or when the caller wants no more answers."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()
            _close(worker.process)
        self.workers.clear()


def _worker_environment() -> dict[str, str]:
    home = str(Path(__file__).resolve().parents[2])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **single}


def _send(process: subprocess.Popen[bytes], message: bytes) -> None:
    assert process.stdin is not None
    data = struct.pack("<Q", len(message)) + message
    with suppress(BrokenPipeError):  # its end is heard as the end of its answers
        view = memoryview(data)
        while view:
            view = view[process.stdin.write(view) or 0 :]


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def serve(prepare: Callable[[Any, Limits], Handler]) -> None:
    """Answer the parent's jobs until it closes the pipe. The whole life of a worker process.

    prepare: is given the parent's setup and returns the function that measures items; it should
    do all slow and memory-hungry starting work, because the limits hold from then on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends its workers
    words = os.fdopen(os.dup(1), "wb", buffering=0)
    message = _receive(sys.stdin.buffer)
    if message is None:
        return
    setup, limits = pickle.loads(message)  # noqa: S301 - from our own parent
    handler = prepare(setup, limits)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # libraries that print must not write among the answers,
    os.dup2(silence, 2)  # and libtiff fills a terminal with complaints
    _limit_memory(limits)
    with suppress(BrokenPipeError):
        words.write(b"ready\n")
        while (message := _receive(sys.stdin.buffer)) is not None:
            items = pickle.loads(message)  # noqa: S301 - from our own parent
            results = handler(list(items))
            for _ in items:
                _set_alarm(limits.max_seconds)
                result = next(results)
                _set_alarm(0)
                words.write(json.dumps(result).encode() + b"\n")


def _receive(stream: BinaryIO) -> bytes | None:
    head = stream.read(8)
    if len(head) < 8:  # noqa: PLR2004 - the length's own length
        return None
    return stream.read(struct.unpack("<Q", head)[0])


def _set_alarm(seconds: float) -> None:
    """Let the system end this process after so many seconds of its own work; 0 takes it back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(limits: Limits) -> None:
    if not sys.platform.startswith("linux"):
        return
    import resource  # noqa: PLC0415 - not there on every system

    status = Path("/proc/self/status").read_text(encoding="ascii")
    used_kb = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmData"))
    allowed = used_kb * 1024 + limits.max_memory_mb * (1 << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
