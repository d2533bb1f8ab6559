"""Images inside Parquet: a column of bytes, or Hugging Face's {bytes, path}, beside a label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from checks.core.errors import SourceError
from checks.sources.columnar import read_file_schema
from checks.sources.columns import (
    LABEL_NAMES,
    class_names,
    hf_features,
    label_values,
    pick_column,
    split_of_path,
    split_values,
    tells_split,
)
from checks.sources.identity import fingerprint_entries
from checks.sources.listing import ENTRY_SCHEMA, FileFact, Problem, problem_frame, read_file

IMAGE_NAMES = ("image", "img", "picture", "image_bytes", "bytes", "jpg", "png")
FILE_NAMES = ("file", "file_name", "filename", "path", "image_path", "name")
_STREAM_ROWS = 32


@dataclass(frozen=True, slots=True)
class ImageTable:
    """One or more Parquet files with one encoded image in each row."""

    root: Path
    files: tuple[FileFact, ...]
    image: str
    label: str | None = None
    classes: tuple[str, ...] = ()
    split: str | None = None
    file_name: str | None = None
    notes: tuple[Problem, ...] = ()
    kind: ClassVar[Literal["image_table"]] = "image_table"
    modality: ClassVar[Literal["image"]] = "image"

    def entries(self) -> pl.DataFrame:
        """Return one row for each table row, sorted by (uri, row); image bytes stay unread.

        Raises:
            SourceError: the label column holds no categories, or the split column other names.
        """
        whole = pl.concat([ENTRY_SCHEMA.to_frame(), *map(self._entries_of, self.files)])
        if whole.is_empty():
            raise SourceError(str(self.root), "the table has no rows", got=self.files[0].uri)
        return whole.sort("uri", "row")

    def _entries_of(self, fact: FileFact) -> pl.DataFrame:
        path = self.root / fact.uri
        wanted = [name for name in (self.label, self.split) if name is not None]
        height = pq.read_metadata(path).num_rows
        told = pl.read_parquet(path, columns=wanted) if wanted else pl.DataFrame(height=height)
        nothing = pl.Series([None] * height, dtype=pl.String)
        label = split = nothing
        if self.label is not None:
            label = label_values(fact.uri, told[self.label], self.classes)
        if self.split is not None:
            split = split_values(fact.uri, told[self.split])
        elif (from_path := split_of_path(fact.uri)) is not None:
            split = pl.Series([from_path] * height, dtype=pl.String)
        frame = pl.DataFrame({"label": label, "split": split}).with_row_index("row")
        return frame.select(
            uri=pl.lit(fact.uri), row=pl.col("row").cast(pl.Int64), label="label", split="split",
            byte_size=pl.lit(None, dtype=pl.Int64), mtime_ns=pl.lit(fact.mtime_ns, dtype=pl.Int64),
        )  # fmt: skip

    def problems(self) -> pl.DataFrame:
        """Return what was left out or changed."""
        return problem_frame(self.notes)

    def read_bytes(self, entries: pl.DataFrame) -> Iterator[bytes | OSError]:
        """Yield the content of each entry, in order, streaming through the row groups.

        A row without bytes is read from its `path` if that lies under the root. What cannot be
        read is an OSError value.
        """
        for (uri,), part in entries.group_by("uri", maintain_order=True):
            for cell in read_cells(self.root / str(uri), self.image, part["row"].to_list()):
                yield self._content(cell, str(uri))

    def digests(self, entries: pl.DataFrame) -> Iterator[str | OSError]:
        """Yield the xxh3_128 of each entry's content, in order, or the error that hid it."""
        for content in self.read_bytes(entries):
            if isinstance(content, OSError):
                yield content
            else:
                yield xxhash.xxh3_128_hexdigest(content)

    def _content(self, cell: Any, uri: str) -> bytes | OSError:
        if isinstance(cell, dict):
            path = cell.get("path")
            if cell.get("bytes") is None and isinstance(path, str) and path:
                beside = (Path(uri).parent / path).as_posix()
                if Path(path).is_absolute() or ".." in Path(path).parts:
                    return PermissionError(f"{path}: out of the root")
                return read_file(self.root, beside)
            cell = cell.get("bytes")
        if cell is None:
            return OSError("the row holds no image bytes")
        return cell if isinstance(cell, (bytes, OSError)) else OSError("the cell holds no bytes")

    def file_names(self, entries: pl.DataFrame) -> list[str | None]:
        """Return the name that each image goes by, None where the table tells none."""
        names: list[str | None] = []
        for (uri,), part in entries.group_by("uri", maintain_order=True):
            rows = part["row"].to_list()
            if self.file_name is None:
                names += [None] * len(rows)
                continue
            path = self.root / str(uri)
            low, high = min(rows), max(rows) + 1
            lazy = pl.scan_parquet(path, glob=False).slice(low, high - low)
            column = pl.col(self.file_name)
            if self.file_name == self.image:
                column = column.struct.field("path")
            told = lazy.select(column.cast(pl.String).alias("name")).collect()["name"]
            names += told.gather([row - low for row in rows]).to_list()
        return names

    def fingerprint(self, entries: pl.DataFrame) -> str:
        """Return a sha256 over the entries and the files: equal means nothing changed."""
        return fingerprint_entries(entries, self.files)


@dataclass(slots=True)
class _Stream:
    """An open row group and how far it has been read."""

    key: tuple[str, int, int, str]
    cells: Iterator[Any]
    place: int = 0


