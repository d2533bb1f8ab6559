"""Flag dates that contradict the other dates of their row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import permutations

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.column_table import read_columns
from checks.metrics.tabular_profile import ColumnProfile

FOUND = {"sample_id": pl.String, "column": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "evidence": pl.String, "suggestion": pl.String}  # fmt: skip
_ROWS, _COLUMNS = 20_000, 12  # of the sample that waits are measured on; columns that are paired
_ENOUGH = 50  # rows with both dates before an order is known
_DAY = 86_400.0
_LATE = 2.0  # times the longest usual wait, where an exchange of day and month would mend it
_FORMS = {"month_first": "%m/%d/%Y", "day_first": "%d/%m/%Y"}


@dataclass(frozen=True, slots=True)
class Order:
    """A column of dates that comes before another one.

    wait: the longest usual one, seconds. spans: where 98 % of the first, and of the last, lie.
    """

    first: ColumnProfile
    last: ColumnProfile
    wait: float
    spans: tuple[tuple[float, float], tuple[float, float]]


def _example(wrong: date | None) -> SetExample:
    """Orders of a shop and when they were shipped; one may have been shipped too soon."""
    ids = [f"{at:032x}-0" for at in range(120)]
    ordered = [date(2023, 1, 1) + timedelta(days=3 * at) for at in range(120)]
    shipped = [day + timedelta(days=1 + at % 6) for at, day in enumerate(ordered)]
    if wrong is not None:
        shipped[40] = wrong
    tables: dict[str, dict[str, list[object]]] = {
        "samples": {"sample_id": list(ids)},
        "rows": {"sample_id": list(ids), "ordered": list(ordered), "shipped": list(shipped)},
        "columns": {"name": ["ordered", "shipped"], "dtype": ["Date", "Date"],
                    "kind": ["datetime", "datetime"]},
    }  # fmt: skip
    return SetExample(tables, frozenset() if wrong is None else frozenset({ids[40]}))


@set_check(
    modality="table", needs=("rows", "columns"), dimension="incorrect", severity="warning",
    action="review", order_min=0.98, wait_ratio_max=10.0,
    # the 6th of May as the 5th of June, and a year too early
    examples=(_example(date(2023, 6, 5)), _example(date(2022, 5, 6)), _example(None)),
)  # fmt: skip
def inconsistent_dates(
    tables: Mapping[str, pl.LazyFrame], order_min: float, wait_ratio_max: float
) -> Judged:
    """Flag an end before its beginning, and one that comes `wait_ratio_max` times too late.

    An order of two columns is mined: it must hold in at least `order_min` (0..1) of 50 rows or
    more. Too late: beyond so many times the 99th percentile of the wait, or beyond twice of it if
    a day and a month exchanged make it a usual one; where that is so in only one of the two cells,
    it is suggested and the other one passes. Else the one cell is flagged that lies outside of its
    column's usual span, or that contradicts more of the row's dates, or both.

    Why: a stay of minus three days ends up in a feature as -3, not as a date to be mended.
    Source: ours; temporal constraints as the order dependencies of Szlichta et al. 2012.
    """
    times = [c for c in read_columns(tables["columns"]) if c.kind == "datetime"][:_COLUMNS]
    rows = tables["rows"]
    orders = _mine(rows, times, order_min)
    if not orders:
        return Judged(pl.DataFrame(schema=FOUND), facts={"orders": []})
    broken = [_broken(rows, order, wait_ratio_max) for order in orders]
    found = _choose(pl.concat(pl.collect_all(broken, engine="streaming")))
    told = found.select(
        "sample_id", "column", "value", threshold=pl.lit(wait_ratio_max), evidence="evidence",
        suggestion="suggestion",
    )  # fmt: skip
    known = [[order.first.name, order.last.name] for order in orders]
    return Judged(told.cast(FOUND), facts={"orders": known})  # type: ignore[arg-type]


def _mine(rows: pl.LazyFrame, times: Sequence[ColumnProfile], order_min: float) -> list[Order]:
    """Return the pairs of columns of which the first comes first, in all but a few rows."""
    if len(times) < 2:  # noqa: PLR2004
        return []
    seconds = [c.number.alias(c.name) for c in times]
    pairs = list(permutations([c.name for c in times], 2))
    counts = rows.select(seconds).select(
        *((pl.col(a) < pl.col(b)).sum().alias(f"{i}<") for i, (a, b) in enumerate(pairs)),
        *((pl.col(a) <= pl.col(b)).sum().alias(f"{i}=") for i, (a, b) in enumerate(pairs)),
        *((pl.col(a) <= pl.col(b)).count().alias(f"{i}#") for i, (a, b) in enumerate(pairs)),
    )  # fmt: skip
    told = counts.collect(engine="streaming").row(0, named=True)
    sample = rows.bottom_k(_ROWS, by="sample_id").sort("sample_id").select(seconds).collect()
    by_name = {c.name: c for c in times}
    orders = []
    for i, (a, b) in enumerate(pairs):
        known = told[f"{i}#"]
        if known >= _ENOUGH and told[f"{i}="] >= order_min * known and told[f"{i}<"] * 2 > known:
            wait = sample.select((pl.col(b) - pl.col(a)).quantile(0.99, "nearest")).item()
            orders.append(Order(by_name[a], by_name[b], max(float(wait or 0.0), _DAY),
                                (_span(sample[a]), _span(sample[b]))))  # fmt: skip
    return orders


def _span(seconds: pl.Series) -> tuple[float, float]:
    low, high = (seconds.quantile(q, "nearest") for q in (0.01, 0.99))
    return float(low or 0.0), float(high or 0.0)


def _broken(rows: pl.LazyFrame, order: Order, ratio: float) -> pl.LazyFrame:
    """Return both cells of each row that breaks an order, lazily, with what might mend them."""
    first, last = order.first, order.last
    kept = rows.select(
        "sample_id", first=first.number, last=last.number, first_turned=_turned(first),
        last_turned=_turned(last), wait=last.number - first.number,
    ).filter((pl.col("wait") < 0) | (pl.col("wait") > min(ratio, _LATE) * order.wait))  # fmt: skip
    told = f"{first.name} and {last.name} are out of order, or too far apart"

    def fits(begin: str, end: str) -> pl.Expr:
        span = pl.col(end).dt.epoch("s") if "turned" in end else pl.col(end)
        start = pl.col(begin).dt.epoch("s") if "turned" in begin else pl.col(begin)
        return (span - start).is_between(0, order.wait).fill_null(value=False)

    mends = {"first": fits("first_turned", "last"), "last": fits("first", "last_turned")}
    late = (pl.col("wait") < 0) | (pl.col("wait") > ratio * order.wait)
    kept = kept.filter(late | mends["first"] | mends["last"])
    alone = {"first": mends["first"] & ~mends["last"], "last": mends["last"] & ~mends["first"]}
    strange = {part: ~pl.col(part).is_between(*span)
               for part, span in zip(("first", "last"), order.spans, strict=True)}  # fmt: skip
    cells = []
    for part, other, column in (("first", "last", first), ("last", "first", last)):
        passes = alone[other] | (~alone[part] & strange[other] & ~strange[part])
        cells.append(
            kept.filter(~passes).select(
                "sample_id", column=pl.lit(column.name), value=pl.col("wait") / _DAY,
                evidence=pl.lit(told), other=pl.lit((last if part == "first" else first).name),
                suggestion=pl.when(alone[part]).then(_write(column, pl.col(f"{part}_turned"))),
            )
        )  # fmt: skip
    return pl.concat(cells)


def _turned(column: ColumnProfile) -> pl.Expr:
    """The date with its day and month exchanged; null where there is no such month."""
    moment = column.datetime
    day = moment.dt.day()
    month = pl.when(day <= 12).then(day)  # noqa: PLR2004
    return pl.datetime(moment.dt.year(), month, moment.dt.month())


def _write(column: ColumnProfile, moment: pl.Expr) -> pl.Expr:
    form = _FORMS.get(column.date_format or "", "%Y-%m-%d")
    return moment.dt.strftime(form)


def _choose(cells: pl.DataFrame) -> pl.DataFrame:
    """Keep, of each row's cells, those that contradict most other dates."""
    votes = pl.col("other").n_unique().over("sample_id", "column")
    told = cells.with_columns(votes=votes)
    most = told.filter(pl.col("votes") == pl.col("votes").max().over("sample_id"))
    return most.sort("sample_id", "column", "other").unique(
        ["sample_id", "column"], keep="first", maintain_order=True
    )
