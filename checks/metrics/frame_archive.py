"""Several frames in one file: Parquet parts of a zip, there whole or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import polars as pl

from checks.core.errors import TableError
from checks.core.whole_file import replace_file


def write_frames(path: Path, frames: Mapping[str, pl.DataFrame | None]) -> None:
    """Write named frames as one file; None stays None."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, frame in frames.items():
            held = BytesIO()
            if frame is not None:
                frame.write_parquet(held, compression="zstd")
            archive.writestr(name, held.getvalue())
    replace_file(path, content.getvalue())


def read_frames(path: Path) -> dict[str, pl.DataFrame | None]:
    """Return the frames that `write_frames` stored.

    Raises:
        TableError: the file is absent, none of ours, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        return {name: pl.read_parquet(BytesIO(one)) if one else None for name, one in held.items()}
    except (OSError, KeyError, zipfile.BadZipFile, pl.exceptions.PolarsError) as broken:
        raise TableError(str(path), "no file of frames", got=str(broken)) from broken
