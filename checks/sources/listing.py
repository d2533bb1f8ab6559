"""Walking a folder without leaving it: regular files in order, and what was left out and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import polars as pl

ENTRY_SCHEMA = pl.Schema({
    "uri": pl.String(), "row": pl.Int64(), "label": pl.String(), "split": pl.String(),
    "byte_size": pl.Int64(), "mtime_ns": pl.Int64(),
})  # fmt: skip
PROBLEM_SCHEMA = pl.Schema({"uri": pl.String(), "row": pl.Int64(), "problem": pl.String()})
IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx", "lost+found"})


class FileFact(NamedTuple):
    """A regular file under the root: POSIX path relative to it, bytes, modification time."""

    uri: str
    byte_size: int
    mtime_ns: int


class Problem(NamedTuple):
    """Something that a source left out or changed, with the row where there is one."""

    uri: str
    row: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder, sorted by uri, and the problems met on the way."""

    files: tuple[FileFact, ...]
    problems: tuple[Problem, ...]


def problem_frame(problems: Iterable[Problem]) -> pl.DataFrame:
    """Return problems as a table with the columns uri, row, problem, sorted.

    >>> problem_frame([Problem("a.csv", 3, "4 fields")]).row(0)
    ('a.csv', 3, '4 fields')
    """
    frame = pl.DataFrame(list(problems), schema=PROBLEM_SCHEMA, orient="row")
    return frame.sort("uri", "row", "problem", nulls_last=False)


def list_files(root: Path, exclude: Sequence[str] = ()) -> Listing:
    """Return every regular file under `root`, in the order of their names.

    Hidden files and folders, and those matching a pattern in `exclude` (shell globs over the
    relative path), are left out silently. Links out of the root, links to folders, devices,
    unreadable folders and names that are no UTF-8 are left out and told in the problems.
    """
    real_root = os.path.realpath(root)
    found: list[FileFact | Problem] = list(_walk(real_root, "", tuple(exclude)))
    files = sorted(item for item in found if isinstance(item, FileFact))
    problems = [item for item in found if isinstance(item, Problem)]
    problems += _case_collisions(files)
    return Listing(tuple(files), tuple(sorted(problems, key=lambda item: item.uri)))


def _walk(root: str, folder: str, exclude: tuple[str, ...]) -> Iterator[FileFact | Problem]:
    try:
        with os.scandir(os.path.join(root, folder)) as found:  # noqa: PTH118 - per-file speed
            items = list(found)
    except OSError as error:
        yield Problem(folder, None, f"folder cannot be read ({error.strerror}): left out")
        return
    for item in items:
        if item.name.startswith(".") or item.name.lower() in IGNORED_NAMES:
            continue
        uri = f"{folder}/{item.name}" if folder else item.name
        if any(fnmatchcase(uri, pattern) for pattern in exclude):
            continue
        if not _is_text(uri):
            shown = uri.encode("utf-8", "backslashreplace").decode()
            yield Problem(shown, None, "name is not UTF-8: left out; rename it")
        elif item.is_dir(follow_symlinks=False):
            yield from _walk(root, uri, exclude)
        else:
            yield _examine(root, uri, item)


def _examine(root: str, uri: str, item: os.DirEntry[str]) -> FileFact | Problem:
    """Return the facts of one file or link, or why it is left out."""
    try:
        if item.is_symlink():
            target = os.path.realpath(item.path)
            if os.path.commonpath([root, target]) != root:
                return Problem(uri, None, "symbolic link out of the root: not followed")
            if item.is_dir():
                return Problem(uri, None, "symbolic link to a folder: not followed")
        fact = item.stat()
    except OSError as error:
        return Problem(uri, None, f"cannot be examined ({error.strerror}): left out")
    if not stat.S_ISREG(fact.st_mode):
        return Problem(uri, None, "no regular file (device, pipe or socket): left out")
    return FileFact(uri, fact.st_size, fact.st_mtime_ns)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _case_collisions(files: Sequence[FileFact]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for fact in files:
        first = seen.setdefault(fact.uri.casefold(), fact.uri)
        if first != fact.uri:
            text = f"differs from {first!r} only in case: both are kept, but copies may collide"
            yield Problem(fact.uri, None, text)


def read_file(root: Path, uri: str) -> bytes | OSError:
    """Return the content of the file `uri` under `root`, or the error that hid it.

    A link is followed only while it stays inside the root; anything but a regular file, and a
    file larger than the memory left, is an OSError value, never an exception.
    """
    path = os.path.join(root, uri)  # noqa: PTH118 - per-file speed
    flags = os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
    try:
        if os.path.islink(path):  # noqa: PTH114 - per-file speed
            real_root = os.path.realpath(root)
            path = os.path.realpath(path)
            if os.path.commonpath([real_root, path]) != real_root:
                return PermissionError(f"{uri}: symbolic link out of the root")
        with open(os.open(path, flags), "rb") as stream:  # noqa: PTH123 - opened by descriptor
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return OSError(f"{uri}: no regular file")
            return stream.read()
    except MemoryError:
        return OSError(f"{uri}: larger than the memory limit")
    except (OSError, ValueError) as error:
        return error if isinstance(error, OSError) else OSError(str(error))
