"""How a command ends: its exit code, and one sentence on stderr. Imports nothing heavy."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from checks.core.errors import GristmillError
from flows.app.refusals import disk_error, is_full

FOUND, WRONG_USAGE, FAULT = 1, 2, 3
SIGNALLED = 128


class Stopped(KeyboardInterrupt):
    """The process was asked to end by a signal, as by Ctrl-C."""


def say(text: str) -> None:
    """Tell a human."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line speaks


def sentence(error: BaseException) -> str | None:
    """Return the sentence for an error that a person can mend, None for a fault of ours.

    >>> sentence(GristmillError("photos", "no such folder"))
    'photos: no such folder.'
    >>> sentence(KeyError("photos"))
    """
    if isinstance(error, GristmillError) or type(error).__module__ == "training.errors":
        return str(error)
    if isinstance(error, OSError) and is_full(error):
        return str(disk_error(str(error.filename or "gristmill"), error))
    if isinstance(error, OSError) and error.filename is not None:
        return str(GristmillError(str(error.filename), error.strerror or "cannot be used"))
    if isinstance(error, MemoryError):
        return "gristmill: there is not enough memory. Use fewer [profile] workers, or less data."
    return None


def error_of(state: Any) -> BaseException | None:
    """Return the error that ended a Prefect flow, None where it returned its state itself."""
    if state.is_completed() or state.data is None:
        return None
    error = state.result(raise_on_failure=False)
    return error if isinstance(error, BaseException) else None


def run_command(command: Callable[[], int], *, debug: bool = False) -> int:
    """Return the exit code of `command`; an error becomes one sentence on stderr.

    0 clean, 1 findings or a failed gate, 2 a mistake that a person can mend, 3 a fault of
    Gristmill itself, 130 and 143 stopped by Ctrl-C and SIGTERM. With `debug` errors pass.
    """
    try:
        with _hearing_signals():
            return command()
    except BrokenPipeError:  # the reader of stdout has gone: `gristmill checks | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGNALLED + signal.SIGPIPE
    except KeyboardInterrupt as asked:
        if debug:
            raise
        say("Stopped. Nothing half-written was left; the same command goes on from here.")
        return SIGNALLED + (signal.SIGTERM if isinstance(asked, Stopped) else signal.SIGINT)
    except Exception as error:
        if debug:
            raise
        told = sentence(error)
        fault = f"Gristmill failed: {type(error).__name__}: {_first_line(error)}"
        say(told or f"{fault}. This is a fault of ours: --debug shows where.")
        return FAULT if told is None else WRONG_USAGE


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0]


def _stop(number: int, _frame: FrameType | None) -> None:
    """End our worker processes, else a pool would wait for what they are doing; then unwind."""
    workers = sys.modules.get("multiprocessing")
    for worker in workers.active_children() if workers else ():
        worker.terminate()
    raise Stopped if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def _hearing_signals() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into exceptions, so that what is open is closed and swept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = (signal.SIGTERM, signal.SIGINT)
    before = {one: signal.getsignal(one) for one in heard}
    for one, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(one, _stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
