"""Walking a folder without leaving it: regular files in order, and what was left out and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import FileIO
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import polars as pl
import xxhash

from checks.sources.own_files import OWN_FILES, is_own_file, is_run_folder

ENTRY_SCHEMA = pl.Schema({
    "uri": pl.String(), "row": pl.Int64(), "label": pl.String(), "split": pl.String(),
    "byte_size": pl.Int64(), "mtime_ns": pl.Int64(),
})  # fmt: skip
PROBLEM_SCHEMA = pl.Schema({"uri": pl.String(), "row": pl.Int64(), "problem": pl.String()})
_BLOCK_BYTES = 1 << 20
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


def list_files(root: Path, exclude: Sequence[str] = (), *, runs: bool = False) -> Listing:
    """Return every regular file under `root`, in the order of their names.

    Hidden files and folders, those matching a pattern in `exclude` (shell globs over the relative
    path), and what Gristmill writes beside data are left out silently: its configuration,
    baseline and reviews, and, but with `runs`, the folders of its runs below the root. Links out
    of the root, links to folders, devices, unreadable folders and names that are no UTF-8 are left
    out and told in the problems.
    """
    real_root = os.path.realpath(root)
    files: list[FileFact] = []
    problems: list[Problem] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        if runs or not folder or not is_run_folder(os.path.join(real_root, folder)):  # noqa: PTH118
            folders += _look_into(real_root, folder, tuple(exclude), files, problems)
    files.sort(key=itemgetter(0))
    problems += _case_collisions(files)
    return Listing(tuple(files), tuple(sorted(problems, key=lambda item: item.uri)))


def _look_into(
    root: str, folder: str, exclude: tuple[str, ...], files: list[FileFact],
    problems: list[Problem],
) -> list[str]:  # fmt: skip
    """Add the files and problems of one folder; return the folders in it."""
    try:
        with os.scandir(os.path.join(root, folder)) as found:  # noqa: PTH118 - per-file speed
            items = list(found)
    except OSError as error:
        told = f"folder cannot be read ({error.strerror}): left out"
        problems.append(Problem(folder, None, told))
        return []
    inside = []
    prefix = f"{folder}/" if folder else ""
    for item in items:
        name = item.name
        uri = prefix + name
        if name[0] == "." or name.lower() in IGNORED_NAMES:
            continue
        if exclude and any(fnmatchcase(uri, pattern) for pattern in exclude):
            continue
        if not _is_text(name):
            shown = uri.encode("utf-8", "backslashreplace").decode()
            problems.append(Problem(shown, None, "name is not UTF-8: left out; rename it"))
        elif item.is_dir(follow_symlinks=False):
            inside.append(uri)
        elif name not in OWN_FILES or not is_own_file(item.path):
            seen = _examine(root, uri, item)
            (files if type(seen) is FileFact else problems).append(seen)  # type: ignore[arg-type]
    return inside


def _examine(root: str, uri: str, item: os.DirEntry[str]) -> FileFact | Problem:
    """Return the facts of one file or link, or why it is left out."""
    try:
        if item.is_file(follow_symlinks=False):
            fact = item.stat(follow_symlinks=False)
            return FileFact(uri, fact.st_size, fact.st_mtime_ns)
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
        return name.isascii() or bool(name.encode())
    except UnicodeEncodeError:
        return False


def _case_collisions(files: Sequence[FileFact]) -> Iterator[Problem]:
    if len({fact.uri.casefold() for fact in files}) == len(files):
        return
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
    opened = _open_inside(root, uri)
    if isinstance(opened, OSError):
        return opened
    try:
        with opened as stream:
            return stream.read()
    except MemoryError:
        return OSError(f"{uri}: larger than the memory limit")
    except OSError as error:
        return error


def _open_inside(root: Path, uri: str) -> FileIO | OSError:
    """Return the opened regular file `uri`, or why it is not read. Links out are not followed."""
    path = os.path.join(root, uri)  # noqa: PTH118 - per-file speed
    flags = os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
    try:
        if os.path.islink(path):  # noqa: PTH114 - per-file speed
            real_root = os.path.realpath(root)
            path = os.path.realpath(path)
            if os.path.commonpath([real_root, path]) != real_root:
                return PermissionError(f"{uri}: symbolic link out of the root")
        handle = os.open(path, flags)
    except (OSError, ValueError) as error:
        return error if isinstance(error, OSError) else OSError(str(error))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return FileIO(handle, "rb")
    os.close(handle)
    return OSError(f"{uri}: no regular file")


def digest_file(root: Path, uri: str) -> str | OSError:
    """Return the xxh3_128 of the file `uri` under `root`, or the error that hid it.

    Reads as `read_file` does, a megabyte at a time, so that no file is held in memory whole.
    """
    opened = _open_inside(root, uri)
    if isinstance(opened, OSError):
        return opened
    state = xxhash.xxh3_128()
    try:
        with opened as stream:
            while block := stream.read(_BLOCK_BYTES):
                state.update(block)
    except OSError as error:
        return error
    return state.hexdigest()
