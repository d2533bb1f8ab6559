"""The runner of cell checks."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source

from checks.core.cells import run_cell_checks
from checks.core.check import CellRule, Check
from checks.core.tables import Findings, guard


def rule_check(check_id: str, *rules: CellRule) -> Check:
    """A cell check that always gives these rules."""
    return Check(
        id=check_id, kind="cell", modality="table", dimension="incorrect", severity="warning",
        action="review", needs=("table",), params=MappingProxyType({}), examples=(), doc="",
        function=lambda _profile: list(rules),
    )  # fmt: skip


TABLE = pl.DataFrame({
    "uri": ["t"] * 50, "row": range(50), "n": [i % 5 for i in range(50)], "m": range(50),
    "l": [[i] for i in range(50)],
})  # fmt: skip
IDS = TABLE.select("uri", "row", sample_id=pl.format("s{}", "row"))
BIG = CellRule("n", pl.col("n") > 3, "big", pl.col("n"), 3.0, pl.lit("3"))


def test_findings_conform() -> None:
    """A flagged cell becomes a finding with its value, threshold, evidence and suggestion."""
    found = guard(Findings, run_cell_checks(TABLE.lazy(), IDS, None, [rule_check("c", BIG)]), "f")
    assert found.height == 10
    first = found.row(0, named=True)
    expected = {"sample_id": "s14", "column": "n", "value": 4.0, "threshold": 3.0,
                "evidence": "big", "suggestion": "3"}  # fmt: skip
    assert {key: first[key] for key in expected} == expected


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_batch_size_leaves_no_trace(batch_rows: int) -> None:
    """Findings are the same for batches of any size."""
    checks = [rule_check("c", BIG, CellRule("m", pl.col("m") > pl.col("n") * 9, "much"))]
    whole = run_cell_checks(TABLE.lazy(), IDS, None, checks)
    assert whole.equals(run_cell_checks(TABLE.lazy(), IDS, None, checks, batch_rows=batch_rows))


def test_first_rule_wins() -> None:
    """A cell that two rules of one check flag is found once, with the first one's words."""
    again = CellRule("n", pl.col("n") > 2, "fairly big")
    found = run_cell_checks(TABLE.lazy(), IDS, None, [rule_check("c", BIG, again)])
    assert found.height == 20
    assert sorted(set(found.filter(pl.col("value") == 4)["evidence"])) == ["big"]


def test_constant_and_nested_columns() -> None:
    """A rule over a list column, or over no column at all, is judged row by row."""
    rules = (
        CellRule("l", pl.col("l").list.first() == 3, "three"),
        CellRule("m", pl.lit(True), "all"),
    )
    found = run_cell_checks(TABLE.lazy(), IDS, None, [rule_check("c", *rules)])
    assert found.group_by("column").len().sort("column").rows() == [("l", 1), ("m", 50)]


def test_rows_without_id_are_passed_over() -> None:
    """Only rows that are samples can have findings."""
    found = run_cell_checks(TABLE.lazy(), IDS.head(5), None, [rule_check("c", BIG)])
    assert found["sample_id"].to_list() == ["s4"]


def test_one_pass() -> None:
    """The table is read once, however many checks there are."""
    opened = []

    def read(
        with_columns: list[str] | None, predicate: Any, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del with_columns, predicate, n_rows, batch_size
        opened.append(1)
        yield TABLE

    scan = register_io_source(read, schema=TABLE.schema)
    run_cell_checks(scan, IDS, None, [rule_check(f"c{i}", BIG) for i in range(5)])
    assert len(opened) == 1


def test_no_checks_no_findings() -> None:
    """Without checks there is an empty table of findings in the right types."""
    assert guard(Findings, run_cell_checks(TABLE.lazy(), IDS, None, []), "f").height == 0
