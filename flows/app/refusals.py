"""What a file system refuses, in one sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from checks.core.errors import GristmillError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(GristmillError):
    """A run folder that cannot be read or written."""


def is_full(refused: OSError) -> bool:
    """Say whether the disk (or a quota) had no room.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    told = str(refused)  # polars keeps no number, only the text
    seen = any(f"rror {code})" in told or os.strerror(code) in told for code in _FULL)
    return seen or refused.errno in _FULL


def disk_error(path: Path | str, refused: OSError) -> StoreError:
    """Return the one sentence for a disk that did not take what was written."""
    if is_full(refused):
        advice = "Nothing half-written was left; free some space and start the run again."
        return StoreError(str(path), "the disk is full", advice=advice)
    return StoreError(str(path), "cannot be written", got=refused.strerror or str(refused))


def advise_labels(kind: object) -> str:
    """Return how the samples of a kind of source get their classes.

    >>> advise_labels("table")
    'Name the column that holds the class with [source] label.'
    """
    if kind == "image_folder":
        return "Sort the images into one sub-folder for each class: root/<class>/*.jpg."
    return "Name the column that holds the class with [source] label."
