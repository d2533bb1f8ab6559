"""A table in CSV, Parquet or Arrow files: all-text or typed, one lazy scan over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl
import polars.selectors as cs

from checks.core.errors import SourceError
from checks.sources.columnar import scan_columnar
from checks.sources.columns import (
    label_values,
    pick_column,
    split_of_path,
    split_values,
    tells_split,
    unique_names,
)
from checks.sources.csv_records import CsvFile, inspect_csv, scan_csv
from checks.sources.identity import fingerprint_entries
from checks.sources.image_table import other_columns, read_schema
from checks.sources.listing import FileFact, Problem, problem_frame


@dataclass(frozen=True, slots=True)
class DataTable:
    """Rows of CSV files (every column text) or Parquet or Arrow files (typed as stored).

    Durations are read as text of ISO 8601, `PT5M`: nothing else has one form for all of the line.
    """

    root: Path
    files: tuple[FileFact, ...]
    columns: tuple[str, ...]
    csv_files: tuple[CsvFile, ...] = ()
    label: str | None = None
    split: str | None = None
    notes: tuple[Problem, ...] = ()
    kind: ClassVar[Literal["table"]] = "table"
    modality: ClassVar[Literal["table"]] = "table"

    @property
    def content_columns(self) -> tuple[str, ...]:
        """The columns that make a row what it is: all but label and split."""
        return tuple(name for name in self.columns if name not in (self.label, self.split))

    def scan(self) -> pl.LazyFrame:
        """Return all rows, lazily: `uri`, `row`, then the data columns in file order.

        `row` is the record's position in its file. Cells of CSV files are text, an empty cell is
        null. Records that do not fit the header are not in it; `problems` tells them.
        """
        chosen = [
            lazy.select(pl.lit(fact.uri).alias("uri"), "row", *self.columns)
            for fact, lazy in zip(self.files, self.file_scans(), strict=True)
        ]
        return pl.concat(chosen, how="vertical_relaxed")

    def file_scans(self) -> list[pl.LazyFrame]:
        """Return the rows of each file of `files`, lazily: `row`, then the data columns."""
        if self.csv_files:
            return [scan_csv(self.root, file) for file in self.csv_files]
        return [self._scan_typed(fact) for fact in self.files]

    def _scan_typed(self, fact: FileFact) -> pl.LazyFrame:
        lazy = scan_columnar(self.root / fact.uri)
        names = lazy.collect_schema().names()
        renamed = dict(zip(names, unique_names(names), strict=True))
        indexed = lazy.rename(renamed).with_row_index("row")
        # a length of time has no plain text in polars: told as ISO 8601 has it
        return indexed.with_columns(pl.col("row").cast(pl.Int64), cs.duration().dt.to_string("iso"))

    def entries(self) -> pl.DataFrame:
        """Return one row for each record, sorted by (uri, row); only label and split are read.

        Raises:
            SourceError: the label column holds no categories, the split column other names, or
                no record is left.
        """
        told = self._read_roles(self._roles().select("uri", "row", "label", "split").collect())
        times = {fact.uri: fact.mtime_ns for fact in self.files}
        return told.select(
            "uri", "row", pl.col("label").cast(pl.String), pl.col("split").cast(pl.String),
            byte_size=pl.lit(None, dtype=pl.Int64),
            mtime_ns=pl.col("uri").replace_strict(times, return_dtype=pl.Int64),
        ).sort("uri", "row")  # fmt: skip

    def count_roles(self) -> pl.DataFrame:
        """Return split, label and how many rows have them: one lazy scan, no row is held.

        Raises:
            SourceError: as `entries`.
        """
        counted = self._roles().group_by("uri", "label", "split").agg(count=pl.len().cast(pl.Int64))
        told = self._read_roles(counted.collect(engine="streaming"))
        return told.group_by("split", "label").agg(pl.sum("count")).sort("split", "label")

    def _roles(self) -> pl.LazyFrame:
        label, split = (pl.lit(None) if name is None else pl.col(name)
                        for name in (self.label, self.split))  # fmt: skip
        return self.scan().with_columns(label=label, split=split)

    def _read_roles(self, told: pl.DataFrame) -> pl.DataFrame:
        """Read the columns label and split of `told`, which also has uri, in our own names."""
        if told.is_empty():
            raise SourceError(
                str(self.root), "the table has no rows", got=", ".join(f.uri for f in self.files),
                advice="Check the path.",
            )  # fmt: skip
        where = self.files[0].uri if len(self.files) == 1 else str(self.root)
        if self.label is not None:
            told = told.with_columns(label_values(where, told["label"].rename(self.label)))
        if self.split is not None:
            return told.with_columns(split_values(where, told["split"].rename(self.split)))
        by_file = {fact.uri: split_of_path(fact.uri) for fact in self.files}
        split = pl.col("uri").replace_strict(by_file, return_dtype=pl.String)
        return told.with_columns(split=split)

    def problems(self) -> pl.DataFrame:
        """Return ragged records, replaced encodings, renamed columns, files left out."""
        return problem_frame(self.notes)

    def fingerprint(self, entries: pl.DataFrame) -> str:
        """Return a sha256 over the entries and the files: equal means nothing changed."""
        return fingerprint_entries(entries, self.files)


def open_csv_table(
    root: Path, files: tuple[FileFact, ...], asked: Mapping[str, str | None],
    notes: tuple[Problem, ...] = (),
) -> DataTable:  # fmt: skip
    """Return the source over CSV `files`, each inspected in one pass.

    Raises:
        SourceError: no file has a header, headers differ, or a named column is absent.
    """
    found: list[CsvFile] = []
    problems = list(notes)
    for fact in files:
        file, told = inspect_csv(root, fact)
        problems += told
        if file is not None:
            found.append(file)
    if not found:
        reasons = "; ".join(f"{p.uri} {p.problem}" for p in problems[:3])
        raise SourceError(
            str(root), "no CSV file with a header", got=reasons, advice="Check the path."
        )
    for file in found[1:]:
        odd = sorted(set(file.names) ^ set(found[0].names))
        if odd:
            raise other_columns(file.fact.uri, found[0].fact.uri, odd)
    facts = tuple(file.fact for file in found)
    table = DataTable(root, facts, found[0].names, csv_files=tuple(found), notes=tuple(problems))
    return _with_roles(table, asked)


def open_parquet_table(
    root: Path, files: tuple[FileFact, ...], asked: Mapping[str, str | None],
    notes: tuple[Problem, ...] = (),
) -> DataTable:  # fmt: skip
    """Return the source over Parquet or Arrow `files`.

    Raises:
        SourceError: a file cannot be read, columns differ, or a named column is absent.
    """
    names = read_schema(root, files).names
    columns = tuple(unique_names(names))
    told = [
        Problem(files[0].uri, None, f"column {old!r} is now {new!r}: its name is reserved")
        for old, new in zip(names, columns, strict=True)
        if old != new
    ]
    return _with_roles(DataTable(root, files, columns, notes=(*notes, *told)), asked)


def _with_roles(table: DataTable, asked: Mapping[str, str | None]) -> DataTable:
    """Return the table with its label and split columns."""
    first = table.files[0].uri
    roles: dict[str, str | None] = {}
    for role in ("label", "split"):
        name = asked.get(role)
        roles[role] = None if name is None else pick_column(first, role, name, table.columns)
    if roles["split"] is None and "split" in table.columns:
        values = table.scan().select("split").unique().collect()["split"]
        roles["split"] = "split" if tells_split(values) else None
    return DataTable(
        table.root, table.files, table.columns, table.csv_files, roles["label"], roles["split"],
        table.notes,
    )  # fmt: skip
