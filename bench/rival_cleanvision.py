"""cleanvision's side of bench/images.py, run by the Python that GRISTMILL_PEERS names.

Each line on standard input is a folder; the answer is one line with the CPU seconds of all default
checks over it, in one process.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import time
from collections.abc import Callable
from typing import Any


def spend(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of `work`, which prints nothing."""
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        start = time.process_time()
        work()
        return time.process_time() - start


def main() -> None:
    """Answer until standard input ends; imports are done before the first answer."""
    imagelab = importlib.import_module("cleanvision").Imagelab
    for line in sys.stdin:
        folder = line.strip()
        seconds = spend(lambda: imagelab(data_path=folder).find_issues(n_jobs=1))  # noqa: B023 - called at once
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
