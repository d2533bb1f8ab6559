"""Flag numbers that their column cannot hold."""

from __future__ import annotations

import re

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import expect, suggest_or_blank
from checks.metrics.tabular_profile import ColumnProfile, TableProfile

# A word of the column's name -> the range of what it names.
_RANGES = {
    "hour": (0, 24), "hr": (0, 24), "minute": (0, 60), "second": (0, 60), "month": (1, 12),
    "day": (1, 366), "weekday": (0, 7), "year": (1800, 2100), "age": (0, 120),
    "lat": (-90, 90), "latitude": (-90, 90), "lon": (-180, 360), "lng": (-180, 360),
    "longitude": (-180, 360), "humid": (0, 100), "humidity": (0, 100), "percent": (0, 100),
    "pct": (0, 100), "direction": (0, 360), "dir": (0, 360), "heading": (0, 360),
}  # fmt: skip
_TIGHT = {"hour": 23, "minute": 59, "second": 59, "day": 31}  # if 98 % of the values fit it
_ENOUGH = 20  # numbers before a column's range is known


@cell_check(
    dimension="incorrect", severity="warning", action="repair", negative_frac_max=0.02,
    examples=(
        CellExample(
            {
                "hour": [*range(5, 23)] * 10 + [27],
                "miles": [100.0 + i for i in range(180)] + [-120.0],
            },
            frozenset({(180, "hour"), (180, "miles")}),
        ),
        CellExample({"change": [float(i) for i in range(-2, 58)] * 3, "hour": [*range(4, 24)] * 9},
                    frozenset()),
    ),
)  # fmt: skip
def impossible_value(profile: TableProfile, negative_frac_max: float) -> list[CellRule]:
    """Flag a negative number where there are none, an hour of 27, a clock time of 1275.

    Negative: at most `negative_frac_max` (0..1) of the numbers are, and they are as large as the
    rest are (a lost sign), or zero is a wall that others stand at. By name: hour, minute, month,
    latitude, percent and so on, where 98 % of the numbers lie in the range. Clock times: whole
    numbers of which 98 % have minutes below 60 and lie in 0..2400.

    Why: a value that cannot be is wrong for certain, and often far enough to bend a fit.
    Source: ours; the ranges are those of the calendar, of angles and of shares.
    """
    expected = expect(profile)
    rules = []
    for column in profile.features:
        if column.kind != "number" or column.number_count < _ENOUGH:
            continue
        suggestion = suggest_or_blank(expected, column.name)
        number = column.number
        for flagged, told in (
            (_negative(column, negative_frac_max), "negative, where hardly any number is"),
            (_beyond_name(column), "outside the range that the column's name gives"),
            (_no_clock_time(column), "no time of day, in a column of clock times"),
        ):
            if flagged is not None:
                rules.append(
                    CellRule(column.name, flagged.fill_null(value=False), told, number,
                             suggestion=suggestion)
                )  # fmt: skip
    return rules


def _negative(column: ColumnProfile, frac_max: float) -> pl.Expr | None:
    count, middle = column.negative_count, column.quantiles["p50"]
    if not count or count > frac_max * column.number_count or column.quantiles["p05"] < 0:
        return None
    lost_sign = middle > 0 and (column.negative_median or 0) >= middle / 2
    wall = count <= 0.02 * column.zero_count
    return column.number < 0 if lost_sign or wall else None


def _beyond_name(column: ColumnProfile) -> pl.Expr | None:
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name).lower())
    known = next((w for w in reversed(words) if w.removesuffix("s") in _RANGES), None)
    if known is None:
        return None
    known = known.removesuffix("s")
    low, high = _RANGES[known]
    first, last = column.quantiles["p01"], column.quantiles["p99"]
    if known in _TIGHT and last <= _TIGHT[known]:
        high = _TIGHT[known]
    if first < low or last > high:
        return None
    return ~column.number.is_between(low, high)


def _no_clock_time(column: ColumnProfile) -> pl.Expr | None:
    number, last = column.number, column.quantiles["p99"]
    clock = column.clock_count >= 0.98 * column.number_count
    if not clock or column.distinct_count < 48 or not 1000 < last <= 2400:  # noqa: PLR2004
        return None
    return ~(number.is_between(0, 2400) & (number % 100 < 60))  # noqa: PLR2004
