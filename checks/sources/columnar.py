"""Files whose columns have types: Parquet, and Arrow's own file format (also called Feather)."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

PARQUET_EXTENSIONS = (".parquet", ".pq")
ARROW_EXTENSIONS = (".arrow", ".feather", ".ipc")
COLUMNAR_EXTENSIONS = PARQUET_EXTENSIONS + ARROW_EXTENSIONS


def is_arrow(path: Path) -> bool:
    """Return whether a file is Arrow's by its name."""
    return path.suffix.lower() in ARROW_EXTENSIONS


def read_file_schema(path: Path) -> pa.Schema:
    """Return the schema in a file's footer; nothing else is read.

    Raises:
        OSError, pa.ArrowException: it has none.
    """
    if not is_arrow(path):
        return pq.read_schema(path)
    with pa.OSFile(str(path)) as stream:
        return pyarrow.ipc.open_file(stream).schema


def scan_columnar(path: Path) -> pl.LazyFrame:
    """Return the rows of one file, lazily; its name is taken as it stands, not as a glob."""
    return pl.scan_ipc(path, glob=False) if is_arrow(path) else pl.scan_parquet(path, glob=False)


def row_groups(path: Path) -> list[int]:
    """Return the rows of each part of a Parquet file that is decoded by itself."""
    footer = pq.read_metadata(path)
    return [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
