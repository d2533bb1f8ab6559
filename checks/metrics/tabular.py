"""The profile of a table: two scans of bounded memory, whatever its size.

Scan 1 counts the values of every column and draws a sample; scan 2 counts the pairs of values of
columns that seem to depend on each other. Both fold batch after batch, so that the result does
not depend on where a batch ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import polars as pl

from checks.metrics.tabular_dependencies import Candidate, cell, confirm, find_exchanges, propose
from checks.metrics.tabular_profile import (
    ColumnKind,
    ColumnProfile,
    TableProfile,
    number_of,
    text_of,
)
from checks.metrics.tabular_spelling import close_pairs
from checks.metrics.tabular_values import Piece, Tally, histogram, quantiles
from checks.metrics.tabular_words import SENTINELS, is_placeholder

KEYS = ("uri", "row")  # the first two columns of a source's scan are no data
BATCH_ROWS = 65_536
SAMPLE_ROWS = 20_000
_TAIL, _TOP = 32, 100
_WORD_CAP = 5000  # distinct words of a column before it is no vocabulary


def data_columns(scan: pl.LazyFrame) -> dict[str, str]:
    """Return name and dtype of the columns that hold data, in order."""
    schema = scan.collect_schema()
    names = list(schema)
    own = names[2:] if tuple(names[:2]) == KEYS else names
    return {name: str(schema[name]) for name in own}


def profile_table(
    scan: pl.LazyFrame, *, label: str | None, batch_rows: int = BATCH_ROWS
) -> TableProfile:
    """Return what is known of a table: its columns, dependencies and confusable columns.

    Args:
        scan: the table; leading columns `uri` and `row` are left out. Text or typed columns.
        label: the column that is to be predicted; it takes no part in dependencies.
        batch_rows: rows in memory at a time.

    Two scans. Neither the order of the rows nor `batch_rows` changes the result for columns of up
    to 50,000 values, but for `mean` and `std`, which differ in the last digit.

    >>> profile = profile_table(pl.LazyFrame({"city": ["Bonn", "Bonn", None]}), label=None)
    >>> profile.row_count, profile.column("city").null_count
    (3, 1)
    """
    dtypes = data_columns(scan)
    scan = scan.select(list(dtypes))
    tallies = [Tally(name, dtype) for name, dtype in dtypes.items()]
    rows, sample = 0, scan.collect_schema().to_frame().with_columns(pl.lit(0, pl.UInt64).alias("#"))
    for batch in _batches(scan, batch_rows):
        rows += batch.height
        for tally in tallies:
            tally.add(batch)
        sample = _draw(sample, batch, [n for n, d in dtypes.items() if _hashable(d)])
    if not rows:
        empty = tuple(ColumnProfile(n, d, "constant", 0) for n, d in dtypes.items())
        return TableProfile(0, empty, label, scan_count=1)
    counted = {t.name: t.finish() for t in tallies}
    columns = [_column(t.name, t.dtype, *counted[t.name]) for t in tallies]
    features = [c for c in columns if c.name != label]
    # equal rows stand together after the sort: shuffle, or neighbours say nothing
    drawn = sample.sort("#").drop("#").sample(fraction=1.0, shuffle=True, seed=0)
    candidates = propose(drawn, features)
    for batch in _batches(scan, batch_rows):
        _count(candidates, batch, features)
    words = {c.name: counted[c.name][0].heavy for c in features if _is_vocabulary(c)}
    found = (confirm(c, features) for c in candidates)
    return TableProfile(
        rows, tuple(columns), label, tuple(d for d in found if d is not None),
        find_exchanges(words), scan_count=2,
    )  # fmt: skip


def _batches(scan: pl.LazyFrame, batch_rows: int) -> Iterator[pl.DataFrame]:
    return scan.collect_batches(chunk_size=batch_rows, maintain_order=True, engine="streaming")


def _hashable(dtype: str) -> bool:
    return not dtype.startswith(("List", "Array", "Struct", "Object"))


def _draw(sample: pl.DataFrame, batch: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Keep the rows whose content has the smallest hashes: a sample that knows no order."""
    if not names:
        return sample
    fresh = batch.with_columns(batch.select(names).hash_rows(seed=0).alias("#"))
    if sample.height >= SAMPLE_ROWS:
        fresh = fresh.filter(pl.col("#") <= sample["#"].max())
    return pl.concat([sample, fresh]).bottom_k(SAMPLE_ROWS, by="#") if fresh.height else sample


