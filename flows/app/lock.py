"""One run at a time in one run folder, over processes; the kernel frees it when a process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from checks.core.errors import GristmillError
from flows.app.refusals import disk_error

LOCK_FILE = ".lock"
_held: dict[Path, tuple[int, int]] = {}  # folder: file descriptor, how often this process holds it
_guard = Lock()


class BusyError(GristmillError):
    """Another process is at work in this run folder."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the run folder `folder` for this process; a flow may hold it again inside.

    Raises:
        BusyError: another process holds it.
        StoreError: the folder cannot be written.
    """
    place = folder.resolve()
    with _guard:
        handle, times = _held.get(place, (-1, 0))
        _held[place] = (handle if times else _take(place), times + 1)
    try:
        yield
    finally:
        with _guard:
            handle, times = _held.pop(place)
            if times > 1:
                _held[place] = (handle, times - 1)
            else:
                os.close(handle)


def _take(folder: Path) -> int:
    """Return the locked file's descriptor. A record lock: no child process inherits it."""
    path = folder / LOCK_FILE
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as refused:
        raise disk_error(path, refused) from refused
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.write(handle, b"%d\n" % os.getpid())
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
        os.close(handle)
        advice = "Wait for it to end, or choose another folder with --out."
        told = f"another run is at work in this folder (process {holder})"
        raise BusyError(str(folder), told, advice=advice) from None
    except OSError as refused:
        os.close(handle)
        raise disk_error(path, refused) from refused
    return handle
