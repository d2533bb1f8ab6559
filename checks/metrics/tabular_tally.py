"""The running state of a table: batch after batch is counted by the compiled passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.metrics import number_kernel, text_kernel
from checks.metrics.counting_kernel import REGISTERS, note_distinct
from checks.metrics.number_kernel import BUCKET_SPAN
from checks.metrics.tabular_counters import Heavy, Numbers
from checks.metrics.tabular_profile import DATE_FORMATS, NESTED
from checks.metrics.tabular_state import (
    CAPACITY,
    HEAVY_KEPT,
    KEY,
    SAMPLE_ROWS,
    SCHEMAS,
    TableState,
    keep_sample,
    trim_heavy,
)
from checks.metrics.tabular_words import ISO_DATE, MOJIBAKE, NUMBER_WITH_UNIT, SLASH_DATE, shape_of
from checks.metrics.text_kernel import make_lookups, measure_texts

DATE_STEP = 21_600.0  # seconds: buckets of 6 hours reach from the year 1611 to 2328
_NUMBERS = ("Int", "UInt", "Float", "Decimal", "Boolean")
_FLOATS = ("Float", "Decimal", "Int128", "UInt128")  # counted by their value as a Float64
_NARROW = pl.col(pl.Int128, pl.UInt128).cast(pl.Float64)  # Arrow has no whole numbers of 128 bits
_NO_BITS = np.frombuffer(b"", np.uint8)  # not to be written to, as all of Arrow's buffers

Words = NDArray[np.uint64]
Counted = tuple[  # as COUNTS, shortest and longest, rows by length, reach of these
    NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]
]
Written = tuple[Words, Words, NDArray[np.uint8]]  # hashes of values and of shapes, marks


@dataclass(slots=True)
class Scratch:
    """Arrays that all columns write to in turn."""

    rows: int = 0
    dense: NDArray[np.uint32] = field(default_factory=lambda: np.zeros((2, BUCKET_SPAN), np.uint32))
    hashes: Words = field(default_factory=lambda: np.zeros(0, np.uint64))
    shapes: Words = field(default_factory=lambda: np.zeros(0, np.uint64))
    marks: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def resize(self, rows: int) -> None:
        """Make room for a batch of `rows` rows."""
        self.rows = rows
        if self.hashes.size < rows:
            self.hashes, self.shapes = np.zeros(rows, np.uint64), np.zeros(rows, np.uint64)
            self.marks = np.zeros(rows, np.uint8)


@dataclass(slots=True)
class ColumnTally:
    """The running state of one column."""

    name: str
    dtype: str
    counts: dict[str, int] = field(default_factory=dict)
    totals: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(text_kernel.COUNTS), np.int64)
    )
    lengths: NDArray[np.int64] = field(default_factory=lambda: np.array([2**62, -1], np.int64))
    registers: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(REGISTERS, np.uint8))
    numbers: dict[str, Numbers] = field(default_factory=dict)
    heavy: dict[str, Heavy] = field(default_factory=dict)

    def add(self, values: pl.Series, scratch: Scratch) -> Words:
        """Count one batch and return the hash of each value, 0 where there is none."""
        if self.dtype.startswith((*NESTED, "Null")):
            return self._add_nested(values, scratch)
        if self.dtype.startswith(_NUMBERS):
            return self._add_numbers(values, scratch)
        if self.dtype.startswith(("Date", "Datetime")):
            return self._add_moments(values, scratch)
        if self.dtype.startswith("Duration"):
            return self._add_texts(values.dt.to_string("iso"), scratch)
        return self._add_texts(values.cast(pl.String), scratch)

    def _add_nested(self, values: pl.Series, scratch: Scratch) -> Words:
        self._count("null", values.null_count())
        hashes = scratch.hashes[: scratch.rows]
        hashes[:] = values.is_not_null().to_numpy()
        self._weigh("value", hashes, lambda rows: pl.repeat("·", rows.size, eager=True))
        return hashes

    def _add_numbers(self, values: pl.Series, scratch: Scratch) -> Words:
        whole = not self.dtype.startswith(_FLOATS)
        if whole:
            wide = values.cast(pl.UInt64 if self.dtype == "UInt64" else pl.Int64)
            raw, valid = _buffers(wide, np.int64)
            floats = raw.view(np.uint64 if self.dtype == "UInt64" else np.int64).astype(np.float64)
        else:
            floats, valid = _buffers(values.cast(pl.Float64), np.float64)
            raw = floats
        hashes = scratch.hashes[: scratch.rows]
        self._form("number").add(floats, raw.view(np.uint64), valid, scratch.dense, hashes)
        self._weigh("value", hashes, lambda rows: values.gather(rows).cast(pl.String))
        return hashes

    def _add_moments(self, values: pl.Series, scratch: Scratch) -> Words:
        instants = values.cast(pl.Datetime("ms"))
        raw, valid = _buffers(instants.to_physical(), np.int64)
        hashes = scratch.hashes[: scratch.rows]
        seconds = raw / 1000.0
        self._form("typed", DATE_STEP).add(
            seconds, raw.view(np.uint64), valid, scratch.dense, hashes
        )
        self._weigh("value", hashes, lambda rows: values.gather(rows).cast(pl.String))
        return hashes

    def _add_texts(self, values: pl.Series, scratch: Scratch) -> Words:
        n = scratch.rows
        hashes, shapes, marks = scratch.hashes[:n], scratch.shapes[:n], scratch.marks[:n]
        reach = Numbers.no_reach()
        counted = (self.totals, self.lengths, scratch.dense, reach)
        measure(values, counted, (hashes, shapes, marks))
        self._form("length", 1.0).take(scratch.dense, reach)

        def tell(rows: NDArray[Any]) -> pl.Series:
            return values.gather(rows).str.strip_chars()

        self._weigh("value", hashes, tell)
        self._weigh("shape", shapes, tell)
        if marks.any():
            self._look_again(values, marks, scratch.dense)
        return hashes

    def _look_again(
        self, values: pl.Series, marks: NDArray[np.uint8], dense: NDArray[np.uint32]
    ) -> None:
        """Read the texts that may be numbers, dates, numbers with a unit, or broken encodings."""
        looked = {}
        for bit in (text_kernel.NUMBER, text_kernel.UNIT, text_kernel.ISO, text_kernel.SLASH,
                    text_kernel.MOJIBAKE):  # fmt: skip
            rows = np.flatnonzero(marks & bit)
            looked[bit] = values.gather(rows).str.strip_chars() if rows.size else values.clear()
        numbers = looked[text_kernel.NUMBER].cast(pl.Float64, strict=False).drop_nulls()
        self._read("number", numbers.filter(numbers.is_finite()), dense)
        for bit, pattern, forms in (
            (text_kernel.ISO, ISO_DATE, ("iso",)),
            (text_kernel.SLASH, SLASH_DATE, ("month_first", "day_first")),
        ):
            dates = looked[bit].filter(looked[bit].str.contains(pattern))
            self._read_dates(forms, dates, dense)
        self._count("mojibake", int(looked[text_kernel.MOJIBAKE].str.contains(MOJIBAKE).sum()))
        bare = looked[text_kernel.UNIT]
        bare = bare.filter(bare.cast(pl.Float64, strict=False).is_null())
        units = bare.str.extract(NUMBER_WITH_UNIT, 2).drop_nulls()
        self._count("unit", units.len())
        if units.len():
            self._weigh("unit", _hash(units), units.gather)

    def _read_dates(
        self, forms: tuple[str, ...], texts: pl.Series, dense: NDArray[np.uint32]
    ) -> None:
        if not texts.len():
            return
        days = texts.str.extract(r"^([\d/-]+)", 1)
        for form in forms:
            moments = days.str.to_date(DATE_FORMATS[form], strict=False).drop_nulls()
            self._read(form, moments.cast(pl.Datetime("ms")).dt.epoch("s").cast(pl.Float64), dense,
                       DATE_STEP)  # fmt: skip

    def _read(
        self, form: str, numbers: pl.Series, dense: NDArray[np.uint32], step: float = 0.0
    ) -> None:
        if numbers.len():
            floats = numbers.to_numpy().astype(np.float64)
            unused = np.empty(floats.size, np.uint64)
            bits = (_NO_BITS, 0)
            self._form(form, step).add(floats, floats.view(np.uint64), bits, dense, unused)

    def _form(self, name: str, step: float = 0.0) -> Numbers:
        return self.numbers.setdefault(name, Numbers(step))

    def _weigh(self, of: str, hashes: Words, tell: Any) -> None:
        self.heavy.setdefault(of, Heavy(CAPACITY[of], HEAVY_KEPT[of])).add(hashes, tell)

    def _count(self, what: str, count: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + count


def _buffers(values: pl.Series, kind: type[Any]) -> tuple[NDArray[Any], tuple[Any, int]]:
    """The values as numpy, what lies under a null undefined, and Arrow's validity bitmap."""
    array = values.to_arrow()
    bits, data = array.buffers()
    held = np.frombuffer(data, kind)[array.offset : array.offset + len(array)]
    return held, (_NO_BITS if bits is None else np.frombuffer(bits, np.uint8), array.offset)


