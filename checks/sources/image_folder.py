"""A folder of images: one sub-folder for each class, with or without a level for the split."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import polars as pl

from checks.core.errors import SourceError
from checks.sources.columns import SPLIT_NAMES
from checks.sources.identity import fingerprint_entries
from checks.sources.listing import (
    ENTRY_SCHEMA,
    Listing,
    Problem,
    digest_file,
    list_files,
    problem_frame,
    read_file,
)

IMAGE_EXTENSIONS = frozenset({
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "bmp", "dib", "webp", "avif", "tif",
    "tiff", "jp2", "j2k", "jpf", "ppm", "pgm", "pbm", "pnm", "pfm", "ico", "icns", "tga", "pcx",
    "psd", "dds", "sgi", "qoi", "xbm", "xpm", "heic", "heif",
})  # fmt: skip


@dataclass(frozen=True)
class ImageFolder:
    """root/<class>/*.jpg or root/<train|val|valid|validation|test>/<class>/*.jpg.

    The label is the class folder's name; deeper folders belong to their class. A file in a class
    folder is an entry whatever its name ends in: what is no image becomes a finding. Images that
    lie outside every class folder are entries without a label.

    The folder is listed once, when it is first asked for: one object tells of one moment. A
    process that it is sent to gets no listing.
    """

    root: Path
    exclude: tuple[str, ...] = ()
    kind: ClassVar[Literal["image_folder"]] = "image_folder"
    modality: ClassVar[Literal["image"]] = "image"

    def __reduce__(self) -> tuple[type[ImageFolder], tuple[Path, tuple[str, ...]]]:
        return ImageFolder, (self.root, self.exclude)

    @classmethod
    def of_listing(cls, root: Path, exclude: tuple[str, ...], listing: Listing) -> ImageFolder:
        """Return the folder `root` as `listing`, made a moment ago, shows it."""
        folder = cls(root, exclude)
        folder.__dict__["_listing"] = listing
        return folder

    @cached_property
    def _listing(self) -> Listing:
        return list_files(self.root, self.exclude)

    @cached_property
    def _placed(self) -> tuple[pl.DataFrame, list[str]]:
        """The entries, and the files that are none."""
        files = self._listing.files
        uris, sizes, times = (list(column) for column in zip(*files, strict=True))
        folders = [uri.rpartition("/")[0] for uri in uris]
        different = set(folders)
        split_level = has_split_level(str(self.root), different)
        places = {folder: _place(folder, split_level=split_level) for folder in different}
        told = [places[folder] for folder in folders]
        columns = {
            "uri": uris, "row": [0] * len(uris), "label": [label for _, label in told],
            "split": [split for split, _ in told], "byte_size": sizes, "mtime_ns": times,
        }  # fmt: skip
        frame = pl.DataFrame(columns, schema=ENTRY_SCHEMA)
        if "" not in places and None not in {label for _, label in places.values()}:
            return frame, []
        kept = [label is not None or is_image_name(uri)
                for uri, (_, label) in zip(uris, told, strict=True)]  # fmt: skip
        return frame.filter(kept), [uri for uri, keep in zip(uris, kept, strict=True) if not keep]

    def entries(self) -> pl.DataFrame:
        """Return one row for each file, sorted by uri; nothing is opened.

        Raises:
            SourceError: no file is left, or split folders and class folders lie side by side.
        """
        found = self._placed[0] if self._listing.files else ENTRY_SCHEMA.to_frame()
        if found.is_empty():
            raise SourceError(
                str(self.root), "no files in class folders and no images",
                got=f"{len(self._listing.files)} files", allowed="Expected root/<class>/*.jpg.",
                advice="Check the path and the exclude patterns.",
            )  # fmt: skip
        return found

    def problems(self) -> pl.DataFrame:
        """Return what was left out: links out of the root, stray files, odd names."""
        left_out = self._placed[1] if self._listing.files else []
        stray = "in no class folder and no image by its name: left out"
        told = [Problem(uri, None, stray) for uri in left_out]
        return problem_frame([*self._listing.problems, *told])

    def read_bytes(self, entries: pl.DataFrame) -> Iterator[bytes | OSError]:
        """Yield the content of each entry, in order; what cannot be read is an OSError value."""
        for uri in entries["uri"]:
            yield read_file(self.root, uri)

    def digests(self, entries: pl.DataFrame) -> Iterator[str | OSError]:
        """Yield the xxh3_128 of each entry's content, in order, or the error that hid it."""
        for uri in entries["uri"]:
            yield digest_file(self.root, uri)

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


def has_split_level(where: str, folders: Collection[str]) -> bool:
    """Return whether the first level of the folders that hold files names splits, not classes.

    It does if every folder on it is a split name and at least one of them holds folders. A class
    that is called `train` (beside `bus`) is therefore a class.

    Raises:
        SourceError: `train` or `test` holds class folders, but other folders lie beside it.
    """
    tops: dict[str, bool] = {}
    for folder in set(folders) - {""}:
        top, _, deeper = folder.partition("/")
        tops[top] = tops.get(top, False) or bool(deeper)
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


def _place(folder: str, *, split_level: bool) -> tuple[str | None, str | None]:
    """Return split and label of the files in `folder`, a path relative to the root."""
    folders: Sequence[str] = folder.split("/") if folder else []
    split = None
    if split_level and folders:
        split, folders = SPLIT_NAMES[folders[0].lower()], folders[1:]
    return split, folders[0] if folders else None
