"""What Gristmill writes beside data, and what no source may therefore take for data.

A name alone proves nothing, a user's own table may be called reviews.parquet: the content decides.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping

CONFIG_FILE = "gristmill.toml"
BASELINE_FILE = "baseline.json"
REVIEWS_FILE = "reviews.parquet"
RUN_CONFIG = "config.json"  # of a run folder
_BYTES_MAX = 1 << 20  # a configuration has a few thousand
_HEAD_BYTES = 1 << 16
_VERDICTS = frozenset({"sample_id", "reviewer", "verdict", "drawn_prob"})


def is_run_folder(path: str) -> bool:
    """Return whether `path` is a run folder: its config.json says where the run starts from."""
    try:
        told = json.loads(_read_head(os.path.join(path, RUN_CONFIG), _BYTES_MAX))  # noqa: PTH118
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and isinstance(told.get("run"), dict) and "source" in told


def is_own_file(path: str) -> bool:
    """Return whether `path` is a file that `init`, `baseline approve` or `review import` wrote.

    >>> is_own_file("photos/gristmill.toml"), is_own_file("photos/cat.jpg")
    (True, False)
    """
    judge = OWN_FILES.get(os.path.basename(path))  # noqa: PTH119 - per-file speed
    return judge is not None and judge(path)


def _is_baseline(path: str) -> bool:
    try:
        head = _read_head(path, _HEAD_BYTES)
    except OSError:
        return False
    return b'"about": {' in head and b'"gristmill"' in head


def _is_verdicts(path: str) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - only where a file has that name
    from pyarrow import parquet  # noqa: PLC0415

    try:
        plain = stat.S_ISREG(os.lstat(path).st_mode)
        return plain and _VERDICTS.issubset(parquet.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return False


def _read_head(path: str, bytes_max: int) -> bytes:
    """Return the first bytes of a regular file; of a longer one no more. Links are not followed."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(path)
        return os.read(handle, bytes_max)
    finally:
        os.close(handle)


OWN_FILES: Mapping[str, Callable[[str], bool]] = {
    CONFIG_FILE: lambda _: True,
    BASELINE_FILE: _is_baseline,
    REVIEWS_FILE: _is_verdicts,
}
