"""The table profile: exact counts, two scans, no trace of order or batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.io.plugins import register_io_source

from checks.metrics import tabular_state
from checks.metrics.tabular import profile_table, row_metrics
from checks.metrics.tabular_profile import TableProfile


def mixed_table(rows: int = 600) -> pl.DataFrame:
    """A table of text columns of every kind, without random state of its own."""
    i = np.arange(rows)
    return pl.DataFrame({
        "id": [f"K{n:05}" for n in i],
        "zip": [str(10_000 + n % 7) for n in i],
        "town": [["Bonn", "Ulm", "Kiel", "Trier", "Jena", "Gera", "Hof"][n % 7] for n in i],
        "price": [f"{(n * 37 % 101) / 4}" for n in i],
        "day": [f"2013-01-{1 + n % 28:02}" for n in i],
        "ok": [("true", "false")[n % 2] for n in i],
        "note": [f"a note of {n} and {n * n % 97} words" for n in i],
        "one": ["x"] * rows,
    })  # fmt: skip


def test_five_kinds_of_nothing() -> None:
    """Null, NaN, infinity, empty, blank and placeholder are counted apart."""
    table = pl.DataFrame({
        "text": [None, "", "  ", "N/A", "word", " word"],
        "number": [None, float("nan"), float("inf"), 0.0, -1.5, 2.0],
    })  # fmt: skip
    profile = profile_table(table.lazy(), label=None)
    text, number = profile.columns
    assert (text.null_count, text.empty_count, text.blank_count) == (1, 1, 1)
    assert (text.placeholder_count, text.untrimmed_count) == (1, 1)
    assert (number.null_count, number.nan_count, number.inf_count) == (1, 1, 1)
    assert (number.zero_count, number.negative_count, number.min) == (1, 1, -1.5)


def test_kinds_of_text_columns() -> None:
    """A file of texts gets the kinds that its values have."""
    profile = profile_table(mixed_table().lazy(), label="ok")
    kinds = {column.name: column.kind for column in profile.columns}
    assert kinds == {
        "id": "identifier", "zip": "number", "town": "category", "price": "number",
        "day": "datetime", "ok": "boolean", "note": "text", "one": "constant",
    }  # fmt: skip


def test_source_keys_are_no_data() -> None:
    """The leading columns uri and row of a source are not profiled."""
    table = pl.DataFrame({"uri": ["a", "a"], "row": [0, 1], "town": ["Bonn", "Ulm"]})
    assert [c.name for c in profile_table(table.lazy(), label=None).columns] == ["town"]


def test_json_round_trip() -> None:
    """A profile comes back equal from its JSON, dependencies and pairs included."""
    profile = profile_table(mixed_table().lazy(), label="ok")
    assert profile.dependencies
    assert TableProfile.from_json(profile.to_json()) == profile


def test_two_scans() -> None:
    """The table is read exactly twice, whatever its number of columns."""
    table, opened = mixed_table(), []

    def read(
        with_columns: list[str] | None, predicate: Any, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del predicate, n_rows, batch_size
        opened.append(1)
        yield table.select(with_columns) if with_columns else table

    scan = register_io_source(read, schema=table.schema)
    profile = profile_table(scan, label="ok")
    assert len(opened) == profile.scan_count == 2


@pytest.mark.parametrize("batch_rows", [7, 100, 10_000])
def test_batches_leave_no_trace(batch_rows: int) -> None:
    """The profile is the same for batches of any size."""
    table = mixed_table().lazy()
    whole = profile_table(table, label="ok")
    assert profile_table(table, label="ok", batch_rows=batch_rows).to_json() == whole.to_json()


def test_row_order_leaves_no_trace() -> None:
    """The profile is the same for the rows in any order."""
    table = mixed_table()
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=3)
    whole = profile_table(table.lazy(), label="ok")
    assert profile_table(shuffled.lazy(), label="ok").to_json() == whole.to_json()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_quantiles_are_order_statistics(numbers: list[float]) -> None:
    """Every quantile of a column of few values is one of its values, as numpy's inverted_cdf is."""
    column = profile_table(pl.LazyFrame({"x": numbers, "y": "a"}), label=None).column("x")
    for name, share in (("p01", 0.01), ("p25", 0.25), ("p50", 0.5), ("p99", 0.99)):
        expected = np.quantile(np.array(numbers), share, method="inverted_cdf")
        assert column.quantiles[name] == expected


def test_many_values_are_sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cap counts stay exact, quantiles within 0.2 %, distinct values within 5 %."""
    monkeypatch.setitem(tabular_state.CAPACITY, "value", 500)
    values = np.arange(1, 20_001) * 1.37
    column = profile_table(pl.LazyFrame({"x": values}), label=None, batch_rows=900).column("x")
    assert (column.number_count, column.row_count) == (20_000, 20_000)
    assert column.quantiles["p50"] == pytest.approx(np.quantile(values, 0.5), rel=2e-3)
    assert column.distinct_count == pytest.approx(20_000, rel=0.05)


def test_typed_columns() -> None:
    """Dates, categories, lists and null columns of Parquet are profiled without an error."""
    table = pl.DataFrame({
        "when": pl.date_range(pl.date(2013, 1, 1), pl.date(2013, 1, 30), eager=True),
        "list": [[1, 2]] * 29 + [None],
        "kind": pl.Series(["a", "b", "a"] * 10, dtype=pl.Categorical),
        "nothing": [None] * 30,
        "flag": [True, False] * 15,
    })  # fmt: skip
    profile = profile_table(table.lazy(), label=None)
    assert profile.column("when").kind == "datetime"
    assert profile.column("list").null_count == 1
    assert profile.column("kind").top == (("a", 20), ("b", 10))
    assert profile.column("nothing").kind == "constant"
    assert profile.column("flag").kind == "boolean"


def test_empty_table() -> None:
    """A table without rows has a profile with nothing in it."""
    profile = profile_table(pl.LazyFrame({"a": []}, schema={"a": pl.String}), label=None)
    assert (profile.row_count, profile.column("a").kind) == (0, "constant")


def test_row_metrics_count_cells() -> None:
    """Each row's missing, placeholder, infinite and unreadable cells are counted."""
    table = pl.DataFrame({
        "uri": ["t"] * 12, "row": range(12),
        "size": ["1", "x", "", "N/A", *map(str, range(8))],
        "mass": [float("inf"), float("nan"), None, 1.0, *[2.0] * 8],
    })  # fmt: skip
    profile = profile_table(table.lazy(), label=None)
    rows = row_metrics(table.lazy(), profile).collect()
    assert rows["missing_count"].head(4).to_list() == [0, 1, 2, 0]
    assert rows["placeholder_count"].head(4).to_list() == [0, 0, 0, 1]
    assert rows["nonfinite_count"].head(4).to_list() == [1, 0, 0, 0]
    assert rows["missing_frac"].head(3).to_list() == [0.0, 0.5, 1.0]