def measure(texts: pl.Series, counted: Counted, out: Written) -> None:
    """Add texts to what is `counted` and write `out`, as `measure_texts` does."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    bits, places, data = array.buffers()
    offsets = np.frombuffer(places, np.int64)[array.offset : array.offset + len(array) + 1]
    valid = _NO_BITS if bits is None else np.frombuffer(bits, np.uint8)
    content = _NO_BITS if data is None else np.frombuffer(data, np.uint8)
    kinds, table, words = make_lookups()
    totals, lengths, dense, reach = counted
    measure_texts(content, offsets, valid, array.offset, kinds, table, words, totals, lengths,
                  dense, reach, *out)  # fmt: skip


def _hash(texts: pl.Series) -> Words:
    """The hashes of some texts that are not counted."""
    hashes, shapes = np.empty(texts.len(), np.uint64), np.empty(texts.len(), np.uint64)
    unused = (np.zeros(len(text_kernel.COUNTS), np.int64), np.zeros(2, np.int64),
              np.zeros((2, 1), np.uint32), Numbers.no_reach())  # fmt: skip
    measure(texts, unused, (hashes, shapes, np.empty(texts.len(), np.uint8)))
    return hashes


class TableTally:
    """The running state of a table."""

    def __init__(self, schema: pl.Schema) -> None:
        """Begin with no rows of a table of columns `schema`."""
        self.columns = [ColumnTally(name, str(dtype)) for name, dtype in schema.items()]
        self.scratch = Scratch()
        self.row_count = 0
        held = schema.to_frame().with_columns(_NARROW)
        self.sample = held.with_columns(pl.lit(0, pl.UInt64).alias(KEY))

    def add(self, batch: pl.DataFrame) -> None:
        """Count one batch of rows."""
        self.row_count += batch.height
        self.scratch.resize(batch.height)
        rows = np.zeros(batch.height, np.uint64)
        for tally in self.columns:
            hashes = tally.add(batch.get_column(tally.name), self.scratch)
            note_distinct(hashes, tally.registers, rows)
        self._draw(batch, rows)

    def _draw(self, batch: pl.DataFrame, rows: Words) -> None:
        if self.sample.height >= SAMPLE_ROWS:
            kept = np.flatnonzero(rows <= self.sample.get_column(KEY)[-1])
            batch, rows = batch[kept], rows[kept]
        if batch.height:
            held = batch.with_columns(_NARROW)
            fresh = held.with_columns(pl.Series(KEY, rows))
            kept_rows = keep_sample(pl.concat([self.sample, fresh]))
            # a copy of its own: gathered texts would keep the whole batch that they come from
            told = kept_rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            self.sample = pl.DataFrame(told, schema=self.sample.schema)

    def finish(self) -> TableState:
        """Return the state of all rows that were counted."""
        names = [[tally.name, tally.dtype] for tally in self.columns]
        counts = _frame(
            "counts", [row for i, t in enumerate(self.columns) for row in _counts(i, t)]
        )
        heavy, shed = trim_heavy(self._heavy(), counts)
        counts = pl.concat([counts, shed]).group_by("column", "what").agg(pl.sum("count"))
        forms = [(i, f, n) for i, t in enumerate(self.columns) for f, n in t.numbers.items()]
        return TableState(
            columns=_frame("columns", names),
            counts=counts.sort("column", "what"),
            lengths=_frame("lengths", [[i, *map(int, t.lengths)]
                                       for i, t in enumerate(self.columns) if t.lengths[1] >= 0]),
            moments=_frame("moments", [[i, f, *n.moments, *map(float, n.ends)]
                                       for i, f, n in forms if n.moments[0]])
            .sort("column", "form"),
            buckets=_stack("buckets", [_buckets(*one) for one in forms]).sort(
                "column", "form", "key"),
            registers=_stack("registers", [_registers(i, t) for i, t in enumerate(self.columns)]),
            heavy=heavy, sample=self.sample, row_count=self.row_count,
        )  # fmt: skip

    def _heavy(self) -> pl.DataFrame:
        parts = [
            heavy.frame(i, of) for i, t in enumerate(self.columns) for of, heavy in t.heavy.items()
        ]
        shape = pl.when(pl.col("of") == "shape").then(shape_of(pl.col("text")))
        return _stack("heavy", parts).with_columns(shape.otherwise("text").alias("text"))


def _frame(name: str, rows: list[list[Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=pl.Schema(SCHEMAS[name]), orient="row")


def _stack(name: str, parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([_frame(name, []), *parts])


def _counts(column: int, tally: ColumnTally) -> list[list[Any]]:
    told = dict(zip(text_kernel.COUNTS, tally.totals.tolist(), strict=True)) | tally.counts
    for form in ("number", "typed"):
        if form in tally.numbers:
            seen = zip(number_kernel.COUNTS, tally.numbers[form].counts.tolist(), strict=True)
            for what, count in seen:
                if form == "number" or what == "null":
                    told[what] = told.get(what, 0) + count
    told |= {f"shed_{of}": int(heavy.state[1]) for of, heavy in tally.heavy.items()}
    return [[column, what, count] for what, count in told.items()]


def _buckets(column: int, form: str, numbers: Numbers) -> pl.DataFrame:
    n = numbers.keys.size
    return pl.DataFrame({"column": np.full(n, column, np.uint32), "form": [form] * n,
                         "key": numbers.keys, "count": numbers.bucket_counts},
                        schema=pl.Schema(SCHEMAS["buckets"]))  # fmt: skip


def _registers(column: int, tally: ColumnTally) -> pl.DataFrame:
    held = np.flatnonzero(tally.registers)
    return pl.DataFrame({
        "column": np.full(held.size, column, np.uint32), "place": held.astype(np.uint16),
        "rank": tally.registers[held],
    })  # fmt: skip


def compile_kernels() -> None:
    """Count a row of each type, so that the passes are compiled: half a minute, once only."""
    table = pl.DataFrame({
        "text": ["a 1", None], "float": [1.5, None], "whole": [1, None], "sure": [1, 2],
        "day": pl.Series(["2013-01-01", None]).str.to_date(),
    })  # fmt: skip
    for rows in (table, table.head(1)):
        tally = TableTally(rows.schema)
        tally.add(rows)
        tally.finish()
