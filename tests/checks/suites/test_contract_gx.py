"""Compiled contracts against Great Expectations' unexpected rows, on one set of cases.

It reads the cells as pandas holds them, where NaN is null, and passes over nulls. Where that makes
it mean something else than pandera, whose words a contract uses, both meanings are written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from checks.suites.contract import Contract, judge_table
from checks.suites.suite_file import import_gx

C = pa.Check
NUMBERS = [None, nan, inf, -inf, 0.0, -0.0, 0.5, 1.0, 1.5, -1.0]
SOLID = [None, inf, -inf, 0.0, -0.0, 0.5, 1.0, 1.5, -1.0, 0.5]
TEXTS = [None, "", " ", "a", "A", "ab", "ä", "日本", "a1", "x"]
WHOLES = [None, 0, 1, 2, 3, 3, -1, 100, 2**53, 2]
CODES = ["a", "b", "a", "", "", "c", "d", "e", "f", "ä"]


@dataclass(frozen=True)
class Case:
    """A rule of ours, an expectation, and the rows that break each: equal if only one is told."""

    cells: Sequence[Any]
    dtype: Any
    column: dict[str, Any]
    expectation: str
    kwargs: dict[str, Any]
    ours: set[int]
    theirs: set[int] | None = None


def case(
    cells: Sequence[Any], check: Any, name: str, kwargs: dict[str, Any], ours: set[int],
    *, theirs: set[int] | None = None, **column: Any,
) -> Case:  # fmt: skip
    """A case of one check on a nullable column."""
    kind = next(type(one) for one in cells if one is not None)
    types = {float: pl.Float64, str: pl.String, int: pl.Int64}
    own = {"checks": check, "nullable": True} | column
    return Case(cells, types[kind], own, f"expect_column_{name}", kwargs, ours, theirs)


STATES = ["off", "off", "on", "on", None, "off", "on", "", "off", "on"]
BETWEEN, IN_SET, NOT_IN = "values_to_be_between", "values_to_be_in_set", "values_to_not_be_in_set"
MATCH, LENGTH = "values_to_match_regex", "value_lengths_to_be_between"
NOT_NULL, UNIQUE = "values_to_not_be_null", "values_to_be_unique"

CASES: dict[str, Case] = {
    "range": case(SOLID, C.in_range(0, 1), BETWEEN, {"min_value": 0, "max_value": 1},
                  {1, 2, 7, 8}),
    "open range": case(SOLID, C.in_range(0, 1, include_min=False, include_max=False), BETWEEN,
                       {"min_value": 0, "max_value": 1, "strict_min": True, "strict_max": True},
                       {1, 2, 3, 4, 6, 7, 8}),
    "at least": case(SOLID, C.ge(0.5), BETWEEN, {"min_value": 0.5}, {2, 3, 4, 8}),
    "above": case(SOLID, C.gt(0.5), BETWEEN, {"min_value": 0.5, "strict_min": True},
                  {2, 3, 4, 5, 8, 9}),
    "at most": case(SOLID, C.le(1), BETWEEN, {"max_value": 1}, {1, 7}),
    "below": case(SOLID, C.lt(1), BETWEEN, {"max_value": 1, "strict_max": True}, {1, 6, 7}),
    "range of whole numbers": case(WHOLES, C.in_range(1, 3), BETWEEN,
                                   {"min_value": 1, "max_value": 3}, {1, 6, 7, 8}),
    "set of numbers": case(SOLID, C.isin([0.0, 0.5]), IN_SET, {"value_set": [0.0, 0.5]},
                           {1, 2, 6, 7, 8}),
    "set of whole numbers": case(WHOLES, C.isin([1, 2, 3]), IN_SET, {"value_set": [1, 2, 3]},
                                 {1, 6, 7, 8}),
    "set of texts": case(TEXTS, C.isin(["a", "", "日本"]), IN_SET, {"value_set": ["a", "", "日本"]},
                         {2, 4, 5, 6, 8, 9}),
    "value": case(WHOLES, C.eq(3), IN_SET, {"value_set": [3]}, {1, 2, 3, 6, 7, 8, 9}),
    "no value": case(WHOLES, C.ne(3), NOT_IN, {"value_set": [3]}, {4, 5}),
    "forbidden": case(TEXTS, C.notin(["", "x"]), NOT_IN, {"value_set": ["", "x"]}, {1, 9}),
    "forbidden numbers": case(SOLID, C.notin([0.0, inf]), NOT_IN, {"value_set": [0.0, inf]},
                              {1, 3, 4}),
    "pattern": case(TEXTS, C.str_matches(r"^[a-z]\d?$"), MATCH, {"regex": r"^[a-z]\d?$"},
                    {1, 2, 4, 5, 6, 7}),
    "pattern of letters": case(TEXTS, C.str_matches(r"^\w+$"), MATCH, {"regex": r"^\w+$"}, {1, 2}),
    "pattern anywhere": case(TEXTS, C.str_contains("[a-z]"), MATCH, {"regex": "[a-z]"},
                             {1, 2, 4, 6, 7}),
    "beginning": case(TEXTS, C.str_startswith("a"), MATCH, {"regex": "^a"}, {1, 2, 4, 6, 7, 9}),
    "end": case(TEXTS, C.str_endswith("b"), MATCH, {"regex": "b$"}, {1, 2, 3, 4, 6, 7, 8, 9}),
    "length": case(TEXTS, C.str_length(1, 1), LENGTH, {"min_value": 1, "max_value": 1},
                   {1, 5, 7, 8}),
    "least length": case(TEXTS, C.str_length(min_value=1), LENGTH, {"min_value": 1}, {1}),
    "most length": case(TEXTS, C.str_length(max_value=1), LENGTH, {"max_value": 1}, {5, 7, 8}),
    "no null": case(SOLID, [], NOT_NULL, {}, {0}, nullable=False),
    "no null and no NaN": case(NUMBERS, [], NOT_NULL, {}, {0, 1}, nullable=False),
    "no null, empty is none": case(TEXTS, [], NOT_NULL, {}, {0}, nullable=False),
    "no null of whole numbers": case(WHOLES, [], NOT_NULL, {}, {0}, nullable=False),
    "unique": case(CODES, [], UNIQUE, {}, {0, 2, 3, 4}, unique=True),
    "unique numbers": case(SOLID, [], UNIQUE, {}, {3, 4, 5, 9}, unique=True),
    "unique, one null": case(WHOLES, [], UNIQUE, {}, {3, 4, 5, 9}, unique=True),
    # NaN is a value, above all others: theirs passes over it
    "range and NaN": case(NUMBERS, C.in_range(0, 1), BETWEEN, {"min_value": 0, "max_value": 1},
                          {1, 2, 3, 8, 9}, theirs={2, 3, 8, 9}),
    "at least and NaN": case(NUMBERS, C.ge(0), BETWEEN, {"min_value": 0}, {3, 9}),
    "set and NaN": case(NUMBERS, C.isin([0.5]), IN_SET, {"value_set": [0.5]},
                        {1, 2, 3, 4, 5, 7, 8, 9}, theirs={2, 3, 4, 5, 7, 8, 9}),
    "unique and NaN": case([*NUMBERS[:9], nan], [], UNIQUE, {}, {1, 9, 4, 5}, theirs={4, 5},
                           unique=True),
    # equal nulls repeat one another: theirs passes over them
    "unique and nulls": case([None, None, "a", "b", "c", "d", "e", "f", "g", "h"], [], UNIQUE, {},
                             {0, 1}, theirs=set(), unique=True),
    # `$` is the end of the text: in Python's patterns also before a last line feed
    "pattern and line feed": case(["a\n", "a", None, *"bcdefgh"], C.str_matches("^a$"), MATCH,
                                  {"regex": "^a$"}, {0, *range(3, 10)}, theirs={*range(3, 10)}),
}  # fmt: skip

IF_OFF = {"column": {"name": "state"}, "type": "comparison", "operator": "==", "parameter": "off"}


def reasons(table: pl.LazyFrame, columns: dict[str, Any], **told: Any) -> set[int]:
    """The rows that break a contract of these columns."""
    schema = pa.DataFrameSchema(columns, metadata={"gristmill": told})
    return set(judge_table(table, Contract("c", schema)).mask["row"])


@pytest.fixture(scope="module")
def validate() -> Any:
    """Great Expectations over one frame: a column for each case, and `state`."""
    import pandas as pd  # noqa: PLC0415 - slow

    gx = import_gx()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    held = {name: one.cells for name, one in CASES.items()} | {"state": STATES}
    frame = pd.DataFrame({name: pd.Series(list(cells)) for name, cells in held.items()})
    frame["row"] = range(len(frame))
    asset = context.data_sources.add_pandas("cases").add_dataframe_asset("cases")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    complete = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}

    def run(expectations: list[dict[str, Any]]) -> list[Any]:
        suite = gx.ExpectationSuite(name="cases", expectations=expectations)
        results = batch.validate(suite, result_format=complete).results
        return sorted(results, key=lambda one: one.expectation_config.meta["number"])

    return run


def expect(number: int, kind: str, column: str, **kwargs: Any) -> dict[str, Any]:
    """An expectation as it is stored; its number keeps the order."""
    told = {"column": column, **kwargs}
    return {"type": kind, "kwargs": told, "meta": {"number": number}, "severity": "critical"}


def rows_of(result: Any) -> set[int]:
    """The unexpected rows of one result, as many as it counts."""
    found = {int(row["row"]) for row in result.result.get("unexpected_index_list") or ()}
    assert len(found) == result.result["unexpected_count"]
    return found


def test_every_case(validate: Any) -> None:
    """Each rule breaks at the rows that its expectation finds unexpected, and at no other.

    The few cases in which the two mean different things hold each to its own meaning.
    """
    asked = [
        expect(i, one.expectation, name, **one.kwargs)
        for i, (name, one) in enumerate(CASES.items())
    ]
    found = dict(zip(CASES, map(rows_of, validate(asked)), strict=True))
    ours = {
        name: reasons(pl.LazyFrame({"c": pl.Series(one.cells, dtype=one.dtype)}),
                      {"c": pa.Column(one.dtype, **one.column)})
        for name, one in CASES.items()
    }  # fmt: skip
    assert ours == {name: one.ours for name, one in CASES.items()}
    assert found == {
        name: one.ours if one.theirs is None else one.theirs for name, one in CASES.items()
    }
    assert sum(one.theirs is None for one in CASES.values()) >= 30


def test_conditions_and_keys(validate: Any, tmp_path: Path) -> None:
    """A conditional rule and a foreign key break where a row condition and a set do."""
    table = pl.LazyFrame({"state": STATES, "text": TEXTS, "number": SOLID})
    then = {"column": "number", "in_range": {"min_value": 0, "max_value": 1}}
    empty = {"column": "text", "not_null": True}
    when = {"column": "state", "eq": "off"}
    between = {"min_value": 0, "max_value": 1, "row_condition": IF_OFF}
    results = validate([
        expect(0, f"expect_column_{BETWEEN}", "range", **between),
        expect(1, f"expect_column_{NOT_NULL}", "set of texts", row_condition=IF_OFF),
    ])  # fmt: skip
    words = ["a", "", "日本"]
    pl.DataFrame({"word": words}).write_parquet(tmp_path / "words.parquet")
    key = {"column": "text", "table": str(tmp_path / "words.parquet"), "key": "word"}
    found = validate([expect(0, f"expect_column_{IN_SET}", "set of texts", value_set=words)])[0]
    assert reasons(table, {}, foreign_keys=[key]) == rows_of(found) == {2, 4, 5, 6, 8, 9}
    assert reasons(table, {}, implies=[{"if": when, "then": then}]) == rows_of(results[0]) == {1, 8}
    assert reasons(table, {}, implies=[{"if": when, "then": empty}]) == rows_of(results[1]) == {0}


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.15, 1.0])
def test_tolerance_is_what_mostly_leaves(validate: Any, share: float) -> None:
    """A rule within its tolerance passes where an expectation with `mostly` succeeds.

    Theirs is a share of the cells that are not null, ours of the rows: without nulls they agree.
    """
    solid = pl.LazyFrame({"c": SOLID})
    column = pa.Column(float, metadata={"gristmill": {"tolerance": share}})
    told = validate([expect(0, f"expect_column_{NOT_NULL}", "range", mostly=1 - share)])[0]
    counts = judge_table(solid, Contract("c", pa.DataFrameSchema({"c": column}))).counts
    assert counts[0].passed == told.success == (share >= 0.1)
