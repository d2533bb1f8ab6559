"""The compiled mask against pandera itself, rule by rule and row by row."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from checks.suites.contract import Contract, judge_table

C = pa.Check
ENUM = pl.Enum(["red", "Grün", ""])
DAYS = [dt.date(1969, 12, 31), dt.date(2020, 2, 29), dt.date(2020, 3, 1), dt.date(9999, 12, 31)]
TIMES = [dt.datetime(1970, 1, 1), dt.datetime(2020, 2, 29, 23, 59, 59, 999999)]  # noqa: DTZ001
FRACTIONS = [0.0, -0.0, 0.1, 0.5, 1.0, 1.5, -1.0, 1e308, -1e308, 5e-324, math.inf, -math.inf,
             math.nan]  # fmt: skip
TEXTS = ["", " ", "a", "A", "aB1", "ab\n", "a\nb", "ä", "a\u0308", "日本", "🙂", "٣", "\x00", "a.b",
         "null", "NaN"]  # fmt: skip
ANY_TEXT = st.sampled_from(TEXTS) | st.text(max_size=4)


def limits(low: Any, high: Any) -> list[C]:
    """Every word that compares with limits."""
    return [C.eq(low), C.ne(high), C.gt(low), C.ge(low), C.lt(high), C.le(high)]


# name: type, values, checks; no column has two checks of one name
COLUMNS: dict[str, tuple[Any, st.SearchStrategy[Any], list[C]]] = {
    "wide": (pl.Float64, st.sampled_from(FRACTIONS), [*limits(0.0, 1.0), C.in_range(0, 1)]),
    "open": (pl.Float64, st.floats(), [
        C.in_range(0.1, 1.0, include_min=False, include_max=False), C.isin([0.1, math.inf]),
        C.notin([0.0, math.nan])]),
    "narrow": (pl.Float32, st.floats(width=32), [
        *limits(0.1, 1.5), C.in_range(0.1, 1.5), C.isin([0.1, 0.5])]),
    "whole": (pl.Int64, st.integers(-2, 5) | st.sampled_from([-2**63, 2**63 - 1]), [
        *limits(0, 3), C.in_range(0, 3, include_max=False), C.isin([1, 2]), C.notin([3])]),
    "tiny": (pl.Int8, st.integers(-128, 127), [*limits(0, 100), C.isin([1, 100])]),
    "natural": (pl.UInt64, st.sampled_from([0, 1, 2**64 - 1]), [C.ge(1), C.isin([2**64 - 1])]),
    "flag": (pl.Boolean, st.booleans(), [C.eq(value=True), C.isin([False])]),
    "text": (pl.String, ANY_TEXT, [
        C.str_matches(r"[a-zä]+\d?$"), C.str_contains(r"\d|b"), C.str_startswith("a"),
        C.str_endswith("b"), C.str_length(1, 2), C.isin(["a", "", "日本"]), C.notin(["A"]),
        *limits("A", "a")]),
    "words": (pl.String, ANY_TEXT, [
        C.str_matches(r"^\w*$"), C.str_contains(r"^\s"), C.str_length(exact_value=1),
        C.in_range("A", "a")]),
    "longer": (pl.String, ANY_TEXT, [C.str_length(min_value=2), C.str_startswith("a.")]),
    "shorter": (pl.String, ANY_TEXT, [C.str_length(max_value=2), C.str_endswith("")]),
    "kind": (ENUM, st.sampled_from(["red", "Grün", ""]), [C.isin(["red", ""]), C.ne("red")]),
    "day": (pl.Date, st.sampled_from(DAYS), [*limits(DAYS[1], DAYS[2]), C.isin(DAYS[:1])]),
    "time": (pl.Datetime("us"), st.sampled_from(TIMES), [*limits(*TIMES), C.in_range(*TIMES)]),
}  # fmt: skip


def ask_pandera(table: pl.DataFrame, schema: pa.DataFrameSchema) -> set[tuple[int, str, str]]:
    """Row, rule and column of every failure case that pandera lists."""
    found = set()
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as broken:
        for error in broken.schema_errors:
            name = getattr(error.check, "name", error.check)
            rows = (~error.check_output.to_series(-1)).arg_true()
            found |= {(row, name, error.column_name) for row in rows}
    return found


def ask_us(table: pl.DataFrame, schema: pa.DataFrameSchema) -> set[tuple[int, str, str]]:
    """The same of ours, in pandera's words: a NaN is among its nulls."""
    theirs = {"not_null": "not_nullable", "not_nan": "not_nullable", "unique": "field_uniqueness"}
    reasons = judge_table(table.lazy(), Contract("c", schema)).list_reasons()
    names = ((row, check_id.removeprefix("contract:"), c) for row, check_id, c in reasons.rows())
    return {(row, theirs.get(name, name), column) for row, name, column in names}


