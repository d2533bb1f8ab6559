"""From a table's state to the profile of each column: kinds, quantiles, histograms, heaviest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from checks.metrics.counting_kernel import REGISTERS
from checks.metrics.number_kernel import BUCKET_BITS
from checks.metrics.tabular_kinds import tell_date_form, tell_kind
from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_quantiles import histogram, quantiles
from checks.metrics.tabular_spelling import close_pairs
from checks.metrics.tabular_state import TableState
from checks.metrics.tabular_tally import HOUR
from checks.metrics.tabular_words import SENTINELS

_TAIL, _TOP = 32, 100
_DIGITS = 12  # of a mean that was put together from parts, whose order moves the last ones
_COUNTED = (
    "null", "nan", "inf", "empty", "blank", "placeholder", "untrimmed", "mojibake", "number",
    "integer", "unit", "zero", "negative", "clock",
)  # fmt: skip
_NO_NUMBERS = pl.DataFrame(schema={"key": pl.Float64, "count": pl.Int64})
_NO_TEXTS = pl.DataFrame(schema={"key": pl.String, "count": pl.Int64})


@dataclass(frozen=True, slots=True)
class ColumnCounts:
    """One column's part of a state. `numbers` and `heavy` have key and count; see `TableState`."""

    name: str
    dtype: str
    row_count: int
    counts: dict[str, int]
    lengths: tuple[int, int]
    moments: dict[str, tuple[float, ...]]
    numbers: dict[str, pl.DataFrame]
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
    parts = {
        name: {key[0]: part for key, part in getattr(state, name).partition_by(
            "column", as_dict=True, include_key=False).items()}
        for name in ("counts", "lengths", "moments", "buckets", "registers", "heavy")
    }  # fmt: skip
    return [
        _read_column(state, name, dtype, {kind: by.get(i) for kind, by in parts.items()})
        for i, (name, dtype) in enumerate(state.columns.iter_rows())
    ]


def _read_column(
    state: TableState, name: str, dtype: str, parts: dict[str, pl.DataFrame | None]
) -> ColumnCounts:
    moments, buckets, heavy = parts["moments"], parts["buckets"], parts["heavy"]
    registers, lengths = parts["registers"], parts["lengths"]
    told = {row[0]: row[1:] for row in moments.iter_rows()} if moments is not None else {}
    numbers = {} if buckets is None else {
        key[0]: _as_numbers(part, key[0], told[key[0]])
        for key, part in buckets.partition_by("form", as_dict=True).items()
    }  # fmt: skip
    texts = {} if heavy is None else {
        key[0]: _rank(part.select(pl.col("text").alias("key"), "count"))
        for key, part in heavy.partition_by("of", as_dict=True).items()
    }  # fmt: skip
    counts = dict(parts["counts"].iter_rows()) if parts["counts"] is not None else {}
    return ColumnCounts(
        name, dtype, state.row_count, counts,
        (0, 0) if lengths is None else lengths.row(0), told, numbers, texts,
        pl.Series(dtype=pl.UInt8) if registers is None else registers.get_column("rank"),
    )  # fmt: skip


def _rank(texts: pl.DataFrame) -> pl.DataFrame:
    summed = texts.group_by("key").agg(pl.sum("count"))
    return summed.sort(["count", "key"], descending=[True, False])


def _as_numbers(buckets: pl.DataFrame, form: str, told: tuple[float, ...]) -> pl.DataFrame:
    """A number for each bucket: its middle, or the hour that a date's bucket begins with."""
    key = pl.col("key")
    place = key.abs() - 1
    if form == "number":
        below = place.cast(pl.Int64) * 2 ** (52 - BUCKET_BITS) + 2 ** (51 - BUCKET_BITS)
        size = below.reinterpret(dtype=pl.Float64)
    else:
        size = place * HOUR
    value = pl.when(key == 0).then(0.0).when(key > 0).then(size).otherwise(-size)
    low, high = told[-2:]
    return buckets.select(value.clip(low, high).alias("key"), "count").sort("key")


