"""Flag dates that cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import DATE_FORMATS, ColumnProfile, TableProfile
from checks.metrics.tabular_words import is_placeholder

_FILLERS = (date(1, 1, 1), date(1899, 12, 30), date(1900, 1, 1), date(1970, 1, 1),
            date(9999, 12, 31))  # fmt: skip
_EARLIEST, _LATEST = datetime(1800, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - of the calendar
_DAY = r"\d+[-/.]\d+[-/.]\d+"
_DAYS = [str(date(2013, 1, 1) + timedelta(days=i)) for i in range(300)]


@cell_check(
    dimension="incorrect", severity="warning", action="review", span_ratio_max=3.0, version=2,
    examples=(
        CellExample({"day": [*_DAYS, "2013-02-30", "1970-01-01"]},
                    frozenset({(300, "day"), (301, "day")})),
        CellExample({"day": [*_DAYS, "31/12/2013", "2013/04/05"]},
                    frozenset({(300, "day"), (301, "day")})),
        CellExample({"day": [*_DAYS, "2013-02-28", None]}, frozenset()),
    ),
)  # fmt: skip
def implausible_date(profile: TableProfile, span_ratio_max: float) -> list[CellRule]:
    """Flag a day that no calendar has, another date format, a filler, or a day far from all others.

    Far: more than `span_ratio_max` times the span from the 1st to the 99th percentile beyond it, or
    before 1800 or after 2200. A filler, such as 1970-01-01, counts where it lies outside of that
    span. For a date in another format than its column's the same day in the column's is proposed,
    where only one day can be meant: as of 31/12/2013, and of 5/4/2013 if only April is among the
    column's other days.

    Why: a default date is a missing one in disguise, and every difference of dates inherits it.
    Source: ours; the fillers are the zero days of Unix, Excel, SQL Server and .NET.
    """
    rules = []
    for column in profile.features:
        if column.kind == "datetime":
            rules += [_respelt(column)] if column.is_text else []
            rules += _strange(column, span_ratio_max)
    return rules


def _respelt(column: ColumnProfile) -> CellRule:
    """Text that is a date only in another format, or with other marks between its numbers."""
    own = DATE_FORMATS[column.date_format or "iso"]
    low, high = column.quantiles["p01"], column.quantiles["p99"]
    day, rest = (column.text.str.extract(rf"^({_DAY})(\D.*)?$", n) for n in (1, 2))
    readings, among = [], []
    for form in DATE_FORMATS.values():
        mark = form[2]  # between its numbers
        read = day.str.replace_all("[-/.]", mark).str.to_date(form, strict=False)
        second = read.cast(pl.Datetime("ms")).dt.epoch("ms") / 1000.0
        readings.append(pl.when(read.is_between(_EARLIEST.date(), _LATEST.date())).then(read))
        among.append(pl.when(second.is_between(low, high)).then(read))
    readable = pl.any_horizontal(one.is_not_null() for one in readings)
    meant = pl.coalesce(_only(readings), _only(among)).dt.strftime(own)
    return CellRule(
        column.name, (column.datetime.is_null() & readable).fill_null(value=False),
        f"a date in another format than the column's ({own})",
        suggestion=meant + rest.fill_null(""),
    )  # fmt: skip


def _only(days: Sequence[pl.Expr]) -> pl.Expr:
    """The one day that all of `days` which are not null agree on, else null."""
    first = pl.min_horizontal(days)
    return pl.when(first == pl.max_horizontal(days)).then(first)


def _strange(column: ColumnProfile, ratio: float) -> list[CellRule]:
    moment, second = column.datetime, column.number
    first, last = column.quantiles["p01"], column.quantiles["p99"]
    beyond = pl.max_horizontal(first - second, second - last)
    outside = (second < first) | (second > last)
    wild = (moment < _EARLIEST) | (moment > _LATEST)
    filler = moment.dt.date().is_in(_FILLERS) & outside
    far = beyond > max(ratio * (last - first), 86_400.0)
    said = (column.text != "").fill_null(value=False) & ~is_placeholder(column.text, strict=True)
    found = {
        "no date: a day that no calendar has, or other text": moment.is_null() & said,
        "a filler, or far from all others": filler | wild | far,
    }
    return [
        CellRule(column.name, flagged.fill_null(value=False), evidence, threshold=ratio)
        for evidence, flagged in found.items()
    ]
