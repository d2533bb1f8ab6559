"""Identifiers among the features: keys and counters are named, measurements are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.checks.sets.tables import judge, tables_of

ROWS = 500


def made(**columns: object) -> pl.DataFrame:
    """Rows with an honest measurement, an honest count, and the columns given."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"height": rng.normal(170, 9, ROWS), "visits": rng.integers(0, 900, ROWS)})
    label = pl.Series(rng.choice(["a", "b"], ROWS))
    return frame.with_columns(label=label, **columns)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(range(ROWS)),
        pl.Series([f"user-{at * 7919 % ROWS:04}" for at in range(ROWS)]),
        pl.Series(np.cumsum(np.random.default_rng(0).integers(1, 90, ROWS))),
        pl.Series(-np.cumsum(np.random.default_rng(0).integers(1, 90, ROWS))).cast(pl.String),
    ],
    ids=["row number", "text key", "rising number", "falling number as text"],
)
def test_identifiers_are_named_once(column: pl.Series) -> None:
    """A row number, a shuffled text key and numbers that only rise or fall give one finding."""
    found = judge("identifier_feature", tables_of(made(key=column), label="label"))
    assert found.findings["column"].to_list() == ["key"]


def test_files_that_begin_anew_are_counters_too() -> None:
    """A number that rises within each file, and begins anew in the next, names rows."""
    tables = tables_of(made(key=pl.Series([at % 25 * 3 for at in range(ROWS)])), label="label")
    assert judge("identifier_feature", tables).findings.is_empty()
    files = pl.format("{}.csv", pl.col("row") // 25)
    tables["samples"] = tables["samples"].with_columns(uri=files)
    assert judge("identifier_feature", tables).findings["column"].to_list() == ["key"]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(np.random.default_rng(2).integers(0, 10**9, ROWS)),
        pl.Series(np.sort(np.random.default_rng(2).integers(0, 100, ROWS))),
        pl.Series(np.arange(ROWS) / 7),
    ],
    ids=["large numbers", "sorted with ties", "sorted fractions"],
)
def test_measurements_are_not_named(column: pl.Series) -> None:
    """Large distinct numbers, sorted ages and sorted fractions are measurements."""
    found = judge("identifier_feature", tables_of(made(size=column), label="label"))
    assert found.findings.is_empty()


def test_unlabelled_and_small_sets_are_told() -> None:
    """Where nothing is learnt, or 40 rows could be unique by chance, a fact says so."""
    frame = made(key=pl.Series(range(ROWS)))
    for tables in (tables_of(frame.drop("label")), tables_of(frame.head(40), label="label")):
        found = judge("identifier_feature", tables)
        assert found.findings.is_empty()
        assert "not_judged" in found.facts["identifier_feature"]


def test_no_column_of_a_real_table_is_named(shared_data: Path) -> None:
    """The census table has no identifier: its survey weight repeats."""
    frame = pl.read_csv(shared_data / "tables" / "adult" / "train.csv", infer_schema=False)
    assert judge("identifier_feature", tables_of(frame, label="income")).findings.is_empty()