def _count(candidates: list[Candidate], batch: pl.DataFrame, columns: list[ColumnProfile]) -> None:
    used = {n for c in candidates for n in (*c.determinants, c.dependent)}
    cells = batch.select([cell(c) for c in columns if c.name in used])
    for candidate in candidates:
        candidate.add(cells)


def _is_vocabulary(column: ColumnProfile) -> bool:
    return column.kind == "category" and column.distinct_count <= _WORD_CAP


def _column(name: str, dtype: str, piece: Piece, distinct: int, exact: bool) -> ColumnProfile:
    """Draw a column's profile from its counts."""
    sums = piece.sums
    rows = int(sums["rows"])
    form = _date_form(dtype, piece)
    kind = _kind(dtype, sums, distinct, piece, form)
    numbers = piece.numbers
    if kind == "datetime":
        numbers = piece.dates.filter(pl.col("form") == (form or "typed")).select("key", "count")
    numbers = numbers.sort("key")
    bounds = quantiles(numbers)
    edges, bins = histogram(numbers, bounds)
    texts = piece.heavy
    counts = {f"{k}_count": int(sums[k]) for k in (
        "null", "nan", "inf", "empty", "blank", "placeholder", "untrimmed", "mojibake", "number",
        "integer", "unit", "zero", "negative", "clock",
    )}  # fmt: skip
    spelt = exact and kind in ("category", "text") and dtype in ("String", "Categorical")
    length_rows = rows - int(sums["null"])
    return ColumnProfile(
        name=name, dtype=dtype, kind=kind, row_count=rows, distinct_count=distinct, **counts,
        **cast("dict[str, Any]", _moments(numbers, sums)),
        length_min=int(sums["length_min"]) if length_rows else None,
        length_max=int(sums["length_max"]) if length_rows else None,
        length_mean=sums["length_sum"] / length_rows if length_rows else None,
        date_format=form if dtype == "String" and kind == "datetime" else None,
        quantiles=bounds, nonzero_quantiles=quantiles(numbers, nonzero=True),
        top=tuple(texts.head(_TOP).iter_rows()), histogram_edges=edges, histogram_counts=bins,
        patterns=tuple(piece.shapes.head(_TOP).iter_rows()),
        units=tuple(piece.units.head(_TAIL).iter_rows()) if kind == "number" else (),
        sentinels=_sentinels(numbers) if kind == "number" else (),
        low=tuple(numbers.head(_TAIL).iter_rows()),
        high=tuple(numbers.tail(_TAIL).reverse().iter_rows()),
        close_pairs=close_pairs(texts) if spelt else (),
    )  # fmt: skip


def _moments(numbers: pl.DataFrame, sums: dict[str, float]) -> dict[str, float | None]:
    """Minimum, maximum, mean, spread and the middle of the negative numbers' sizes."""
    if numbers.is_empty():
        return {}
    count = max(int(numbers["count"].sum()), 1)
    keys, weights = numbers["key"].to_numpy(), numbers["count"].to_numpy()
    mean = float((keys * (weights / count)).sum())
    spread = float((((keys - mean) ** 2) * (weights / count)).sum()) ** 0.5
    below = numbers.filter(pl.col("key") < 0).with_columns(-pl.col("key"))
    moments: dict[str, float] = {
        "mean": mean,
        "std": spread,
        "min": float(keys[0]),
        "max": float(keys[-1]),
    }
    if sums["negative"]:
        moments["negative_median"] = quantiles(below).get("p50", 0.0)
    return {k: v if v - v == 0 else None for k, v in moments.items()}


def _date_form(dtype: str, piece: Piece) -> str | None:
    """The form in which most values are dates, if 9 of 10 are."""
    if piece.dates.is_empty():
        return None
    by_form = piece.dates.group_by("form").agg(pl.col("count").sum())
    form, count = by_form.sort(["count", "form"], descending=[True, False]).row(0)
    return str(form) if dtype != "String" or count >= 0.9 * _filled(piece.sums) else None


def _filled(sums: dict[str, float]) -> float:
    gone = sums["null"] + sums["nan"] + sums["empty"] + sums["blank"] + sums["placeholder"]
    return sums["rows"] - gone