def describe_column(column: ColumnCounts) -> ColumnProfile:
    """Return what is known of a column from its counts."""
    form = tell_date_form(column)
    kind = tell_kind(column, form)
    numbers = _numbers_of(column, form if kind == "datetime" else "number")
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
        quantiles=bounds, nonzero_quantiles=quantiles(numbers, nonzero=True),
        top=tuple(texts.head(_TOP).iter_rows()), histogram_edges=edges, histogram_counts=bins,
        patterns=tuple(heavy.get("shape", _NO_TEXTS).head(_TOP).iter_rows()),
        units=tuple(heavy.get("unit", _NO_TEXTS).head(_TAIL).iter_rows())
        if kind == "number" else (),
        sentinels=_sentinels(column, numbers) if kind == "number" else (),
        close_pairs=close_pairs(texts) if spelt else (),
    )  # fmt: skip


def _numbers_of(column: ColumnCounts, form: str | None) -> pl.DataFrame:
    """The finite numbers with their counts: exact where all values are known."""
    if form != "number" or not column.exact or column.dtype == "Boolean":
        found = column.numbers.get(form or "", _NO_NUMBERS)
        zeros = column.counts.get("zero", 0) if form == "number" else 0
        nought = pl.DataFrame({"key": [0.0], "count": [zeros]}, schema=_NO_NUMBERS.schema)
        return pl.concat([found, nought]).sort("key") if zeros else found
    texts = column.heavy.get("value", _NO_TEXTS)
    narrow = pl.Float32 if column.dtype == "Float32" else pl.Float64
    read = texts.with_columns(pl.col("key").cast(narrow, strict=False).cast(pl.Float64))
    finite = read.filter(pl.col("key").is_finite().fill_null(value=False))
    return finite.group_by("key").agg(pl.sum("count")).sort("key")


def _moments(column: ColumnCounts, numbers: pl.DataFrame, form: str | None) -> dict[str, Any]:
    """Minimum, maximum, mean, spread and the middle of the negative numbers' sizes."""
    told = column.moments.get(form or "")
    if told is None or numbers.is_empty():
        return {}
    count, mean, spread, low, high = told
    if column.exact and form == "number":
        keys, weights = numbers["key"].to_numpy(), numbers["count"].to_numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # 1e308 has no square: told as None
            mean = float((keys * (weights / count)).sum())
            spread = float((((keys - mean) ** 2) * (weights / count)).sum()) * count
    below = numbers.filter(pl.col("key") < 0).with_columns(-pl.col("key"))
    moments = {"mean": _short(mean), "std": _short(max(spread, 0.0) / count) ** 0.5,
               "min": low, "max": high}  # fmt: skip
    if below.height:
        moments["negative_median"] = quantiles(below).get("p50", 0.0)
    return {name: value if math.isfinite(value) else None for name, value in moments.items()}


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _sentinels(column: ColumnCounts, numbers: pl.DataFrame) -> tuple[tuple[float, int, float], ...]:
    """The numbers of `SENTINELS` that occur: value, rows, distance to the nearest other number."""
    held = {s: n for s in SENTINELS if (n := column.counts.get(f"sentinel {s:g}", 0))}
    keys = numbers.get_column("key")
    slack = 0.0 if column.exact else 2.0**-BUCKET_BITS
    apart = pl.repeat(value=True, n=keys.len(), eager=True)
    for value in held:
        apart &= (keys - value).abs() > slack * abs(value)
    others = keys.filter(apart)
    if others.is_empty():
        return ()
    return tuple(
        (v, n, float(np.abs(others.to_numpy() - v).min())) for v, n in sorted(held.items())
    )


def _estimate_distinct(ranks: pl.Series) -> int:
    """HyperLogLog (Flajolet et al. 2007): its mean of the registers, or empty ones where few."""
    empty = REGISTERS - ranks.len()
    total = empty + float((2.0 ** -ranks.cast(pl.Float64)).sum())
    estimate = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS**2 / total
    if estimate <= 2.5 * REGISTERS and empty:  # their small range
        return round(REGISTERS * math.log(REGISTERS / empty))
    return round(estimate)
