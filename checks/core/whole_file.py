"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4


@contextmanager
def drafting(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; it takes that name when the block ends well.

    What was written reaches the disk first. Where the block fails, `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{uuid4().hex}.tmp"
    try:
        yield draft
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path`."""
    with drafting(path) as draft:
        draft.write_bytes(content)


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; {} where there is none: what is kept there is a cache."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
