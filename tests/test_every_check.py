"""Laws that hold for every check that discovery finds, of whatever kind."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.core.check import CellExample, Check, Example, Judged, SetExample, load_checks
from checks.core.errors import CheckError, UnknownNameError
from checks.core.run import run_row_checks, run_set_checks
from checks.core.tables import Findings, guard
from checks.core.words import ACTIONS, DIMENSIONS, SEVERITIES

CHECKS = {i: c for i, c in load_checks().items() if c.function.__module__.startswith("checks.")}
ROW = [check for check in CHECKS.values() if check.kind == "row"]
CELL = [check for check in CHECKS.values() if check.kind == "cell"]
SET = [check for check in CHECKS.values() if check.kind == "set"]
POLARS = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String}
each = pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.id)
each_row = pytest.mark.parametrize("check", ROW, ids=lambda check: check.id)
each_cell = pytest.mark.parametrize("check", CELL, ids=lambda check: check.id)
each_set = pytest.mark.parametrize("check", SET, ids=lambda check: check.id)


def metric_types(check: Check) -> dict[str, type[pl.DataType]]:
    """The type of each metric that a row check reads, from its examples."""
    types: dict[str, type[pl.DataType]] = {}
    for example in check.examples:
        assert isinstance(example, Example)
        every = [*example.sample.items(), *((k, v) for k, vs in example.among.items() for v in vs)]
        types |= {name: POLARS[type(value)] for name, value in every if value is not None}
    return types


def metrics_of(check: Check, example: Example) -> pl.DataFrame:
    """The example's own sample as the first row, the others after it."""
    types = metric_types(check)
    rest = max((len(values) for values in example.among.values()), default=0)
    table = {
        name: [example.sample[name], *example.among.get(name, [None] * rest)] for name in types
    }
    frame = pl.DataFrame(table, schema=types)
    return frame.with_columns(sample_id=pl.Series([f"s{at}" for at in range(rest + 1)]))


def judge_rows(check: Check, frame: pl.DataFrame) -> dict[str, bool]:
    """The verdict on each sample."""
    flags = frame.select("sample_id", check().alias("flag"))
    return dict(flags.iter_rows())


@st.composite
def metric_tables(draw: st.DrawFn, check: Check) -> pl.DataFrame:
    """A table of metrics with nulls, NaN and infinities among likely values."""
    size = draw(st.integers(1, 12))
    floats = st.one_of(st.floats(0, 1), st.floats(allow_nan=True, allow_infinity=True))
    values: dict[Any, st.SearchStrategy[Any]] = {
        pl.Boolean: st.booleans(), pl.Int64: st.integers(0, 5000), pl.Float64: floats,
        pl.String: st.sampled_from(["RGB", "L", "", "truncated"]),
    }  # fmt: skip
    columns = {
        name: draw(st.lists(st.none() | values[kind], min_size=size, max_size=size))
        for name, kind in metric_types(check).items()
    }
    frame = pl.DataFrame(columns, schema=metric_types(check))
    return frame.with_columns(sample_id=pl.Series([f"s{at:02}" for at in range(size)]))


def numbers(params: Mapping[str, object]) -> dict[str, float]:
    """The parameters that are numbers."""
    return {k: v for k, v in params.items() if isinstance(v, int | float) and v is not True
            and v is not False}  # fmt: skip


def steps(value: float) -> list[float]:
    """Values below and above a threshold, of its own type."""
    if isinstance(value, int):
        return [max(0, value - 2), max(0, value - 1), value, value + 1, 2 * value + 2]
    return sorted({value * factor for factor in (0.25, 0.5, 0.9, 1.0, 1.1, 2.0, 4.0)})


# ------------------------------------------------------------------ every kind


def test_families_are_large_enough() -> None:
    """Discovery finds at least 16 image checks, 12 cell checks and 6 set checks."""
    assert len([check for check in ROW if check.modality == "image"]) >= 16
    assert len(CELL) >= 12
    assert len(SET) >= 6


@each
def test_documentation(check: Check) -> None:
    """The documentation says in one sentence what is flagged, then why, and where from."""
    assert check.summary.endswith(".")
    assert "\nWhy: " in check.doc
    assert "\nSource: " in check.doc


@each
def test_name_and_words(check: Check) -> None:
    """The id is the name of its file, and the vocabulary is that of the tables."""
    assert check.function.__module__.rsplit(".", 1)[1] == check.id
    assert check.dimension in DIMENSIONS
    assert check.severity in SEVERITIES
    assert check.action in ACTIONS