def _kind(
    dtype: str, sums: dict[str, float], distinct: int, piece: Piece, form: str | None
) -> ColumnKind:
    filled = _filled(sums)
    if distinct <= 1 or filled == 0:
        return "constant"
    if dtype == "Boolean" or (sums["boolean"] >= 0.98 * filled and distinct <= 6):  # noqa: PLR2004
        return "boolean"
    if form is not None:
        return "datetime"
    return _kind_of_values(dtype, sums, distinct, piece)


def _kind_of_values(dtype: str, sums: dict[str, float], distinct: int, piece: Piece) -> ColumnKind:
    """Tell numbers, keys, categories and free text apart."""
    filled = _filled(sums)
    unique = filled >= 20 and distinct >= 0.98 * (sums["rows"] - sums["null"])  # noqa: PLR2004
    said = filled - (sums["doubtful"] - sums["placeholder"])
    united = sums["unit"] if piece.units.height <= _TAIL else 0
    if sums["number"] + sums["inf"] > 0 and not dtype.startswith("String"):
        return "identifier" if unique and _is_dense(sums, piece) else "number"
    if sums["number"] + united >= 0.9 * max(said, 1):
        return "identifier" if unique and not united and _is_dense(sums, piece) else "number"
    if unique and sums["spaced"] <= 0.02 * filled and sums["length_sum"] <= 64 * filled:
        return "identifier"
    few = distinct <= 0.2 * filled or (distinct <= 1000 and distinct <= 0.5 * filled)  # noqa: PLR2004
    return "category" if few else "text"


def _is_dense(sums: dict[str, float], piece: Piece) -> bool:
    """Whole numbers that fill their range, or all of one length from 4 digits on: keys."""
    if sums["integer"] < sums["number"]:
        return False
    span = float(piece.numbers["key"].max()) - float(piece.numbers["key"].min())  # type: ignore[arg-type]
    fixed = sums["length_min"] == sums["length_max"] >= 4  # noqa: PLR2004
    return fixed or span <= 2 * sums["rows"]


def _sentinels(numbers: pl.DataFrame) -> tuple[tuple[float, int, float], ...]:
    """The numbers of `SENTINELS` that occur: value, rows, distance to the nearest other number."""
    held = numbers.filter(pl.col("key").is_in(SENTINELS))
    others = numbers.filter(~pl.col("key").is_in(SENTINELS)).get_column("key")
    if others.is_empty():
        return ()
    return tuple(
        (value, count, float((others - value).abs().min())) for value, count in held.iter_rows()
    )


def row_metrics(scan: pl.LazyFrame, profile: TableProfile) -> pl.LazyFrame:
    """Return, lazily, how each row is filled: uri, row and counts of its cells by what they are.

    missing_count (null, NaN, empty or blank), placeholder_count, nonfinite_count, unreadable_count
    (no number where numbers are expected), each Int64; missing_frac 0..1.
    """
    told = {c.name: c for c in profile.features if c.is_plain}
    text = {n: text_of(n, c.dtype) for n, c in told.items()}
    nothing = [pl.lit(0, pl.Int64)]
    missing = [pl.col(n).is_null() | (text[n] == "").fill_null(value=False) for n in told]
    missing += [pl.col(n).is_nan().fill_null(value=False) for n, c in told.items() if c.nan_count]
    words = [is_placeholder(text[n]) for n, c in told.items() if c.is_text]
    floats = [
        pl.col(n).is_infinite().fill_null(value=False) for n, c in told.items() if c.inf_count
    ]
    unread = [
        number_of(n, c.dtype).is_null() & text[n].is_not_null() & (text[n] != "")
        & ~is_placeholder(text[n], strict=True)
        for n, c in told.items() if c.is_text and c.kind == "number"
    ]  # fmt: skip
    counts = {"missing_count": missing, "placeholder_count": words,
              "nonfinite_count": floats, "unreadable_count": unread}  # fmt: skip
    summed = {
        k: pl.sum_horizontal([*nothing, *(e.cast(pl.Int64) for e in v)]) for k, v in counts.items()
    }
    share = pl.col("missing_count").cast(pl.Float64) / max(len(told), 1)
    return scan.select(*KEYS, **summed).with_columns(missing_frac=share)
