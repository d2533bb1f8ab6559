"""CSV as it is found: its encoding, its separator, and the records that do not fit the header."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl
from polars.io.plugins import register_io_source

from checks.sources.columns import unique_names
from checks.sources.listing import FileFact, Problem

SEPARATORS = (",", "\t", ";", "|")
_BLOCK_BYTES = 1 << 20
_BATCH_ROWS = 10_000
_QUOTED_LINES_MAX = 200
_CP1252_GAPS = re.compile(b"[\x81\x8d\x8f\x90\x9d]")


class Record(NamedTuple):
    """One data record: its cells, the number of its first line (from 1), or what is wrong."""

    cells: list[str]
    line: int
    complaint: str | None = None


@dataclass(frozen=True, slots=True)
class CsvFile:
    """What one pass over a CSV file found out.

    `plain` files are read by polars alone; the others record by record, leaving out the misfits.
    """

    fact: FileFact
    encoding: str
    separator: str
    names: tuple[str, ...]
    header_lines: int
    records: int
    plain: bool


def detect_encoding(path: Path) -> str:
    """Return utf-8, utf-8-sig or utf-16 by its mark, else utf-8, cp1252 or latin-1 by trial."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    gaps = False
    with path.open("rb") as stream:
        head = stream.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        stream.seek(0)
        good = True
        while block := stream.read(_BLOCK_BYTES):
            gaps = gaps or _CP1252_GAPS.search(block) is not None
            if good:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    good = False
        if good:
            try:
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                good = False
    if good:
        return "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8"
    return "latin-1" if gaps else "cp1252"


def detect_separator(path: Path, encoding: str) -> str:
    """Return the separator that the first lines agree on best; a comma where none does."""
    if path.suffix.lower() in {".tsv", ".tab"}:
        return "\t"
    with path.open(encoding=encoding, newline="", errors="replace") as stream:
        lines = [re.sub(r'"[^"]*"', "", line) for line in islice(stream, 20) if line.strip()]
    if not lines:
        return ","
    counts = {mark: Counter(line.count(mark) for line in lines) for mark in SEPARATORS}
    fits = {mark: counts[mark][lines[0].count(mark)] for mark in SEPARATORS if mark in lines[0]}
    return max(fits, key=lambda mark: (fits[mark], lines[0].count(mark)), default=",")


def read_records(path: Path, encoding: str, separator: str) -> Iterator[Record]:
    """Yield the records of a CSV file, the header first; blank lines are passed over.

    A quote that is never closed within 200 lines is a complaint about its own line only.
    """
    with path.open(encoding=encoding, newline="", errors="replace") as stream:
        yield from _records(enumerate(stream, start=1), separator)


def _records(lines: Iterator[tuple[int, str]], separator: str) -> Iterator[Record]:
    waiting: list[tuple[int, str]] = []
    while True:
        number, line = waiting.pop(0) if waiting else next(lines, (0, ""))
        if not number:
            return
        text = line.rstrip("\r\n")
        if not text:
            continue
        if '"' not in text:
            yield Record(text.split(separator), number)
            continue
        block = [line]
        cells = _parse(block, separator)
        taken: list[tuple[int, str]] = []
        while cells is None and len(block) < _QUOTED_LINES_MAX:
            item = waiting.pop(0) if waiting else next(lines, None)
            if item is None:
                break
            taken.append(item)
            block.append(item[1])
            if '"' in item[1]:
                cells = _parse(block, separator)
        if cells is None:
            waiting = taken + waiting
            yield Record([text], number, "a quote is opened and never closed")
        else:
            yield Record(cells, number)


