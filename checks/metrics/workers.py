"""Work in processes that may die: limits on time and memory, and one item lost at the most.

A worker is `python -m <module>`, so no start method and no `__main__` guard matter. The parent
sends jobs pickled (it trusts itself), a worker answers in lines of JSON, each with the next items'
results (whatever hostile data does to it, it cannot make the parent run anything). A worker
may measure several items together: when it is lost with more than one of them unanswered, those
are done again one by one, so that it is always known which of them it was.
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
_STARTS_MAX = 3
_READ_BYTES = 1 << 16
_FLUSH_S = 0.05  # results wait so long for company: one line of many costs less than many lines
_AHEAD_BYTES = 1 << 14  # a message that any pipe holds, so that sending it never waits


@dataclass(frozen=True, slots=True)
class Job:
    """Items that one worker takes in one go; `first` is the position of the first of them.

    again: a worker was lost at this item already.
    """

    index: int
    items: tuple[Item, ...]
    first: int = 0
    again: bool = False


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

    Items whose worker dies, or exceeds the time of one item, are tried once more, each alone
    (somebody may have killed the worker by mistake, and the others are innocent); an item that
    was alone when the time ran out is not.

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
            pause = 0.0
            for answer in crew.listen():
                given = time.monotonic()
                yield answer
                pause += time.monotonic() - given
            crew.end_overdue(pause)
    finally:
        crew.stop()


@dataclass(slots=True)
class _Worker:
    """A process, its jobs (the one it is at, one ahead), and the bytes of an unfinished line."""

    process: subprocess.Popen[bytes]
    since: float
    ready: bool = False
    jobs: deque[Job] = field(default_factory=deque)
    done: int = 0
    partial: bytes = b""
    overdue: bool = False


@dataclass(slots=True)
class _Crew:
    """The workers of one call and the jobs that wait."""

    module: str
    setup: bytes
    limits: Limits
    waiting: deque[Job]
    workers: list[_Worker] = field(default_factory=list)
    ears: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    failed_starts: int = 0

    def busy(self, wanted: int) -> bool:
        """Start and feed workers; return whether anything is left to wait for."""
        at_work = sum(bool(worker.jobs) for worker in self.workers)
        missing = min(wanted, at_work + len(self.waiting)) - len(self.workers)
        for _ in range(missing):
            self.workers.append(self._start())
        for worker in self.workers:
            if worker.ready and not worker.jobs and self.waiting:
                worker.since = time.monotonic()
                self._feed(worker, pickle.dumps(self.waiting[0].items))
        for worker in self.workers:
            if len(worker.jobs) == 1 and len(self.waiting) > wanted:
                message = pickle.dumps(self.waiting[0].items)
                if len(message) <= _AHEAD_BYTES:
                    self._feed(worker, message)
        return bool(self.waiting) or any(worker.jobs for worker in self.workers)

    def _start(self) -> _Worker:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", self.module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=_worker_environment(), bufsize=0,
        )  # fmt: skip
        worker = _Worker(process, time.monotonic())
        assert process.stdout is not None
        self.ears.register(process.stdout, selectors.EVENT_READ, worker)
        _send(process, self.setup)
        return worker

    def _feed(self, worker: _Worker, message: bytes) -> None:
        worker.jobs.append(self.waiting.popleft())
        _send(worker.process, message)

    def listen(self) -> Iterator[Answer]:
        """Wait for the workers' next words; yield what they measured and what was lost."""
        for key, _ in self.ears.select(timeout=1.0):
            yield from self._hear(key.data)

    def end_overdue(self, pause: float) -> None:
        """Kill the workers that take too long; `pause` seconds were the caller's, not theirs."""
        now, wall = time.monotonic(), self.limits.max_seconds * _WALL_FACTOR
        for worker in self.workers:
            allowed = wall if worker.ready else _START_S
            worker.since = min(now, worker.since + pause)
            idle = worker.ready and not worker.jobs
            if not idle and now - worker.since > allowed:
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
            job = worker.jobs[0]
            names, rows = json.loads(line)
            for values in rows:
                position = job.first + worker.done
                worker.done += 1
                yield Answer(job.index, position, dict(zip(names, values, strict=True)))
            if worker.done == len(job.items):
                worker.jobs.popleft()
                worker.done = 0

    def _bury(self, worker: _Worker) -> Iterator[Answer]:
        """Take a dead worker out; queue what it had not answered, or give up on a single item."""
        self.workers.remove(worker)
        assert worker.process.stdout is not None
        self.ears.unregister(worker.process.stdout)
        code = worker.process.wait()
        _close(worker.process)
        if not worker.ready:
            self.failed_starts += 1
            if self.failed_starts >= _STARTS_MAX:
                raise GristmillError(
                    self.module, "a worker process cannot start", got=f"exit code {code}",
                    advice="Its own message stands above.",
                )  # fmt: skip
        if not worker.jobs:
            return
        job, *ahead = worker.jobs
        self.waiting.extendleft(ahead)
        first, rest = job.first + worker.done, job.items[worker.done :]
        late = worker.overdue or code == -getattr(signal, "SIGPROF", 0)
        if len(rest) == 1 and (late or job.again):
            yield Answer(job.index, first, self._explain(late, code))
            return
        alone = [Job(job.index, (item,), first + i, again=True) for i, item in enumerate(rest)]
        self.waiting.extendleft(reversed(alone))

    def _explain(self, late: bool, code: int) -> Lost:
        if late:
            return Lost("timeout", f"took longer than {self.limits.max_seconds:g} s")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Lost("worker_died", f"its worker process ended with {name}, 2 times")

    def stop(self) -> None:
        """Kill what still runs: after an error, or when the caller wants no more answers."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()
            _close(worker.process)
        self.workers.clear()
        self.ears.close()


def _worker_environment() -> dict[str, str]:
    home = str(Path(__file__).resolve().parents[2])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **single}


def _send(process: subprocess.Popen[bytes], message: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # its end is heard as the end of its answers
        _write(process.stdin, struct.pack("<Q", len(message)) + message)


def _write(stream: Any, data: bytes) -> None:
    """Write all of `data` to an unbuffered stream, which may take it in parts."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) or 0 :]


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
            _answer(words, handler(list(items)), len(items), limits.max_seconds)


def _answer(words: Any, results: Iterator[dict[str, Any]], count: int, seconds: float) -> None:
    """Write `count` results, several in a line when they come fast."""
    ready: list[dict[str, Any]] = []
    due = time.monotonic() + _FLUSH_S
    for _ in range(count):
        _set_alarm(seconds)
        result = next(results)
        if ready and (time.monotonic() >= due or result.keys() != ready[0].keys()):
            _write(words, _encode(ready))
            ready, due = [], time.monotonic() + _FLUSH_S
        ready.append(result)
    _set_alarm(0)
    _write(words, _encode(ready))


def _encode(results: list[dict[str, Any]]) -> bytes:
    """Return results with equal keys as a line: the keys once, then a list of values for each."""
    rows = [[*result.values()] for result in results]
    return json.dumps([list(results[0]), rows]).encode() + b"\n"


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