@each
def test_unknown_parameter(check: Check) -> None:
    """A parameter that a check lacks is refused with the nearest name that it has."""
    name = next(iter(check.params), "")
    hint = f"Did you mean '{name}'" if name else f"no parameter of {check.id}"
    with pytest.raises(UnknownNameError, match=hint):
        check.configured(**{f"{name}x": 1})


@each
def test_wrong_type(check: Check) -> None:
    """A value of another type than the default's is refused, and both are named."""
    for name in check.params:
        with pytest.raises(CheckError, match=rf"checks\.{check.id}\.{name}: wrong type"):
            check.configured(**{name: object()})


@each
def test_both_verdicts(check: Check) -> None:
    """The examples show the check flagging and not flagging."""
    verdicts = {
        bool(example.flagged) if isinstance(example, Example) else len(example.flagged) > 0
        for example in check.examples
    }
    assert verdicts == {True, False}


# ------------------------------------------------------------------ row checks


@each_row
def test_row_examples(check: Check) -> None:
    """Each example of a row check gets its verdict."""
    for example in check.examples:
        assert isinstance(example, Example)
        assert judge_rows(check, metrics_of(check, example))["s0"] is example.flagged


@each_row
def test_row_reads_what_it_declares(check: Check) -> None:
    """A row check reads exactly the metrics that it declares; optional ones, perhaps."""
    read = set(check().meta.root_names())
    assert {need for need in check.needs if not need.endswith("?")} <= read
    assert read <= {need.rstrip("?") for need in check.needs}


@each_row
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_row_verdicts(check: Check, data: st.DataObject) -> None:
    """Verdicts are Boolean and never null, whatever is measured, and do not lean on row order."""
    frame = data.draw(metric_tables(check))
    flags = frame.select(check().alias("flag"))["flag"]
    assert flags.dtype == pl.Boolean
    assert flags.null_count() == 0
    assert judge_rows(check, frame) == judge_rows(check, frame.reverse())
    guard(Findings, run_row_checks(frame.lazy(), [check]), check.id)


@each_row
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_row_batches(check: Check, data: st.DataObject) -> None:
    """A check that is not relative judges a sample alone as it does among others."""
    if check.relative:
        return
    frame = data.draw(metric_tables(check))
    alone: dict[str, bool] = {}
    for part in frame.iter_slices(1):
        alone |= judge_rows(check, part)
    assert alone == judge_rows(check, frame)


@each_row
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_row_thresholds_nest(check: Check, data: st.DataObject) -> None:
    """Moving one threshold adds flags or removes them, never both."""
    frame = data.draw(metric_tables(check))
    for name, value in numbers(check.params).items():
        flagged = [
            {s for s, hit in judge_rows(check.configured(**{name: v}), frame).items() if hit}
            for v in steps(value)
        ]
        assert_nested(flagged)


@each_row
def test_unmeasured_among_measured(check: Check) -> None:
    """A sample without a single measurement is not flagged among samples that have them."""
    for example in check.examples:
        assert isinstance(example, Example)
        frame = metrics_of(check, example)
        first = pl.int_range(pl.len()) == 0
        names = [name for name in frame.columns if name != "sample_id"]
        blank = frame.with_columns(pl.when(~first).then(pl.col(name)).alias(name) for name in names)
        assert judge_rows(check, blank)["s0"] is False


def test_unmeasured_samples_are_not_judged() -> None:
    """A sample whose metrics are all null gets no finding from any row check."""
    columns = {name: kind for check in ROW for name, kind in metric_types(check).items()}
    frame = pl.DataFrame({name: [None] for name in columns}, schema=columns)
    found = run_row_checks(frame.with_columns(sample_id=pl.lit("s")).lazy(), ROW)
    assert found.height == 0


# ----------------------------------------------------------------- cell checks


def judge_cells(check: Check, example: CellExample, order: Sequence[int]) -> pl.DataFrame:
    """The findings on an example's table with its rows in `order`; ids follow the rows."""
    cells = pytest.importorskip("checks.core.cells")
    tabular = pytest.importorskip("checks.metrics.tabular")
    table = pl.DataFrame(dict(example.table), strict=False)
    frame = table.with_columns(sample_id=pl.Series([f"{at:032x}-0" for at in range(table.height)]))[
        list(order)
    ]
    keys = {"uri": pl.lit("t.csv"), "row": pl.int_range(pl.len(), dtype=pl.Int64)}
    numbered = frame.with_columns(**keys)
    ids = numbered.select("uri", "row", "sample_id")
    scan = numbered.select("uri", "row", *table.columns).lazy()
    profile = tabular.profile_table(scan, label=example.label)
    found: pl.DataFrame = cells.run_cell_checks(scan, ids, profile, [check])
    return found