def _parse(block: list[str], separator: str) -> list[str] | None:
    """Return the cells of one record, or None while a quote is still open."""
    try:
        return next(csv.reader(block, delimiter=separator, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
        try:
            return next(csv.reader(block, delimiter=separator))
        except csv.Error:
            return ["".join(block)]


def inspect_csv(root: Path, fact: FileFact) -> tuple[CsvFile | None, list[Problem]]:
    """Return what one pass over the file found, and the problems in it; None if it has no header.

    Each record with too few or too many cells is told with its line and left out; `row` counts
    all data records from 0, so the rows of the others do not depend on what was left out.
    """
    path = root / fact.uri
    if b"\0" in _head(path) and detect_encoding(path) != "utf-16":
        return None, [Problem(fact.uri, None, "is binary, no text: left out")]
    encoding = detect_encoding(path)
    separator = detect_separator(path, encoding)
    records = read_records(path, encoding, separator)
    header = next(records, None)
    if header is None:
        return None, [Problem(fact.uri, None, "is empty: left out")]
    problems = list(_about_file(fact.uri, encoding, header))
    width, count, first_line = len(header.cells), 0, 0
    for row, record in enumerate(records):
        count = row + 1
        first_line = first_line or record.line
        misfit = _complaint(record, width)
        if misfit:
            problems.append(Problem(fact.uri, row, f"line {record.line}: {misfit}: left out"))
    names = tuple(unique_names(header.cells))
    skipped = first_line - 1 if first_line else 1
    file = CsvFile(fact, encoding, separator, names, skipped, count, plain=False)
    misfits = sum(problem.row is not None for problem in problems)
    plain = encoding == "utf-8" and count > 0 and not misfits and _polars_agrees(root, file)
    return CsvFile(fact, encoding, separator, names, skipped, count, plain), problems


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4096)


def _about_file(uri: str, encoding: str, header: Record) -> Iterator[Problem]:
    if encoding != "utf-8":
        yield Problem(uri, None, f"is not plain UTF-8: read as {encoding}")
    names = unique_names(header.cells)
    changed = [
        f"{old!r} is now {new!r}"
        for old, new in zip(header.cells, names, strict=True)
        if old.strip() != new
    ]
    if changed:
        yield Problem(uri, None, f"blank, double or reserved column names: {', '.join(changed)}")


def _complaint(record: Record, width: int) -> str | None:
    if record.complaint or len(record.cells) == width:
        return record.complaint
    return f"{len(record.cells)} cells where the header has {width}"


def _polars_agrees(root: Path, file: CsvFile) -> bool:
    """Return whether polars splits the file into as many rows as we do."""
    try:
        counted = _scan_plain(root, file).select(pl.len()).collect().item()
    except pl.exceptions.PolarsError:
        return False
    return bool(counted == file.records)


def scan_csv(root: Path, file: CsvFile) -> pl.LazyFrame:
    """Return the file's records that fit, as `row` and text columns; empty cells are null."""
    if file.plain:
        return _scan_plain(root, file)
    schema = {"row": pl.Int64(), **{name: pl.String() for name in file.names}}

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for batch in _batches(root / file.fact.uri, file, size or _BATCH_ROWS):
            frame = batch if left is None else batch.head(left)
            left = None if left is None else left - frame.height
            if predicate is not None:
                frame = frame.filter(predicate)
            yield frame if columns is None else frame.select(columns)
            if left == 0:
                return

    return register_io_source(read, schema=schema)


def _scan_plain(root: Path, file: CsvFile) -> pl.LazyFrame:
    lazy = pl.scan_csv(
        root / file.fact.uri, has_header=False, skip_lines=file.header_lines, infer_schema=False,
        separator=file.separator, new_columns=list(file.names), glob=False, raise_if_empty=False,
        row_index_name="row",
    )  # fmt: skip
    return lazy.with_columns(pl.col("row").cast(pl.Int64))


def _batches(path: Path, file: CsvFile, size: int) -> Iterator[pl.DataFrame]:
    schema = {"row": pl.Int64(), **{name: pl.String() for name in file.names}}
    rows: list[list[int | str | None]] = []
    records = islice(read_records(path, file.encoding, file.separator), 1, None)
    for row, record in enumerate(records):
        if _complaint(record, len(file.names)) is None:
            rows.append([row, *(cell or None for cell in record.cells)])
        if len(rows) >= size:
            yield pl.DataFrame(rows, schema=schema, orient="row")
            rows = []
    yield pl.DataFrame(rows, schema=schema, orient="row")