def build(values: dict[str, list[Any]]) -> pl.DataFrame:
    """A table of columns of the types above."""
    return pl.DataFrame({n: pl.Series(v, dtype=COLUMNS[n][0]) for n, v in values.items()})


rows = st.fixed_dictionaries({n: st.none() | values for n, (_, values, _) in COLUMNS.items()})


@settings(max_examples=12, deadline=None)
@given(st.lists(rows, min_size=8, max_size=24), st.booleans(), st.booleans())
def test_every_declared_rule(cells: list[dict[str, Any]], nullable: bool, unique: bool) -> None:
    """Every word over its types flags the rows that pandera lists, and no other."""
    schema = pa.DataFrameSchema(
        {n: pa.Column(t, checks=c, nullable=nullable, unique=unique)
         for n, (t, _, c) in COLUMNS.items()}
    )  # fmt: skip
    table = build({name: [one[name] for one in cells] for name in COLUMNS})
    assert ask_us(table, schema) == ask_pandera(table, schema)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "", None]), st.sampled_from([0.0, -0.0, math.nan,
                                                                             None]))))  # fmt: skip
def test_unique_together(cells: list[tuple[Any, Any]]) -> None:
    """Rows that share all cells of a group, nulls and NaN among them, are pandera's."""
    schema = pa.DataFrameSchema(
        {"text": pa.Column(str, nullable=True), "wide": pa.Column(float, nullable=True)},
        unique=["text", "wide"],
    )
    table = build({"text": [a for a, _ in cells], "wide": [b for _, b in cells]})
    ours = {row for row, _, _ in ask_us(table, schema)}
    assert ours == {row for row, _, _ in ask_pandera(table, schema)}


CUSTOM: dict[str, Callable[[Any], Any]] = {
    "positive": lambda data: data.lazyframe.select(pl.col(data.key) > pl.col(data.key) * 0),
    "average": lambda data: data.lazyframe.select(pl.col(data.key).mean()).collect().item() > 0,
}


@pytest.mark.parametrize("options", [{"ignore_na": False}, {"ignore_na": True}])
def test_what_is_not_compiled(options: dict[str, bool]) -> None:
    """A check that only pandera can run, or that counts a null as broken, is pandera's."""
    checks = [C(CUSTOM["positive"], name="positive", **options), C.le(1, **options)]
    schema = pa.DataFrameSchema({"wide": pa.Column(float, checks=checks, nullable=True)})
    table = build({"wide": [*FRACTIONS, None]})
    assert ask_us(table, schema) == ask_pandera(table, schema)


def test_a_check_on_a_whole_batch() -> None:
    """A check that answers once for a batch breaks at the batch's first row."""
    schema = pa.DataFrameSchema({"wide": pa.Column(float, C(CUSTOM["average"], name="average"))})
    table = build({"wide": [1.0, 1.0, -1.0, -1.0]})
    verdict = judge_table(table.lazy(), Contract("c", schema), batch_rows=2)
    assert verdict.list_reasons().rows() == [(2, "contract:average", "wide")]


def test_where_pandera_cannot_tell() -> None:
    """Durations, whose failure cases make pandera raise, are judged like all else."""
    spans = pl.Series([dt.timedelta(0), dt.timedelta(microseconds=-1), None])
    checks = [C.ge(dt.timedelta(0)), C(CUSTOM["positive"], name="positive")]
    schema = pa.DataFrameSchema({"span": pa.Column(pl.Duration("us"), checks, nullable=True)})
    table = pl.DataFrame({"span": spans})
    with pytest.raises(pl.exceptions.InvalidOperationError, match="Duration"):
        ask_pandera(table, schema)
    assert ask_us(table, schema) == {
        (1, "greater_than_or_equal_to", "span"), (0, "positive", "span"), (1, "positive", "span"),
    }  # fmt: skip