@each_cell
def test_cell_examples(check: Check) -> None:
    """Each example table of a cell check gets exactly its cells, in findings that conform."""
    for example in check.examples:
        assert isinstance(example, CellExample)
        height = len(next(iter(example.table.values())))
        found = guard(Findings, judge_cells(check, example, range(height)), check.id)
        places = {(int(s.split("-")[0], 16), c) for s, c in
                  found.select("sample_id", "column").iter_rows()}  # fmt: skip
        assert places == set(example.flagged)


@each_cell
def test_cell_order(check: Check) -> None:
    """The order of a table's rows does not change which cells a check flags."""
    for example in check.examples:
        assert isinstance(example, CellExample)
        order = list(range(len(next(iter(example.table.values())))))
        first = judge_cells(check, example, order)
        random.Random(7).shuffle(order)  # noqa: S311 - an order, not a secret
        second = judge_cells(check, example, order)
        assert first.select("sample_id", "column").equals(second.select("sample_id", "column"))


# ------------------------------------------------------------------ set checks


def tables_of(example: SetExample, seed: int | None = None) -> dict[str, pl.LazyFrame]:
    """The example's tables, shuffled if there is a seed."""
    tables = {name: pl.DataFrame(dict(columns)) for name, columns in example.tables.items()}
    if seed is not None:
        tables = {n: t.sample(fraction=1, shuffle=True, seed=seed) for n, t in tables.items()}
    return {name: table.lazy() for name, table in tables.items()}


def judge_set(check: Check, example: SetExample, seed: int | None = None) -> Judged:
    """What the check itself says, before the runner completes it."""
    judged: Judged = check(tables_of(example, seed))
    return judged


@each_set
def test_set_examples(check: Check) -> None:
    """A set check flags an example's samples and no others; a calibrated one, hardly any others."""
    share = 1 - numbers(check.params).get("precision_min", 1.0)
    for example in check.examples:
        assert isinstance(example, SetExample)
        found = set(run_set_checks(tables_of(example), [check]).findings["sample_id"])
        assert example.flagged <= found
        assert len(found - example.flagged) <= share * len(found)


@each_set
def test_set_order(check: Check) -> None:
    """The order of the rows changes neither the findings nor the scores of a set check."""
    for example in check.examples:
        assert isinstance(example, SetExample)
        first = run_set_checks(tables_of(example), [check])
        second = run_set_checks(tables_of(example, seed=3), [check])
        assert first.findings.equals(second.findings)
        assert first.scores.equals(second.scores)


@each_set
def test_set_scores(check: Check) -> None:
    """A ranking check gives one score to every sample, and never NaN."""
    for example in check.examples:
        assert isinstance(example, SetExample)
        judged = judge_set(check, example)
        assert (judged.scores is not None) == (check.score is not None)
        if judged.scores is None or check.score is None:
            continue
        assert sorted(judged.scores["sample_id"]) == sorted(example.tables["samples"]["sample_id"])
        assert judged.scores[check.score].is_nan().sum() == 0


@each_set
def test_set_empty(check: Check) -> None:
    """Empty tables give no findings, and scores without rows."""
    for example in check.examples:
        assert isinstance(example, SetExample)
        tables = {name: table.head(0) for name, table in tables_of(example).items()}
        outcome = run_set_checks(tables, [check])
        assert outcome.findings.height == 0
        assert outcome.scores.height == 0


@each_set
def test_set_thresholds_nest(check: Check) -> None:
    """Moving one threshold of a set check adds flags or removes them, never both."""
    for example in check.examples:
        assert isinstance(example, SetExample)
        for name, value in numbers(check.params).items():
            if not name.endswith(("_min", "_max")):
                continue
            flagged = [
                set(check.configured(**{name: v})(tables_of(example)).findings["sample_id"])
                for v in steps(value)[::2]
            ]
            assert_nested(flagged)


@each_set
def test_set_needs(check: Check) -> None:
    """A set check whose table is absent is left out, and a fact says so; optional ones are not."""
    needed = [name for name in check.needs if not name.endswith("?") and name != "samples"]
    example = check.examples[0]
    assert isinstance(example, SetExample)
    outcome = run_set_checks({"samples": tables_of(example)["samples"]}, [check])
    assert ("not_run" in outcome.facts[check.id]) == bool(needed)


def assert_nested(flagged: Sequence[set[str]]) -> None:
    """Each set holds the one before it, or each is held by it."""
    grows = all(a <= b for a, b in pairwise(flagged))
    shrinks = all(a >= b for a, b in pairwise(flagged))
    assert grows or shrinks
