"""Data behind URLs (s3://, gs://, https://, ...): copied once, then read as local files.

A file is copied anew when its mark at the far side (ETag, checksum, or size and time) is another
one, and removed here when it is gone there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from checks.core.errors import SourceError
from checks.core.whole_file import drafting, read_object, replace_file

_MARKS = ".marks.json"
_FOLDER = "files"


def is_url(where: str) -> bool:
    """Return whether a path is the address of something that is not local.

    >>> is_url("s3://bucket/rows/*.parquet"), is_url("data/rows.parquet")
    (True, False)
    """
    return "://" in where


def cache_folder() -> Path:
    """Return the folder of copies: GRISTMILL_CACHE, else ~/.cache/gristmill."""
    asked = os.environ.get("GRISTMILL_CACHE")
    return Path(asked) if asked else Path.home() / ".cache" / "gristmill"


def fetch(url: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Return the local copy of what lies at `url`: a file, or a folder of files.

    Args:
        url: one file, a folder, or a glob, of any protocol that fsspec knows.
        progress: told of the files that are here and of all of them.

    Raises:
        SourceError: the protocol is not known or needs a package, nothing is there, or a file
            cannot be read.
    """
    home = cache_folder() / "remote" / hashlib.sha256(url.encode()).hexdigest()[:24]
    files, root, filesystem = _list(url)
    known = read_object(home / _MARKS)
    marks = {}
    for at, (path, info) in enumerate(sorted(files.items())):
        name = _relative(url, path, root)
        mark, target = _mark(filesystem, path, info), home / _FOLDER / name
        if known.get(name) != mark or not target.is_file():
            _copy(url, filesystem, path, target)
        marks[name] = mark
        if progress is not None:
            progress(at + 1, len(files))
    for name in set(known) - set(marks):
        (home / _FOLDER / name).unlink(missing_ok=True)
    replace_file(home / _MARKS, json.dumps(marks, indent=0, sort_keys=True).encode())
    return home / _FOLDER / next(iter(marks)) if set(files) == {root} else home / _FOLDER


def _list(url: str) -> tuple[dict[str, dict[str, Any]], str, Any]:
    """The files at a URL with what is told of each, the root of their names, the file system."""
    from fsspec.core import url_to_fs  # noqa: PLC0415 - only URLs need it

    try:
        filesystem, path = url_to_fs(url)
        if any(mark in path for mark in "*?["):
            found = filesystem.glob(path, detail=True)
            fixed = [part for part in PurePosixPath(path).parts if not set(part) & set("*?[")]
            root = str(PurePosixPath(*fixed[: PurePosixPath(path).parts.index(fixed[-1]) + 1]))
        elif filesystem.isdir(path):
            found, root = filesystem.find(path, detail=True), path
        else:
            found, root = {path: filesystem.info(path)}, path
    except (OSError, ValueError, ImportError, RuntimeError) as broken:
        _refuse(url, broken)
    files = {name: info for name, info in found.items() if info.get("type") == "file"}
    if not files:
        raise SourceError(url, "no file is there", advice="Check [source] path.")
    return files, root, filesystem


def _relative(url: str, path: str, root: str) -> str:
    """A file's path below the root, which must not lead out of it."""
    name = PurePosixPath(path).name if path == root else str(PurePosixPath(path)).removeprefix(
        str(PurePosixPath(root))).lstrip("/")  # fmt: skip
    if not name or ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
        raise SourceError(url, "a name that leads out of its folder", got=path)
    return name


def _mark(filesystem: Any, path: str, info: dict[str, Any]) -> str:
    for key in ("ETag", "etag", "md5Hash", "checksum"):
        if info.get(key):
            return str(info[key])
    try:
        told = filesystem.modified(path)
    except (NotImplementedError, OSError, KeyError, ValueError):
        told = info.get("mtime") or info.get("created")
    return f"{info.get('size')} {told}"


def _copy(url: str, filesystem: Any, path: str, target: Path) -> None:
    try:
        with drafting(target) as draft:
            filesystem.get_file(path, str(draft))
    except (OSError, ValueError, RuntimeError) as broken:
        _refuse(url, broken)


def _refuse(url: str, broken: Exception) -> NoReturn:
    missing = isinstance(broken, ImportError)
    advice = "Install the package that it names." if missing else "Check [source] path and access."
    raise SourceError(url, "cannot be read", got=f"{type(broken).__name__}: {broken}"[:200],
                      advice=advice) from broken  # fmt: skip
