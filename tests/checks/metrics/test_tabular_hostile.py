"""Tables that are not as one would wish are profiled all the same."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from checks.metrics.tabular import profile_table, row_metrics
from checks.metrics.tabular_profile import TableProfile

DAY = dt.date(2024, 2, 29)
VALUES: dict[Any, list[Any]] = {
    pl.Boolean: [True, False], pl.Binary: [b"\xff\x00", b"b"], pl.Categorical: ["a", "b"],
    pl.Date: [DAY, dt.date.max], pl.Datetime("ns"): [DAY, DAY],
    pl.Datetime("us", "Europe/Berlin"): [dt.datetime(2024, 2, 29, tzinfo=dt.UTC)] * 2,
    pl.Decimal(20, 2): [Decimal("1.50"), Decimal("2.25")], pl.Duration("us"): [dt.timedelta(3)] * 2,
    pl.Enum(["a", "b"]): ["a", "b"], pl.Null: [None, None], pl.Object: [object(), object()],
    pl.Time: [dt.time(3, 4), dt.time.max], pl.String: ["a", "b"], pl.List(pl.Int8): [[1], []],
    pl.Array(pl.Float32, 1): [[1.0], [2.0]], pl.Struct({"a": pl.Int8}): [{"a": 1}, {"a": 2}],
    **{number: [1, 2] for number in (
        pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32,
        pl.UInt64, pl.UInt128, pl.Float32, pl.Float64)},
}  # fmt: skip
OWN_NAMES = ("#", "rows#", "home", "share", "key", "0", "text", "count")


@pytest.mark.parametrize("dtype", VALUES, ids=str)
def test_every_type_is_profiled(dtype: Any) -> None:
    """A column of any type has its nulls and values counted, in a profile that goes to JSON."""
    values = [*VALUES[dtype], None] * 10
    table = pl.DataFrame({"uri": "t", "row": range(30), "x": pl.Series(values, dtype=dtype)},
                         schema_overrides={"row": pl.Int64})  # fmt: skip
    profile = profile_table(table.lazy(), label=None)
    column = profile.column("x")
    assert column.null_count == sum(value is None for value in values)
    assert column.row_count == 30
    assert TableProfile.from_json(profile.to_json()) == profile
    assert row_metrics(table.lazy(), profile).collect().height == 30


def test_durations_and_wide_numbers_are_read() -> None:
    """A duration is told as a text of ISO 8601, a number beyond 64 bits by its size."""
    table = pl.DataFrame({
        "took": [dt.timedelta(minutes=5), dt.timedelta(days=2)] * 10,
        "wide": pl.Series([2**100, -(2**90)] * 10, dtype=pl.Int128),
    })  # fmt: skip
    took, wide = profile_table(table.lazy(), label=None).columns
    assert took.top == (("P2D", 10), ("PT5M", 10))
    assert (wide.kind, wide.min, wide.max) == ("number", -(2.0**90), 2.0**100)
    assert wide.top[0] == (str(-(2**90)), 10)


@pytest.mark.parametrize("name", OWN_NAMES)
@pytest.mark.parametrize("taken", ["town", "zip"])
def test_no_name_is_taken(name: str, taken: str) -> None:
    """Whatever a column is called, it is profiled as under any other name."""
    towns = [f"town {i % 20}" if i % 41 else "town 3" for i in range(800)]
    table = pl.DataFrame({"zip": [f"z{i % 40}" for i in range(800)], "town": towns,
                          "other": [f"o{i % 7}" for i in range(800)]})  # fmt: skip
    plain = profile_table(table.lazy(), label=None)
    renamed = profile_table(table.rename({taken: name}).lazy(), label=None)
    old = [[name if n == taken else n for n in (*d.determinants, d.dependent)]
           for d in plain.dependencies]  # fmt: skip
    assert [[*d.determinants, d.dependent] for d in renamed.dependencies] == old
    assert old != []


def test_numbers_at_the_end_of_the_scale() -> None:
    """1e308 beside -1e308, infinity and NaN: figures or None, and the JSON holds no infinity."""
    rows = {"x": [1e308, -1e308, float("inf"), float("nan"), 5e-324, 1.7976931348623157e308] * 9}
    profile = profile_table(pl.LazyFrame(rows), label=None)
    column = profile.column("x")
    assert (column.inf_count, column.nan_count, column.null_count) == (9, 9, 0)
    assert (column.min, column.max) == (-1e308, 1.7976931348623157e308)
    assert "Infinity" not in profile.to_json()


@pytest.mark.parametrize("rows", [0, 1])
def test_next_to_no_rows(rows: int) -> None:
    """A table of no row, or one, has a profile with nothing to tell between columns."""
    table = pl.DataFrame({"a": ["x"] * rows, "b": [1] * rows, "c": [None] * rows})
    profile = profile_table(table.lazy(), label=None)
    assert [c.kind for c in profile.columns] == ["constant"] * 3
    assert (profile.row_count, profile.associations, profile.gaps) == (rows, None, None)


def test_dates_of_other_centuries() -> None:
    """Quantiles and histogram of dates hold from 1650 to 2300, to within 6 hours."""
    days = [dt.date(1650, 1, 1) + dt.timedelta(days=237 * i) for i in range(1000)]
    column = profile_table(pl.LazyFrame({"day": days}), label=None).columns[0]
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    for name, place in (("p01", 9), ("p50", 499), ("p99", 989)):
        told = epoch + dt.timedelta(seconds=column.quantiles[name])
        assert abs(told.date() - days[place]) <= dt.timedelta(days=1)
    assert max(column.histogram_counts) <= 60
