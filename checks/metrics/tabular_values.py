"""Counts of a column's values, merged batch by batch, and all that follows from them.

A column with at most `DISTINCT_CAP` values is known exactly. Beyond it, the counts are folded into
sums, four-digit buckets of its numbers, shapes, and a sketch of how many values there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from checks.metrics.tabular_profile import number_of, text_of
from checks.metrics.tabular_words import (
    ISO_DATE,
    MOJIBAKE,
    NUMBER_WITH_UNIT,
    SLASH_DATE,
    is_placeholder,
    shape_of,
)

DISTINCT_CAP = 50_000
_SKETCH_SIZE = 4096
_FRAME_CAP = 200  # shapes and units that are kept of each column
_BOOLEAN_WORDS = ("true", "false", "yes", "no", "t", "f", "y", "n")


@dataclass(slots=True)
class Piece:
    """What some rows of a column hold: exact sums, and small frames with a `count` each."""

    sums: dict[str, float]
    numbers: pl.DataFrame  # number Float64, count
    shapes: pl.DataFrame  # shape String, count
    units: pl.DataFrame  # unit String, count
    dates: pl.DataFrame  # form String, number (epoch s), count
    heavy: pl.DataFrame  # value String, count


@dataclass(slots=True)
class Tally:
    """The running counts of one column."""

    name: str
    dtype: str
    pending: list[pl.DataFrame] = field(default_factory=list)
    spilt: Piece | None = None
    hashes: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt64))

    def add(self, batch: pl.DataFrame) -> None:
        """Count the values of one more batch."""
        if self.dtype.startswith(("List", "Array", "Struct", "Binary", "Object")):
            present = pl.col(self.name).is_not_null().replace_strict({True: "·", False: None})
            batch = batch.select(present.alias(self.name))
        counts = batch.group_by(pl.col(self.name).alias("value")).agg(pl.len().alias("count"))
        self.pending.append(counts)
        if sum(part.height for part in self.pending) > 2 * DISTINCT_CAP:
            self._fold()

    def _fold(self) -> None:
        merged = pl.concat(self.pending).group_by("value").agg(pl.col("count").sum())
        if self.spilt is None and merged.height <= DISTINCT_CAP:
            self.pending = [merged]
            return
        piece = measure(merged, self.dtype, exact=False)
        self.spilt = piece if self.spilt is None else merge(self.spilt, piece)
        fresh = pl.concat([self.hashes, merged.get_column("value").hash(seed=0)])
        self.hashes = fresh.unique().sort().head(_SKETCH_SIZE)
        self.pending = []

    def finish(self) -> tuple[Piece, int, bool]:
        """Return what was counted, the number of distinct values, and whether that is exact."""
        if self.pending and self.spilt is not None:
            self._fold()
        if self.spilt is not None:
            kth = float(self.hashes[-1]) / 2.0**64
            rows = int(self.spilt.sums["rows"] - self.spilt.sums["null"])
            return self.spilt, min(round((self.hashes.len() - 1) / kth), rows), False
        merged = pl.concat(self.pending).group_by("value").agg(pl.col("count").sum())
        distinct = merged.get_column("value").drop_nulls().len()
        if distinct > DISTINCT_CAP:
            self._fold()
            return self.finish()
        return measure(merged, self.dtype, exact=True), distinct, True


def measure(values: pl.DataFrame, dtype: str, *, exact: bool) -> Piece:
    """Return the sums and small frames of `values` (value, count).

    exact: keep every number; otherwise four significant digits of each.
    """
    plain = "String" if dtype.startswith(("List", "Array", "Struct", "Binary", "Object")) else dtype
    known = values.with_columns(text_of("value", plain).alias("text"),
                                number_of("value", plain).alias("number"))  # fmt: skip
    sums = known.select(**_sums(plain)).row(0, named=True)
    number = pl.col("number") if exact else pl.col("number").round_sig_figs(4)
    filled = known.filter(pl.col("text").is_not_null() & (pl.col("text") != ""))
    unit = pl.col("text").str.extract(NUMBER_WITH_UNIT, 2)
    is_text = plain == "String"
    return Piece(
        sums={key: float(value or 0) for key, value in sums.items()},
        numbers=_grouped(known, number.alias("number")),
        shapes=_grouped(
            filled if is_text else filled.head(0), shape_of(pl.col("text")), _FRAME_CAP
        ),
        units=_grouped(filled.filter(pl.col("number").is_null()), unit, _FRAME_CAP),
        dates=_dates(filled, plain, sums, exact=exact),
        heavy=_grouped(filled, pl.col("text"), None if exact else 20 * _FRAME_CAP),
    )


def _sums(dtype: str) -> dict[str, pl.Expr]:
    """Counts of rows by what their cell is."""
    rows, raw, text, number = pl.col("count"), pl.col("value"), pl.col("text"), pl.col("number")
    is_float, is_text = dtype.startswith("Float"), dtype == "String"
    no = pl.lit(value=False)
    clock = (number == number.floor()) & number.is_between(0, 2400) & (number % 100 < 60)  # noqa: PLR2004
    conditions = {
        "null": raw.is_null(),
        "nan": raw.is_nan() if is_float else no,
        "inf": raw.is_infinite() if is_float else no,
        "empty": (raw == "") if is_text else no,
        "blank": ((raw != "") & (text == "")) if is_text else no,
        "untrimmed": ((raw != text) & (text != "")) if is_text else no,
        "placeholder": is_placeholder(text) if is_text else no,
        "doubtful": is_placeholder(text, strict=True) if is_text else no,
        "mojibake": text.str.contains(MOJIBAKE) if is_text else no,
        "number": number.is_not_null(),
        "integer": number == number.floor(),
        "unit": (text.str.contains(NUMBER_WITH_UNIT) & number.is_null()) if is_text else no,
        "zero": number == 0,
        "negative": number < 0,
        "clock": clock,
        "spaced": text.str.contains(" ", literal=True) if is_text else no,
        "boolean": text.str.to_lowercase().is_in(_BOOLEAN_WORDS) if is_text else no,
        "iso": text.str.contains(ISO_DATE) if is_text else no,
        "slash": text.str.contains(SLASH_DATE) if is_text else no,
    }
    counted = {k: rows.filter(c.fill_null(value=False)).sum() for k, c in conditions.items()}
    length = text.str.len_chars()
    weight = rows.cast(pl.Float64)
    return counted | {
        "rows": rows.sum(), "length_sum": (length * rows).sum(),
        "length_min": length.min(), "length_max": length.max(),
        "sum": (number * weight).sum(), "square_sum": (number * number * weight).sum(),
    }  # fmt: skip


def _grouped(frame: pl.DataFrame, key: pl.Expr, cap: int | None = None) -> pl.DataFrame:
    """Sum the counts of each key, the most frequent first, at most `cap` of them."""
    keyed = frame.select(key.alias("key"), "count").drop_nulls("key")
    summed = keyed.group_by("key").agg(pl.col("count").sum())
    summed = summed.sort(["count", "key"], descending=[True, False])
    return summed if cap is None else summed.head(cap)


def _dates(
    filled: pl.DataFrame, dtype: str, sums: dict[str, float], *, exact: bool
) -> pl.DataFrame:
    """Read the values as dates in each form that could be meant."""
    forms: dict[str, pl.Expr] = {}
    day = pl.col("text").str.extract(r"^([\d/-]+)", 1)
    if dtype.startswith(("Date", "Datetime")):
        forms["typed"] = pl.col("value").cast(pl.Datetime("us"), strict=False)
    elif dtype == "String" and (sums["iso"] or 0) * 2 > filled.get_column("count").sum():
        forms["iso"] = day.str.to_date("%Y-%m-%d", strict=False)
    elif dtype == "String" and (sums["slash"] or 0) * 2 > filled.get_column("count").sum():
        forms["month_first"] = day.str.to_date("%m/%d/%Y", strict=False)
        forms["day_first"] = day.str.to_date("%d/%m/%Y", strict=False)
    parts = [pl.DataFrame(schema={"key": pl.Float64, "count": pl.UInt32, "form": pl.String})]
    for form, moment in forms.items():
        second = moment.cast(pl.Datetime("us")).dt.replace_time_zone(None).dt.epoch("ms") / 1000
        second = second if exact else second.round_sig_figs(6)
        part = _grouped(filled, second.cast(pl.Float64)).with_columns(form=pl.lit(form))
        parts.append(part.cast({"count": pl.UInt32}))
    return pl.concat(parts)


def merge(left: Piece, right: Piece) -> Piece:
    """Add two pieces of one column."""
    lowest = {k: min(left.sums[k], right.sums[k]) for k in ("length_min",)}
    highest = {k: max(left.sums[k], right.sums[k]) for k in ("length_max",)}
    sums = {k: v + right.sums[k] for k, v in left.sums.items()}
    return Piece(
        sums=sums | lowest | highest,
        numbers=_added(left.numbers, right.numbers),
        shapes=_added(left.shapes, right.shapes).head(_FRAME_CAP),
        units=_added(left.units, right.units).head(_FRAME_CAP),
        dates=pl.concat([left.dates, right.dates])
        .group_by("key", "form", maintain_order=True)
        .agg(pl.col("count").sum())
        .select(left.dates.columns),
        heavy=_added(left.heavy, right.heavy).head(20 * _FRAME_CAP),
    )


def _added(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    return _grouped(pl.concat([left, right]), pl.col("key"))


def quantiles(numbers: pl.DataFrame, *, nonzero: bool = False) -> dict[str, float]:
    """Return the order statistics p01 to p99 of `numbers` (key, count); empty if there are none."""
    kept = numbers.filter(pl.col("key") != 0) if nonzero else numbers
    if kept.is_empty():
        return {}
    ranked = kept.sort("key").with_columns(upto=pl.col("count").cum_sum())
    total = int(ranked.get_column("upto")[-1])
    shares = {"p01": 1, "p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99}
    upto, keys = ranked.get_column("upto"), ranked.get_column("key")
    # rank = ceil(share * total), in integers
    ranks = {name: max(-(-share * total // 100), 1) for name, share in shares.items()}
    return {
        name: float(keys[int(upto.search_sorted(rank, "left"))]) for name, rank in ranks.items()
    }


def histogram(
    numbers: pl.DataFrame, bounds: dict[str, float], bins: int = 20
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return (edges, counts) over p01..p99; the outer bins also hold what lies beyond."""
    if numbers.is_empty():
        return (), ()
    low, high = bounds["p01"], bounds["p99"]
    if low == high:
        low, high = float(numbers["key"].min()), float(numbers["key"].max())  # type: ignore[arg-type]
    if not 0 < high - low < float("inf"):
        return (low, high), (int(numbers["count"].sum()),)
    place = ((pl.col("key") - low) / (high - low) * bins).floor().clip(0, bins - 1)
    filled = numbers.group_by(place.cast(pl.Int64).alias("bin")).agg(pl.col("count").sum())
    by_bin = dict(filled.iter_rows())
    edges = tuple(low + (high - low) * i / bins for i in range(bins + 1))
    return edges, tuple(int(by_bin.get(i, 0)) for i in range(bins))
