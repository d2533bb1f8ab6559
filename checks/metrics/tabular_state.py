"""What is remembered of the rows of a table that were read: counts in small frames that merge.

States of parts merge into the state of the whole: counts, buckets and registers by adding and by
taking the larger one, bit for bit; means and spreads by Chan's formula. Heavy values are exact up
to a capacity, and beyond it each count is too low by at most what was `shed`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path

import polars as pl

from checks.core.errors import TableError
from checks.metrics.frame_archive import read_frames, write_frames

STATE_VERSION = 2
SAMPLE_ROWS = 20_000
CAPACITY = {"value": 16_384, "shape": 1_024, "unit": 256}
HEAVY_KEPT = {"value": 1_024, "shape": 256, "unit": 128}  # where the capacity was not enough
KEY = "\x1fhash"  # of a row, a column of the sample; no data column is named so
SCHEMAS: dict[str, dict[str, type[pl.DataType]]] = {
    "columns": {"name": pl.String, "dtype": pl.String},
    "counts": {"column": pl.UInt32, "what": pl.String, "count": pl.Int64},
    "lengths": {"column": pl.UInt32, "shortest": pl.Int64, "longest": pl.Int64},
    "moments": {"column": pl.UInt32, "form": pl.String, "count": pl.Int64, "mean": pl.Float64,
                "spread": pl.Float64, "low": pl.Float64, "high": pl.Float64},
    "buckets": {"column": pl.UInt32, "form": pl.String, "key": pl.Int64, "count": pl.Int64},
    "registers": {"column": pl.UInt32, "place": pl.UInt16, "rank": pl.UInt8},
    "heavy": {"column": pl.UInt32, "of": pl.String, "hash": pl.UInt64, "text": pl.String,
              "count": pl.Int64},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableState:
    """Counts of some rows, a frame for each kind; `column` is the place in `columns`.

    columns: name, dtype. counts: rows by what a cell is. lengths: of stripped texts, characters.
    moments: finite numbers, their mean, squared deviations, lowest and highest. buckets: numbers
    by the first 8 bits of their mantissa (within 0.2 %), dates by 6 hours. registers:
    HyperLogLog, 4,096 places. heavy: values, shapes and units with their counts. sample: the
    20,000 rows with the smallest content hash. A `form` is how a cell was read: as a number, or
    as one of the forms of a date.
    """

    columns: pl.DataFrame
    counts: pl.DataFrame
    lengths: pl.DataFrame
    moments: pl.DataFrame
    buckets: pl.DataFrame
    registers: pl.DataFrame
    heavy: pl.DataFrame
    sample: pl.DataFrame
    row_count: int = 0

    def write(self, path: Path) -> None:
        """Write the state as one file of Parquet frames; it is there whole or not at all."""
        about = pl.DataFrame({"version": [STATE_VERSION], "rows": [self.row_count]})
        write_frames(path, {"about": about, **{name: getattr(self, name) for name in FRAMES}})


FRAMES = tuple(field.name for field in fields(TableState) if field.name != "row_count")


def read_state(path: Path) -> TableState:
    """Return the state that `TableState.write` stored.

    Raises:
        TableError: the file is none, is damaged, or is of another version.
    """
    frames = read_frames(path)
    about = frames.pop("about", None)
    if about is None or set(frames) != set(FRAMES):
        raise TableError(str(path), "no state of a table", got=", ".join(frames))
    version, rows = about.row(0)
    if version != STATE_VERSION:
        raise TableError(str(path), "a state of another version", got=version,
                         allowed=f"{STATE_VERSION}.")  # fmt: skip
    return TableState(**frames, row_count=rows)  # type: ignore[arg-type]


def merge_states(states: Iterable[TableState]) -> TableState:
    """Return the state of all rows of `states`, which have the same columns.

    They are joined one after the other, so that a state that was merged before may stand for the
    first ones of them.

    Raises:
        ValueError: there is none, or the columns differ.
    """
    told = list(states)
    if not told or any(not s.columns.equals(told[0].columns) for s in told):
        raise ValueError("states of no table, or of tables with other columns")
    return reduce(_merge, told)


def _merge(left: TableState, right: TableState) -> TableState:
    both = {name: pl.concat([getattr(left, name), getattr(right, name)]) for name in FRAMES}
    counts = _add(both["counts"], "column", "what")
    summed = both["heavy"].group_by("column", "of", "hash").agg(pl.min("text"), pl.sum("count"))
    heavy, shed = trim_heavy(summed.select(both["heavy"].columns), counts)
    return TableState(
        columns=left.columns,
        counts=_add(pl.concat([counts, shed]), "column", "what"),
        lengths=both["lengths"].group_by("column")
        .agg(pl.min("shortest"), pl.max("longest")).sort("column"),
        moments=_join_moments(left.moments, right.moments),
        buckets=_add(both["buckets"], "column", "form", "key"),
        registers=both["registers"].group_by("column", "place").agg(pl.max("rank"))
        .sort("column", "place"),
        heavy=heavy,
        sample=keep_sample(both["sample"]),
        row_count=left.row_count + right.row_count,
    )  # fmt: skip


def _add(frame: pl.DataFrame, *keys: str) -> pl.DataFrame:
    return frame.group_by(keys).agg(pl.sum("count")).sort(keys)


def keep_sample(rows: pl.DataFrame) -> pl.DataFrame:
    """Keep the rows with the smallest hashes, in their order: a sample that knows no order."""
    return rows.bottom_k(SAMPLE_ROWS, by=KEY).sort(KEY)


def trim_heavy(heavy: pl.DataFrame, counts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `heavy` within its capacities, and as counts what that takes from the bounds.

    Where some were shed before, or more stand there than the capacity, only the heaviest stay; no
    value that is left out can have more rows than all that was shed.
    """
    shed = counts.filter(pl.col("what").str.starts_with("shed_"), pl.col("count") > 0)
    lost = shed.select("column", of=pl.col("what").str.strip_prefix("shed_"), lost=True).unique()
    capacity = pl.col("of").replace_strict(CAPACITY, return_dtype=pl.Int64)
    kept = pl.col("of").replace_strict(HEAVY_KEPT, return_dtype=pl.Int64)
    ranked = heavy.sort(["column", "of", "count", "hash"], descending=[False, False, True, False])
    ranked = ranked.with_columns(
        rank=pl.int_range(pl.len()).over("column", "of"), n=pl.len().over("column", "of")
    ).join(lost, on=["column", "of"], how="left", maintain_order="left")
    crowded = (pl.col("n") > capacity) | pl.col("lost").fill_null(value=False)
    gone = ranked.filter(crowded & (pl.col("rank") >= kept))
    bound = gone.group_by("column", "of").agg(pl.max("count")).sort("column", "of")
    told = bound.select("column", pl.format("shed_{}", "of").alias("what"), "count")
    return ranked.filter(~(crowded & (pl.col("rank") >= kept))).select(heavy.columns), told


def _join_moments(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Chan, Golub and LeVeque 1979: the mean and the squared deviations of two parts."""
    both = left.join(right, on=["column", "form"], how="full", coalesce=True, suffix="_right")
    both = both.with_columns(
        pl.col("count", "count_right").fill_null(0),
        pl.col("mean", "spread", "mean_right", "spread_right").fill_null(0.0),
    )
    n, m = pl.col("count"), pl.col("count_right")
    gap = pl.col("mean_right") - pl.col("mean")
    total = n + m
    return both.select(
        "column", "form", count=total,
        mean=pl.when(n == 0).then("mean_right").when(m == 0).then("mean")
        .otherwise(pl.col("mean") + gap * (m / total)),
        spread=pl.col("spread") + pl.col("spread_right")
        + pl.when((n > 0) & (m > 0)).then(gap * gap * (n / total * m)).otherwise(0.0),
        low=pl.min_horizontal("low", "low_right"), high=pl.max_horizontal("high", "high_right"),
    ).sort("column", "form")  # fmt: skip
