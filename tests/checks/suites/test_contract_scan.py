"""How often a contract reads a table, and what it keeps of it."""

from __future__ import annotations

from collections.abc import Iterator

import pandera.polars as pa
import polars as pl
import pytest
from polars.io.plugins import register_io_source

from checks.suites import contract_scan
from checks.suites.contract import Contract, judge_contract, judge_table
from checks.suites.contract_rules import hash_cells

C = pa.Check
TABLE = pl.DataFrame({"id": [1, 2, 2, 4], "name": ["a", "b", None, "dd"]})
IS_NAMED = C(lambda data: data.lazyframe.select(pl.col(data.key) != "a"), name="is_named")


def watch(table: pl.DataFrame) -> tuple[pl.LazyFrame, list[int]]:
    """A lazy table, and a list that grows by one each time that it is read."""
    reads: list[int] = []

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        reads.append(1)
        part = table.head(rows) if rows is not None else table
        part = part.filter(predicate) if predicate is not None else part
        yield part.select(columns) if columns is not None else part

    return register_io_source(read, schema=table.schema), reads


def keyed(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table with a source's keys, and ids that are the row numbers."""
    whole = table.select(pl.lit("t").alias("uri"), pl.int_range(pl.len()).alias("row"), pl.all())
    return whole, whole.select("uri", "row", sample_id=pl.col("row").cast(pl.String))


@pytest.mark.parametrize(
    ("unique", "checks", "bare", "with_ids"),
    [(True, [], 2, 2), (False, [], 2, 1), (True, [IS_NAMED], 3, 3), (False, [IS_NAMED], 3, 2)],
)
def test_reads(unique: bool, checks: list[C], bare: int, with_ids: int) -> None:
    """Declared rules need two readings of the data, one where ids tell the rows and none is unique.

    The data counts its readings by itself, and the verdict's own count agrees.
    """
    name = pa.Column(str, [C.str_length(1, 1), C.isin(["a", "b"]), *checks], unique=unique)
    columns = {"id": pa.Column(int, C.in_range(0, 3), unique=unique), "name": name}
    contract = Contract("c", pa.DataFrameSchema(columns))
    table, reads = watch(TABLE)
    assert judge_table(table, contract).scans == len(reads) == bare
    whole, ids = keyed(TABLE)
    table, reads = watch(whole)
    judge_contract(table, ids, contract)
    assert len(reads) == with_ids


def test_only_broken_rows_are_kept() -> None:
    """The mask has a row for each row that breaks a rule, in order, and a bit for each rule."""
    columns = {"id": pa.Column(int, C.lt(4), unique=True), "name": pa.Column(str)}
    verdict = judge_table(TABLE.lazy(), Contract("c", pa.DataFrameSchema(columns)))
    assert [count.check_id for count in verdict.counts] == [
        "contract:not_null", "contract:unique", "contract:less_than", "contract:not_null",
    ]  # fmt: skip
    assert verdict.mask.rows() == [(1, 0b0010), (2, 0b1010), (3, 0b0100)]
    assert [count.failures for count in verdict.counts] == [0, 2, 1, 1]


def test_more_rules_than_bits() -> None:
    """130 rules take three words, and each finds the one row that breaks it."""
    table = pl.DataFrame({f"c{i}": pl.int_range(130, eager=True) for i in range(130)})
    columns = {f"c{i}": pa.Column(int, C.ne(i), nullable=True) for i in range(130)}
    verdict = judge_table(table.lazy(), Contract("c", pa.DataFrameSchema(columns)))
    assert verdict.mask.columns == ["row", "mask_0", "mask_1", "mask_2"]
    assert verdict.list_reasons().select("row", "column").sort("row").rows() == [
        (i, f"c{i}") for i in range(130)
    ]


def test_a_shared_hash_is_no_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose cells share a hash and differ are not taken for repeats."""

    def collide(names: tuple[str, ...]) -> pl.Expr:
        return hash_cells(names) * 0

    monkeypatch.setattr(contract_scan, "hash_cells", collide)
    columns = {"id": pa.Column(int, unique=True), "name": pa.Column(str, unique=True)}
    verdict = judge_table(TABLE.lazy(), Contract("c", pa.DataFrameSchema(columns)))
    assert verdict.list_reasons().sort("row", "column").rows() == [
        (1, "contract:unique", "id"), (2, "contract:unique", "id"),
        (2, "contract:not_null", "name"),
    ]  # fmt: skip


def test_cells_of_another_type_are_no_repeats() -> None:
    """Texts that are no numbers break the type, and are not repeats of one another."""
    table = pl.LazyFrame({"id": ["1", "x", "y", " 1"]})
    contract = Contract("c", pa.DataFrameSchema({"id": pa.Column(int, unique=True)}))
    assert judge_table(table, contract).list_reasons().sort("row").rows() == [
        (0, "contract:unique", "id"), (1, "contract:dtype", "id"), (2, "contract:dtype", "id"),
        (3, "contract:unique", "id"),
    ]  # fmt: skip


@pytest.mark.parametrize("height", [0, 1])
def test_tiny_tables(height: int) -> None:
    """A table without rows breaks nothing, and one row repeats nothing."""
    columns = {"id": pa.Column(int, C.lt(4), unique=True), "name": pa.Column(str)}
    whole = C(lambda data: data.lazyframe.select(pl.col("id") > 0), name="whole")
    contract = Contract("c", pa.DataFrameSchema(columns, checks=whole))
    verdict = judge_table(TABLE.head(height).lazy(), contract)
    assert verdict.mask.is_empty()
    assert {(count.rows, count.fraction, count.passed) for count in verdict.counts} == {
        (height, 0.0, True)
    }


def test_a_contract_without_rules() -> None:
    """A contract that says nothing finds nothing."""
    contract = Contract("c", pa.DataFrameSchema({"id": pa.Column(None, nullable=True)}))
    verdict = judge_table(TABLE.lazy(), contract)
    assert (verdict.mask.height, verdict.counts) == (0, ())
    assert verdict.list_reasons().is_empty()
