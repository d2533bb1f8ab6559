"""A folder of images: one sub-folder for each class, with or without a level for the split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import polars as pl

from checks.core.errors import SourceError
from checks.sources.columns import SPLIT_NAMES
from checks.sources.identity import fingerprint_entries
from checks.sources.listing import (
    ENTRY_SCHEMA,
    FileFact,
    Listing,
    Problem,
    list_files,
    problem_frame,
    read_file,
)

IMAGE_EXTENSIONS = frozenset({
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "bmp", "dib", "webp", "avif", "tif",
    "tiff", "jp2", "j2k", "jpf", "ppm", "pgm", "pbm", "pnm", "pfm", "ico", "icns", "tga", "pcx",
    "psd", "dds", "sgi", "qoi", "xbm", "xpm", "heic", "heif",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """root/<class>/*.jpg or root/<train|val|valid|validation|test>/<class>/*.jpg.

    The label is the class folder's name; deeper folders belong to their class. A file in a class
    folder is an entry whatever its name ends in: what is no image becomes a finding. Images that
    lie outside every class folder are entries without a label.
    """

    root: Path
    exclude: tuple[str, ...] = ()
    kind: ClassVar[Literal["image_folder"]] = "image_folder"
    modality: ClassVar[Literal["image"]] = "image"

    def entries(self) -> pl.DataFrame:
        """Return one row for each file, sorted by uri; nothing is opened.

        Raises:
            SourceError: no file is left, or split folders and class folders lie side by side.
        """
        listing = list_files(self.root, self.exclude)
        split_level = has_split_level(str(self.root), listing)
        rows = []
        for fact in listing.files:
            split, label, kept = _place(fact, split_level=split_level)
            if kept:
                rows.append((fact.uri, 0, label, split, fact.byte_size, fact.mtime_ns))
        if not rows:
            raise SourceError(
                str(self.root), "no files in class folders and no images",
                got=f"{len(listing.files)} files", allowed="Expected root/<class>/*.jpg.",
                advice="Check the path and the exclude patterns.",
            )  # fmt: skip
        return pl.DataFrame(rows, schema=ENTRY_SCHEMA, orient="row").sort("uri", "row")

    def problems(self) -> pl.DataFrame:
        """Return what was left out: links out of the root, stray files, odd names."""
        listing = list_files(self.root, self.exclude)
        split_level = has_split_level(str(self.root), listing)
        stray = "in no class folder and no image by its name: left out"
        left_out = [
            Problem(fact.uri, None, stray)
            for fact in listing.files
            if not _place(fact, split_level=split_level)[2]
        ]
        return problem_frame([*listing.problems, *left_out])

    def read_bytes(self, entries: pl.DataFrame) -> Iterator[bytes | OSError]:
        """Yield the content of each entry, in order; what cannot be read is an OSError value."""
        for uri in entries["uri"]:
            yield read_file(self.root, uri)

    def file_names(self, entries: pl.DataFrame) -> list[str | None]:
        """Return the name that each image goes by, for comparing extension and content."""
        return list(entries["uri"])

    def fingerprint(self, entries: pl.DataFrame) -> str:
        """Return a sha256 over (uri, row, byte_size, mtime_ns): equal means nothing changed."""
        return fingerprint_entries(entries)


def is_image_name(uri: str) -> bool:
    """Return whether a file name ends like an image's.

    >>> is_image_name("a/B.JPG"), is_image_name("a/labels.csv")
    (True, False)
    """
    return PurePosixPath(uri).suffix[1:].lower() in IMAGE_EXTENSIONS


def has_split_level(where: str, listing: Listing) -> bool:
    """Return whether the first level of folders names splits rather than classes.

    It does if every folder on it is a split name and at least one of them holds folders. A class
    that is called `train` (beside `bus`) is therefore a class.

    Raises:
        SourceError: `train` or `test` holds class folders, but other folders lie beside it.
    """
    tops: dict[str, bool] = {}
    for fact in listing.files:
        parts = fact.uri.split("/")
        if len(parts) > 1:
            tops[parts[0]] = tops.get(parts[0], False) or len(parts) > 2  # noqa: PLR2004
    named = {top for top in tops if top.lower() in SPLIT_NAMES}
    if not named:
        return False
    if named == set(tops):
        return any(tops.values()) or len(named) > 1
    deep = sorted(top for top in named if tops[top])
    if not deep:
        return False
    others = sorted(set(tops) - named)
    raise SourceError(
        where, f"folder {deep[0]!r} holds classes as a split does, but other folders lie beside it",
        got=", ".join(others[:5]), allowed=f"Splits are {', '.join(SPLIT_NAMES)}.",
        advice="Move the other folders away or name them in [source] exclude.",
    )  # fmt: skip


def _place(fact: FileFact, *, split_level: bool) -> tuple[str | None, str | None, bool]:
    """Return split, label, and whether the file is an entry at all."""
    folders: Sequence[str] = fact.uri.split("/")[:-1]
    split = None
    if split_level and folders:
        split, folders = SPLIT_NAMES[folders[0].lower()], folders[1:]
    if folders:
        return split, folders[0], True
    return split, None, is_image_name(fact.uri)
