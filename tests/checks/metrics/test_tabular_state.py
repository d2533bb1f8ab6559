"""The states of tables: parts merge into the whole, sketches keep their bounds, files come back."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from checks.core.errors import TableError
from checks.metrics import tabular_state
from checks.metrics.tabular import tally_rows
from checks.metrics.tabular_columns import describe_column, read_columns
from checks.metrics.tabular_state import FRAMES, TableState, merge_states, read_state

TEXTS = ["", " ", "N/A", "none", "12", "-3.5", "12 oz", "2013-02-28", "1/2/2013", "Ulm", " Ulm ",
         "größe", "cafÃ©", "TRUE", "A-17", "\u00a0x", "数"]  # fmt: skip
SCHEMA = pl.Schema({
    "text": pl.String, "float": pl.Float64, "whole": pl.Int64, "flag": pl.Boolean, "day": pl.Date,
    "when": pl.Datetime("us"), "list": pl.List(pl.Int64),
})  # fmt: skip
ROWS = st.tuples(
    st.none() | st.sampled_from(TEXTS), st.none() | st.floats(), st.none() | st.integers(-5, 5),
    st.none() | st.booleans(), st.none() | st.dates(date(1800, 1, 1), date(2200, 1, 1)),
    st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    st.none() | st.just([1, 2]),
)  # fmt: skip


def _state(table: pl.DataFrame, batch_rows: int = 100_000) -> TableState:
    return tally_rows(table.schema, table.iter_slices(batch_rows))


def assert_same(left: TableState, right: TableState) -> None:
    """Hold two states equal: bit for bit, but for the last digits of means and spreads."""
    assert left.row_count == right.row_count
    for name in FRAMES:
        exact = name != "moments"
        assert_frame_equal(
            getattr(left, name), getattr(right, name), check_exact=exact, rel_tol=1e-9, abs_tol=1e-9
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, max_size=24), st.lists(st.integers(0, 24), max_size=3), st.integers(2, 9))
def test_parts_merge_into_the_whole(
    rows: list[tuple[object, ...]], cuts: list[int], batch_rows: int
) -> None:
    """The states of any parts, read in any batches, merge into the state of the whole table."""
    bounded = [(*row[:1], None if row[1] is None or abs(row[1]) > 1e9 else row[1], *row[2:])  # type: ignore[arg-type, operator]
               for row in rows]  # fmt: skip
    table = pl.DataFrame(bounded, schema=SCHEMA, orient="row")
    places = sorted({0, *(min(c, len(rows)) for c in cuts), len(rows)})
    parts = [table[a:b] for a, b in pairwise(places)] or [table]
    merged = merge_states(_state(part, batch_rows) for part in parts)
    assert_same(merged, _state(table))


def test_extreme_numbers_merge() -> None:
    """Infinities, 1e308 and subnormal numbers are counted apart and merge like all others."""
    table = pl.DataFrame({"x": [1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"),
                                0.0, -0.0, None]})  # fmt: skip
    merged = merge_states([_state(table[:4]), _state(table[4:])])
    assert_same(merged, _state(table))
    column = describe_column(read_columns(merged)[0])
    assert (column.inf_count, column.nan_count, column.null_count) == (2, 1, 1)
    assert (column.zero_count, column.number_count, column.distinct_count) == (2, 5, 6)
    assert (column.min, column.max) == (-1e308, 1e308)


def test_a_state_comes_back_from_its_file(tmp_path: Path) -> None:
    """What was written is read back equal, and a damaged file is told by its name."""
    table = pl.DataFrame({"town": ["Bonn", "Ulm", None], "size": [1.5, 2.5, float("nan")]})
    state = _state(table)
    state.write(tmp_path / "one.state")
    assert_same(read_state(tmp_path / "one.state"), state)
    assert [path.name for path in tmp_path.iterdir()] == ["one.state"]
    (tmp_path / "two.state").write_bytes((tmp_path / "one.state").read_bytes()[:200])
    with pytest.raises(TableError, match=r"two\.state"):
        read_state(tmp_path / "two.state")


def test_states_of_other_columns_do_not_merge() -> None:
    """States of tables with different columns are refused."""
    with pytest.raises(ValueError, match="other columns"):
        merge_states([_state(pl.DataFrame({"a": [1]})), _state(pl.DataFrame({"b": [1]}))])


@pytest.mark.parametrize("parts", [1, 7])
def test_heavy_counts_keep_their_bound(parts: int) -> None:
    """Beyond the capacity a count is too low by at most what was shed, a thousandth of the rows."""
    rng = np.random.default_rng(5)
    rows = 60_000
    values = np.where(
        rng.random(rows) < 0.1, rng.integers(0, 20, rows), rng.integers(100, 10**9, rows)
    )
    table = pl.DataFrame({"x": values})
    size = -(-rows // parts)
    state = merge_states(_state(part, 9_000) for part in table.iter_slices(size))
    shed = state.counts.filter(pl.col("what") == "shed_value")["count"].item()
    assert 0 < shed <= rows / tabular_state.HEAVY_KEPT["value"]
    told = dict(state.heavy.select("text", "count").iter_rows())
    true = {str(v): int(n) for v, n in zip(*np.unique(values, return_counts=True), strict=True)}
    assert all(true[text] - shed <= count <= true[text] for text, count in told.items())
    assert all(true.get(str(v), 0) <= shed or str(v) in told for v in range(20))
    assert set(map(str, range(20))) <= set(told)


@pytest.mark.parametrize("distinct", [100, 3_000, 50_000, 400_000])
def test_distinct_values_are_estimated(distinct: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registers give the number of values within 5 %, three standard errors, at any size."""
    monkeypatch.setitem(tabular_state.CAPACITY, "value", 50)
    monkeypatch.setitem(tabular_state.HEAVY_KEPT, "value", 20)
    table = pl.DataFrame({"x": np.arange(distinct) * 7.5, "y": [f"v{i}" for i in range(distinct)]})
    for column in map(describe_column, read_columns(_state(pl.concat([table, table])))):
        assert not column.exact
        assert column.distinct_count == pytest.approx(distinct, rel=0.05)


def test_dates_are_known_by_the_hour() -> None:
    """Quantiles of dates are days, whether they are stored as dates or as text."""
    days = [date(2013, 1, 1) + timedelta(days=i) for i in range(200)]
    table = pl.DataFrame({"typed": days, "text": [str(d) for d in days]})
    for column in map(describe_column, read_columns(_state(table))):
        assert column.kind == "datetime"
        middle = datetime(1970, 1, 1) + timedelta(seconds=column.quantiles["p50"])  # noqa: DTZ001
        assert middle == datetime(2013, 4, 10)  # noqa: DTZ001