_OPEN: dict[str, _Stream] = {}  # at most one: bundles of one row group reach a worker in order


def read_cells(path: Path, column: str, rows: list[int]) -> Iterator[Any]:
    """Yield one column's values at ascending `rows`, each row group read once, streaming.

    A row that cannot be decoded yields an OSError value; so do the rest of its row group.
    """
    try:
        meta = pq.read_metadata(path)
        mtime = path.stat().st_mtime_ns
    except (OSError, pa.ArrowException) as error:
        yield from (OSError(f"Parquet cannot be read: {error}") for _ in rows)
        return
    ends: list[int] = []
    for group in range(meta.num_row_groups):
        ends.append((ends[-1] if ends else 0) + meta.row_group(group).num_rows)
    group = 0
    for row in rows:
        while group < len(ends) and row >= ends[group]:
            group += 1
        if group == len(ends):
            yield OSError(f"row {row} lies behind the end of the file")
            continue
        start = ends[group - 1] if group else 0
        yield _cell((str(path), mtime, group, column), row - start)


def _cell(key: tuple[str, int, int, str], place: int) -> Any:
    stream = _OPEN.get("one")
    if stream is None or stream.key != key or stream.place > place:
        stream = _OPEN["one"] = _Stream(key, _stream_group(*key))
    try:
        while stream.place < place:
            next(stream.cells)
            stream.place += 1
        stream.place += 1
        return next(stream.cells).as_py()
    except (OSError, pa.ArrowException, StopIteration) as error:
        return OSError(f"Parquet page cannot be read: {error}")


def _stream_group(path: str, _mtime: int, group: int, column: str) -> Iterator[Any]:
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        batches = file.iter_batches(_STREAM_ROWS, [group], [column], use_threads=False)
        for batch in batches:
            yield from batch.column(0)


def image_column(schema: pa.Schema) -> str | None:
    """Return the column that holds images: by Hugging Face's features, by type, by name."""
    features = hf_features(schema)
    for name, feature in features.items():
        if isinstance(feature, dict) and feature.get("_type") == "Image" and name in schema.names:
            return str(name)
    holders = [f.name for f in schema if _is_struct_image(f.type)]
    holders += [
        name for name in IMAGE_NAMES if name in schema.names and _is_binary(schema.field(name).type)
    ]
    return holders[0] if holders else None


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_struct_image(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    fields = {field.name: field.type for field in kind}
    return "bytes" in fields and _is_binary(fields["bytes"])


def open_image_table(
    root: Path, files: tuple[FileFact, ...], asked: Mapping[str, str | None],
    notes: tuple[Problem, ...] = (),
) -> ImageTable:  # fmt: skip
    """Return the source over Parquet `files`; `asked` may name image, label and split columns.

    Raises:
        SourceError: a file cannot be read, a named column is absent, or none holds images.
    """
    first = files[0].uri
    schema = read_schema(root, files)
    names = list(schema.names)
    image = asked.get("image")
    image = image_column(schema) if image is None else pick_column(first, "image", image, names)
    if image is None or not _holds_images(schema.field(image).type):
        got = ", ".join(f"{f.name}: {f.type}" for f in schema)[:300]
        raise SourceError(
            first, "no column of image bytes", got=image or got,
            allowed="Needed: a binary column or Hugging Face's struct of bytes and path.",
            advice="Name it in [source] image.",
        )  # fmt: skip
    label, split = asked.get("label"), asked.get("split")
    if label is not None:
        label = pick_column(first, "label", label, names)
    else:
        label = _label_column(schema, names)
    if split is not None:
        split = pick_column(first, "split", split, names)
    elif "split" in names and tells_split(
        pl.read_parquet(root / first, columns=["split"])["split"]
    ):
        split = "split"
    classes = class_names(hf_features(schema), label) if label else ()
    file_name = next((name for name in FILE_NAMES if name in names), None)
    if pa.types.is_struct(schema.field(image).type):
        file_name = image if "path" in _fields(schema.field(image).type) else file_name
    return ImageTable(root, files, image, label, classes, split, file_name, notes)


def _holds_images(kind: pa.DataType) -> bool:
    return _is_binary(kind) or _is_struct_image(kind)


def _fields(kind: pa.DataType) -> list[str]:
    return [field.name for field in kind]


def _label_column(schema: pa.Schema, names: list[str]) -> str | None:
    features = hf_features(schema)
    marked = [name for name in names if class_names(features, name)]
    return next((name for name in (*marked, *LABEL_NAMES) if name in names), None)


def read_schema(root: Path, files: tuple[FileFact, ...]) -> pa.Schema:
    """Return the schema of the first file; every other must have the same column names.

    Raises:
        SourceError: a file has other columns, or the file cannot be read.
    """
    first: pa.Schema | None = None
    for fact in files:
        try:
            schema = read_file_schema(root / fact.uri)
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                fact.uri, "cannot be read", got=str(error)[:120],
                advice="Replace the file or name it in [source] exclude.",
            ) from error  # fmt: skip
        if first is None:
            first = schema
        odd = sorted(set(schema.names) ^ set(first.names))
        if odd:
            raise other_columns(fact.uri, files[0].uri, odd)
    assert first is not None
    return first


def other_columns(uri: str, first: str, odd: list[str]) -> SourceError:
    """Return the error for files of one table that do not have the same columns."""
    return SourceError(
        uri, f"has not the same columns as {first}", got=", ".join(odd[:8]),
        allowed="Files of one table share their column names.",
        advice="Point [source] path at one file or a glob.",
    )  # fmt: skip
