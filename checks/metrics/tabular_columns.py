"""From a table's state to the profile of each column: kinds, quantiles, histograms, heaviest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.metrics.counting_kernel import REGISTERS
from checks.metrics.number_kernel import BUCKET_BITS
from checks.metrics.tabular_kinds import tell_date_form, tell_kind
from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_quantiles import NOTHING, Weighted, histogram, quantiles, weigh
from checks.metrics.tabular_spelling import close_pairs
from checks.metrics.tabular_state import TableState
from checks.metrics.tabular_tally import DATE_STEP
from checks.metrics.tabular_words import SENTINELS

_TAIL, _TOP = 32, 100
_DIGITS = 12  # of a mean that was put together from parts, whose order moves the last ones
_COUNTED = (
    "null", "nan", "inf", "empty", "blank", "placeholder", "untrimmed", "mojibake", "number",
    "integer", "unit", "zero", "negative", "clock",
)  # fmt: skip
_NO_TEXTS = pl.DataFrame(schema={"text": pl.String, "count": pl.Int64, "number": pl.Float64})


@dataclass(frozen=True, slots=True)
class ColumnCounts:
    """One column's part of a state.

    moments: by form, as in `TableState.moments`. numbers: by form, from the buckets. heavy: by
    value, shape and unit, frames of text and count, the most frequent first; values with their
    number (Float64, null where it is none). ranks: registers that are not empty.
    """

    name: str
    dtype: str
    row_count: int
    counts: dict[str, int]
    lengths: tuple[int, int]
    moments: dict[str, tuple[float, ...]]
    numbers: dict[str, Weighted]
    heavy: dict[str, pl.DataFrame]
    ranks: pl.Series

    @property
    def exact(self) -> bool:
        """Whether every value of the column is among its heaviest."""
        return self.counts.get("shed_value", 0) == 0

    @property
    def distinct_count(self) -> int:
        """How many values there are: counted, or estimated within 2 % or so."""
        if self.exact:
            return self.heavy.get("value", _NO_TEXTS).height
        return min(_estimate_distinct(self.ranks), self.row_count - self.counts.get("null", 0))


def read_columns(state: TableState) -> list[ColumnCounts]:
    """Return the state's frames, one column at a time."""
    buckets, heavy = _as_numbers(state), _rank(state)
    named = {"counts": state.counts, "lengths": state.lengths, "moments": state.moments,
             "buckets": buckets, "registers": state.registers, "heavy": heavy}  # fmt: skip
    parts = {
        name: {key[0]: part for key, part in frame.partition_by(
            "column", as_dict=True, include_key=False).items()}
        for name, frame in named.items()
    }  # fmt: skip
    return [
        _read_column(state, name, dtype, {kind: by.get(i) for kind, by in parts.items()})
        for i, (name, dtype) in enumerate(state.columns.iter_rows())
    ]


def _read_column(
    state: TableState, name: str, dtype: str, parts: dict[str, pl.DataFrame | None]
) -> ColumnCounts:
    held = {kind: part for kind, part in parts.items() if part is not None}
    moments = {row[0]: row[1:] for row in held["moments"].iter_rows()} if "moments" in held else {}
    lengths = held["lengths"].row(0) if "lengths" in held else (0, 0)
    ranks = held["registers"]["rank"] if "registers" in held else pl.Series(dtype=pl.UInt8)
    numbers = {
        form: Weighted(part["number"].to_numpy(), part["count"].to_numpy())
        for form, part in _divide(held.get("buckets"), "form").items()
    }
    return ColumnCounts(
        name, dtype, state.row_count,
        counts=dict(held["counts"].iter_rows()) if "counts" in held else {},
        lengths=lengths, moments=moments, numbers=numbers,
        heavy=_divide(held.get("heavy"), "of"), ranks=ranks,
    )  # fmt: skip


def _divide(frame: pl.DataFrame | None, by: str) -> dict[str, pl.DataFrame]:
    if frame is None:
        return {}
    return {str(key[0]): part for key, part in frame.partition_by(by, as_dict=True).items()}


def _rank(state: TableState) -> pl.DataFrame:
    """Heavy texts, equal ones added up, the most frequent of each column first, read as numbers."""
    columns = state.columns.with_row_index("column").select("column", "dtype")
    summed = state.heavy.group_by("column", "of", "text").agg(pl.sum("count"))
    text = pl.col("text")
    number = pl.when(pl.col("dtype") == "Float32").then(
        text.cast(pl.Float32, strict=False).cast(pl.Float64)
    ).otherwise(text.cast(pl.Float64, strict=False))  # fmt: skip
    known = summed.join(columns, on="column").with_columns(
        number=pl.when((pl.col("of") == "value") & number.is_finite()).then(number)
    )
    order = ["column", "of", "count", "text"]
    return known.sort(order, descending=[False, False, True, False]).drop("dtype")


def _as_numbers(state: TableState) -> pl.DataFrame:
    """The buckets with a number for each: its middle, a length, or the time that it begins with."""
    key = pl.col("key")
    place = key.abs() - 1
    below = place * 2 ** (52 - BUCKET_BITS) + 2 ** (51 - BUCKET_BITS)
    middle = below.reinterpret(dtype=pl.Float64)
    step = pl.when(pl.col("form") == "length").then(1.0).otherwise(DATE_STEP)
    size = pl.when(pl.col("form") == "number").then(middle).otherwise(place * step)
    bounds = state.moments.select("column", "form", "low", "high")
    told = state.buckets.join(bounds, on=["column", "form"], how="left", maintain_order="left")
    number = pl.when(key > 0).then(size).otherwise(-size).clip("low", "high")
    return told.select("column", "form", number.alias("number"), "count")


