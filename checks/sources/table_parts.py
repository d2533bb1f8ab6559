"""A table file by file: its rows in batches of bounded memory, and a mark of its content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import xxhash

from checks.core.cells import BATCH_ROWS
from checks.core.errors import SourceError
from checks.core.whole_file import read_object, replace_file
from checks.sources.columnar import PARQUET_EXTENSIONS, row_groups
from checks.sources.data_table import DataTable
from checks.sources.listing import FileFact, digest_file

_GROUP_ROWS_MAX = 2 * BATCH_ROWS  # larger row groups are not read one by one: they would be twice
_MARKS = "marks.json"


@dataclass(frozen=True, slots=True, eq=False)
class TablePart:
    """One file of a table. lazy: its data columns, typed as the whole table's."""

    fact: FileFact
    root: Path
    lazy: pl.LazyFrame

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, about `BATCH_ROWS` at a time.

        Row groups of a Parquet file are decoded one after the other: the streaming engine would
        decode ahead of the reader, and hold twice the memory.
        """
        path = self.root / self.fact.uri
        groups = row_groups(path) if path.suffix.lower() in PARQUET_EXTENSIONS else []
        if not groups or max(groups) > _GROUP_ROWS_MAX:
            yield from self.lazy.collect_batches(
                chunk_size=BATCH_ROWS, maintain_order=True, engine="streaming"
            )
            return
        start = count = 0
        for rows in [*groups, _GROUP_ROWS_MAX]:
            if count and count + rows > BATCH_ROWS:
                yield self.lazy.slice(start, count).collect(engine="streaming")
                start, count = start + count, 0
            count += rows


def divide_table(table: DataTable) -> list[TablePart]:
    """Return the parts of a table, one for each file that has rows or might have, in order."""
    whole = table.scan().select(table.columns)
    schema = whole.collect_schema()
    typed = [pl.col(name).cast(dtype) for name, dtype in schema.items()]
    return [
        TablePart(fact, table.root, lazy.select(typed))
        for fact, lazy in zip(table.files, table.file_scans(), strict=True)
    ]


def mark_parts(parts: Sequence[TablePart], folder: Path | None) -> list[str]:
    """Return a mark of the content and the types of each part: equal ones are one.

    Args:
        parts: what `divide_table` returned.
        folder: where marks of files that have not changed since (size, time) are remembered.

    Raises:
        SourceError: a file cannot be read any more.
    """
    path = None if folder is None else folder / _MARKS
    known = {} if path is None else read_object(path)
    marks = {}
    for part in parts:
        told = [part.fact.byte_size, part.fact.mtime_ns]
        held = known.get(part.fact.uri)
        digest = held[2] if held and held[:2] == told else _digest(part)
        marks[part.fact.uri] = [*told, digest]
    if path is not None and marks != known:
        replace_file(path, json.dumps(marks, indent=0, sort_keys=True).encode())
    types = [str(part.lazy.collect_schema()) for part in parts]
    return [
        xxhash.xxh3_128_hexdigest(f"{marks[part.fact.uri][2]} {kind}".encode())
        for part, kind in zip(parts, types, strict=True)
    ]


def _digest(part: TablePart) -> str:
    found = digest_file(part.root, part.fact.uri)
    if isinstance(found, OSError):
        raise SourceError(part.fact.uri, "cannot be read", got=str(found)[:120]) from found
    return found
