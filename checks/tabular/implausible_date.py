"""Flag dates that cannot be meant."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import ColumnProfile, TableProfile
from checks.metrics.tabular_words import is_placeholder

_FILLERS = (date(1, 1, 1), date(1899, 12, 30), date(1900, 1, 1), date(1970, 1, 1),
            date(9999, 12, 31))  # fmt: skip
_DAYS = [str(date(2013, 1, 1) + timedelta(days=i)) for i in range(300)]


@cell_check(
    dimension="incorrect", severity="warning", action="review", span_ratio_max=3.0,
    examples=(
        CellExample({"day": [*_DAYS, "2013-02-30", "1970-01-01"]},
                    frozenset({(300, "day"), (301, "day")})),
        CellExample({"day": [*_DAYS, "2013-02-28", None]}, frozenset()),
    ),
)  # fmt: skip
def implausible_date(profile: TableProfile, span_ratio_max: float) -> list[CellRule]:
    """Flag a day that no calendar has, a filler such as 1970-01-01, or one far from all others.

    Far: more than `span_ratio_max` times the span from the 1st to the 99th percentile beyond it, or
    before 1800 or after 2200. A filler counts where it lies outside of that span.

    Why: a default date is a missing one in disguise, and every difference of dates inherits it.
    Source: ours; the fillers are the zero days of Unix, Excel, SQL Server and .NET.
    """
    return [
        CellRule(
            column.name, _strange(column, span_ratio_max).fill_null(value=False),
            "no date, a filler, or far from all others", threshold=span_ratio_max,
        )
        for column in profile.features
        if column.kind == "datetime"
    ]  # fmt: skip


def _strange(column: ColumnProfile, ratio: float) -> pl.Expr:
    moment, second = column.datetime, column.number
    first, last = column.quantiles["p01"], column.quantiles["p99"]
    beyond = pl.max_horizontal(first - second, second - last)
    outside = (second < first) | (second > last)
    wild = (moment < datetime(1800, 1, 1)) | (moment > datetime(2200, 1, 1))  # noqa: DTZ001
    filler = moment.dt.date().is_in(_FILLERS) & outside
    far = beyond > max(ratio * (last - first), 86_400.0)
    said = (column.text != "").fill_null(value=False) & ~is_placeholder(column.text, strict=True)
    return (moment.is_null() & said) | (filler | wild | far).fill_null(value=False)