def describe_column(column: ColumnCounts) -> ColumnProfile:
    """Return what is known of a column from its counts."""
    form = tell_date_form(column)
    kind = tell_kind(column, form)
    numbers = numbers_of(column, form if kind == "datetime" else "number")
    bounds = quantiles(numbers)
    edges, bins = histogram(numbers, bounds)
    counts, heavy = column.counts, column.heavy
    texts = heavy.get("value", _NO_TEXTS)
    filled = counts.get("filled", 0) + counts.get("empty", 0) + counts.get("blank", 0)
    spelt = column.exact and kind in ("category", "text") and counts.get("filled", 0) > 0
    return ColumnProfile(
        name=column.name, dtype=column.dtype, kind=kind, row_count=column.row_count,
        distinct_count=column.distinct_count, exact=column.exact,
        **{f"{what}_count": counts.get(what, 0) for what in _COUNTED},
        **_moments(column, numbers, form if kind == "datetime" else "number"),
        length_min=column.lengths[0] if filled else None,
        length_max=column.lengths[1] if filled else None,
        length_mean=counts["length_sum"] / filled if filled else None,
        date_format=form if column.dtype == "String" and kind == "datetime" else None,
        quantiles=bounds, nonzero_quantiles=quantiles(numbers.pick(numbers.keys != 0)),
        top=_pairs(texts, _TOP), histogram_edges=edges, histogram_counts=bins,
        patterns=_pairs(heavy.get("shape", _NO_TEXTS), _TOP),
        units=_pairs(heavy.get("unit", _NO_TEXTS), _TAIL) if kind == "number" else (),
        sentinels=_sentinels(column, numbers) if kind == "number" else (),
        close_pairs=close_pairs(texts.select(key="text", count="count")) if spelt else (),
    )  # fmt: skip


def numbers_of(column: ColumnCounts, form: str | None) -> Weighted:
    """Return the finite numbers of a column with their counts.

    Exact where all values are known; elsewhere the heaviest are, and the others stand for a bucket.
    """
    values = column.heavy.get("value", _NO_TEXTS).drop_nulls("number")
    known = weigh(values["number"].to_numpy(), values["count"].to_numpy())
    if form == "number" and column.exact and column.dtype != "Boolean":
        return known
    found = column.numbers.get(form or "", NOTHING)
    if form != "number":
        return found
    zeros = column.counts.get("zero", 0)
    heavy = known.pick(known.keys != 0)
    rest = found.counts.copy()
    np.subtract.at(rest, _places(found.keys, heavy.keys), heavy.counts)
    return weigh(
        np.concatenate([found.keys[rest > 0], heavy.keys, [0.0] if zeros else []]),
        np.concatenate([rest[rest > 0], heavy.counts, [zeros] if zeros else []]).astype(np.int64),
    )


def _places(buckets: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place among the middles of buckets of the bucket that each number lies in."""
    at = np.searchsorted(_bucket(buckets), _bucket(numbers))
    return np.minimum(at, max(buckets.size - 1, 0)).astype(np.int64)


def _bucket(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bucket that a number lies in, as an integer that grows with it."""
    size = (np.abs(numbers).view(np.int64) >> (52 - BUCKET_BITS)) + 1
    return np.where(numbers < 0, -size, size)


def _moments(column: ColumnCounts, numbers: Weighted, form: str | None) -> dict[str, Any]:
    """Minimum, maximum, mean, spread and the middle of the negative numbers' sizes."""
    told = column.moments.get(form or "")
    if told is None or not numbers.keys.size:
        return {}
    count, mean, spread, low, high = told
    if column.exact and form == "number":
        shares = numbers.counts / count
        with np.errstate(over="ignore", invalid="ignore"):  # 1e308 has no square: told as None
            mean = float((numbers.keys * shares).sum())
            spread = float(((numbers.keys - mean) ** 2 * shares).sum()) * count
    moments = {"mean": _short(mean), "std": _short(max(spread, 0.0) / count) ** 0.5,
               "min": low, "max": high}  # fmt: skip
    below = numbers.pick(numbers.keys < 0)
    if below.keys.size:
        moments["negative_median"] = quantiles(Weighted(-below.keys[::-1], below.counts[::-1]))[
            "p50"
        ]
    return {name: value if math.isfinite(value) else None for name, value in moments.items()}


def _pairs(texts: pl.DataFrame, most: int) -> tuple[tuple[str, int], ...]:
    return tuple(texts.head(most).select("text", "count").iter_rows())


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _sentinels(column: ColumnCounts, numbers: Weighted) -> tuple[tuple[float, int, float], ...]:
    """The numbers of `SENTINELS` that occur: value, rows, distance to the nearest other number."""
    held = {s: n for s in SENTINELS if (n := column.counts.get(f"sentinel {s:g}", 0))}
    slack = 0.0 if column.exact else 2.0**-BUCKET_BITS
    apart = np.ones(numbers.keys.size, np.bool_)
    for value in held:
        apart &= np.abs(numbers.keys - value) > slack * abs(value)
    others = numbers.keys[apart]
    if not others.size:
        return ()
    return tuple((v, n, float(np.abs(others - v).min())) for v, n in sorted(held.items()))


def _estimate_distinct(ranks: pl.Series) -> int:
    """HyperLogLog (Flajolet et al. 2007): its mean of the registers, or empty ones where few."""
    empty = REGISTERS - ranks.len()
    total = empty + float((2.0 ** -ranks.cast(pl.Float64)).sum())
    estimate = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS**2 / total
    if estimate <= 2.5 * REGISTERS and empty:  # their small range
        return round(REGISTERS * math.log(REGISTERS / empty))
    return round(estimate)
