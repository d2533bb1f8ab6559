"""Opening a data set: what lies at a path decides which kind of source reads it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import pyarrow as pa

from checks.core.errors import SourceError
from checks.sources.columnar import (
    COLUMNAR_EXTENSIONS,
    PARQUET_EXTENSIONS,
    is_arrow,
    read_file_schema,
)
from checks.sources.data_table import DataTable, open_csv_table, open_parquet_table
from checks.sources.image_folder import ImageFolder, is_image_name
from checks.sources.image_table import ImageTable, image_column, open_image_table
from checks.sources.listing import FileFact, Listing, Problem, list_files
from checks.sources.remote import fetch, is_url

Kind = Literal["auto", "image_folder", "image_table", "table"]
ImageSource = ImageFolder | ImageTable
Source = ImageFolder | ImageTable | DataTable
KINDS: tuple[Kind, ...] = ("auto", "image_folder", "image_table", "table")
CSV_EXTENSIONS = (".csv", ".tsv", ".tab")
_RECOGNISED = (
    "Recognised: a folder of images (root/<class>/*.jpg), Parquet, Arrow or CSV files, "
    "a glob of these, a URL."
)


def open_source(
    path: str | Path, *, kind: Kind = "auto", label: str | None = None, image: str | None = None,
    split: str | None = None, exclude: Sequence[str] = (),
) -> Source:  # fmt: skip
    """Return the source at `path`: a folder, a file, or a glob of files.

    Args:
        path: local, or a URL, whose files are copied once; a glob's root is its longest part
            without a wildcard.
        kind: "auto" looks: images in a folder, then Parquet (with image bytes or without), then
            CSV.
        label: column of the label; looked for where it is not named, but not in a plain table.
        image: column of the image bytes; looked for where it is not named.
        split: column of the split; a column `split` with known names is found by itself.
        exclude: shell globs over the paths relative to the root.

    Raises:
        SourceError: nothing is there, nothing is recognised, or a column is absent.

    >>> open_source("no/such/folder")
    Traceback (most recent call last):
    ...
    checks.core.errors.SourceError: no/such/folder: no such file or folder. Check [source] path.
    """
    where = str(fetch(str(path))) if is_url(str(path)) else str(path)
    if kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, n=1)
        advice = f"Did you mean {near[0]!r}?" if near else ""
        raise SourceError(
            where, "no kind of source", got=kind, allowed=f"Kinds: {', '.join(KINDS)}.",
            advice=advice,
        )  # fmt: skip
    root, listing = _locate(where, tuple(exclude))
    kind = _recognise(where, root, listing) if kind == "auto" else kind
    if kind == "image_folder":
        if not Path(where).is_dir():
            raise SourceError(where, "is no folder", allowed="An image_folder is a folder.")
        folder = ImageFolder.of_listing(root, tuple(exclude), listing)
        folder.entries()
        return folder
    asked = {"label": label, "image": image, "split": split}
    return _open_table(where, root, listing, kind, asked)


def _locate(where: str, exclude: tuple[str, ...]) -> tuple[Path, Listing]:
    """Return the root and the files under it that `where` means."""
    path = Path(where)
    if path.is_dir():
        listing = list_files(path, exclude)
        if not listing.files:
            told = "; ".join(f"{p.uri}: {p.problem}" for p in listing.problems[:3])
            raise SourceError(
                where, "the folder is empty", got=told or None, allowed=_RECOGNISED,
                advice="Check [source] path and exclude.",
            )  # fmt: skip
        return path.resolve(), listing
    if path.is_file():
        fact = path.stat()
        file = FileFact(path.name, fact.st_size, fact.st_mtime_ns)
        return path.resolve().parent, Listing((file._replace(uri=path.resolve().name),), ())
    if any(mark in where for mark in "*?["):
        return _locate_glob(where, exclude)
    raise SourceError(where, "no such file or folder", advice="Check [source] path.")


def _locate_glob(where: str, exclude: tuple[str, ...]) -> tuple[Path, Listing]:
    parts = Path(where).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed]) if fixed else Path()
    matched = {Path(found).as_posix() for found in glob.glob(where, recursive=True)}  # noqa: PTH207
    runs = "**" not in where  # only `**` looks into folders that it does not name
    listing = list_files(root, exclude, runs=runs) if root.is_dir() else Listing((), ())
    kept = tuple(f for f in listing.files if (root / f.uri).as_posix() in matched)
    if not kept:
        raise SourceError(where, "no file matches", advice="Check [source] path.")
    told = tuple(p for p in listing.problems if (root / p.uri).as_posix() in matched)
    return root.resolve(), Listing(kept, told)


def _recognise(where: str, root: Path, listing: Listing) -> Kind:
    if Path(where).is_dir() and any(is_image_name(fact.uri) for fact in listing.files):
        return "image_folder"
    for fact in _with_extension(listing, COLUMNAR_EXTENSIONS):
        try:
            found = image_column(read_file_schema(root / fact.uri))
        except (OSError, pa.ArrowException):
            continue
        return "table" if found is None else "image_table"
    if _with_extension(listing, CSV_EXTENSIONS + COLUMNAR_EXTENSIONS):
        return "table"
    shown = ", ".join(fact.uri for fact in listing.files[:3])
    raise SourceError(
        where, "no recognised files", got=shown, allowed=_RECOGNISED,
        advice="Check [source] path, or set [source] kind.",
    )  # fmt: skip


def _with_extension(listing: Listing, extensions: Sequence[str]) -> tuple[FileFact, ...]:
    return tuple(f for f in listing.files if f.uri.lower().endswith(tuple(extensions)))


def _open_table(
    where: str, root: Path, listing: Listing, kind: Kind, asked: Mapping[str, str | None]
) -> Source:
    asked_for = COLUMNAR_EXTENSIONS if kind == "table" else PARQUET_EXTENSIONS
    parquet = _with_extension(listing, asked_for)
    csv = _with_extension(listing, CSV_EXTENSIONS)
    alone = len(listing.files) == 1 and not parquet and not csv
    if alone and kind == "table":
        csv = listing.files
    if kind == "table" and parquet and csv:
        raise SourceError(
            where, "CSV and columnar files lie side by side", got=f"{parquet[0].uri}, {csv[0].uri}",
            allowed="One table is of one format.", advice="Give a glob, e.g. '*.parquet'.",
        )  # fmt: skip
    if csv and kind == "table":
        return open_csv_table(root, csv, asked, listing.problems)
    kept, told = _readable(root, parquet)
    if not kept:
        shown = "; ".join(f"{p.uri}: {p.problem}" for p in told[:3])
        got = shown or ", ".join(f.uri for f in listing.files[:3])
        raise SourceError(where, f"no file for kind {kind!r}", got=got, allowed=_RECOGNISED)
    reader: Callable[..., Source] = (
        open_image_table if kind == "image_table" else open_parquet_table
    )
    return reader(root, kept, asked, (*listing.problems, *told))


def _readable(root: Path, files: Sequence[FileFact]) -> tuple[tuple[FileFact, ...], list[Problem]]:
    """Return the files whose footer can be read, and a problem for each other."""
    kept, told = [], []
    for fact in files:
        try:
            read_file_schema(root / fact.uri)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0][:120]
            format_ = "Arrow" if is_arrow(root / fact.uri) else "Parquet"
            told.append(
                Problem(fact.uri, None, f"cannot be read as {format_} ({reason}): left out")
            )
        else:
            kept.append(fact)
    return tuple(kept), told
