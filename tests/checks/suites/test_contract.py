"""A user's contract: what it finds, and the sentences when it cannot be read."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from checks.core.errors import ContractError
from checks.core.tables import Findings, guard
from checks.suites.contract import Contract, judge_table, load_contract, run_contract

MODEL = """
import pandera.polars as pa
import polars as pl

class Drinks(pa.DataFrameModel):
    size: int = pa.Field(ge=0, isin=[1, 2, 3])
    name: str = pa.Field(nullable=True, str_length={"min_value": 1, "max_value": 4},
                         str_matches="^[a-z]+$")
    share: float = pa.Field(in_range={"min_value": 0, "max_value": 1}, unique=True)
"""
CUSTOM = """
    @pa.check("size")
    def odd(cls, data):
        return data.lazyframe.select(pl.col(data.key) % 2 == 1)

    @pa.dataframe_check
    def more(cls, data):
        return data.lazyframe.select(pl.col("size") > pl.col("share"))
"""


class Drinks(pa.DataFrameModel):
    """The declared part of the contract that the tests write to a file."""

    size: int = pa.Field(ge=0, isin=[1, 2, 3])
    name: str = pa.Field(
        nullable=True, str_length={"min_value": 1, "max_value": 4}, str_matches="^[a-z]+$"
    )
    share: float = pa.Field(in_range={"min_value": 0, "max_value": 1}, unique=True)


def keyed(table: pl.DataFrame) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """The table with a source's keys, and ids that are the row numbers."""
    scan = table.select(pl.lit("t").alias("uri"), pl.int_range(pl.len()).alias("row"), pl.all())
    return scan.lazy(), scan.select("uri", "row", sample_id=pl.col("row").cast(pl.String))


def cells(found: pl.DataFrame) -> set[tuple[str, str, str | None]]:
    """Row, rule and column of each finding."""
    rule = pl.col("check_id").str.strip_prefix("contract:")
    return set(found.select("sample_id", rule, "column").iter_rows())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A contract with declared and custom checks, in a file."""
    path = tmp_path / "drinks.py"
    path.write_text(MODEL + CUSTOM)
    return path


TEXTS = pl.DataFrame({"size": ["1", "2", "7", "x"], "name": ["abcde", "A", None, "a"],
                      "share": [".5", ".5", "2", ""]})  # fmt: skip


def test_declared_and_custom_rules(model: Path) -> None:
    """Each broken rule of a text table is a finding at its cell, custom checks included."""
    scan, ids = keyed(TEXTS)
    found = guard(Findings, run_contract(scan, ids, load_contract(str(model))), "findings")
    assert cells(found) == {
        ("0", "str_length", "name"), ("0", "unique", "share"), ("1", "unique", "share"),
        ("1", "str_matches", "name"), ("1", "odd", "size"), ("2", "isin", "size"),
        ("2", "in_range", "share"), ("3", "dtype", "size"), ("3", "not_null", "share"),
    }  # fmt: skip


def test_yaml_says_the_same(model: Path, tmp_path: Path) -> None:
    """The YAML form of a contract finds what its Python form finds, but for custom checks."""
    python = load_contract(f"{model}:Drinks")
    path = tmp_path / "drinks.yaml"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandera says that it leaves out custom checks
        path.write_text(python.schema.to_yaml())
    scan, ids = keyed(TEXTS)
    declared = {c for c in cells(run_contract(scan, ids, python)) if c[1] not in ("odd", "more")}
    assert cells(run_contract(scan, ids, load_contract(str(path)))) == declared


def test_batches_and_purity(model: Path) -> None:
    """Batches of one row find the same, and the model still validates as before."""
    contract = load_contract(str(model))
    scan, ids = keyed(TEXTS)
    whole = run_contract(scan, ids, contract)
    assert whole.equals(run_contract(scan, ids, contract, batch_rows=1))
    assert contract.schema.drop_invalid_rows is False


def test_text_is_judged_as_its_typed_twin(tmp_path: Path) -> None:
    """A table as text breaks a contract where the table in its own types does."""
    day, noon = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 12, 0, 0, 5)  # noqa: DTZ001
    typed = pl.DataFrame({
        "n": [1, None, -1, 7], "x": [0.5, float("nan"), float("inf"), None],
        "flag": [True, False, None, True], "day": [day, None, dt.date(1999, 1, 1), day],
        "at": [noon, None, noon, dt.datetime(1999, 1, 1)],  # noqa: DTZ001
        "hour": [dt.time(1), dt.time(23), None, dt.time(0, 0, 1)],
    })  # fmt: skip
    columns = {
        "n": pa.Column(int, pa.Check.ge(0), unique=True), "x": pa.Column(float, pa.Check.le(1)),
        "flag": pa.Column(bool, pa.Check.eq(value=True)),
        "day": pa.Column(pl.Date, pa.Check.ge(dt.date(2000, 1, 1)), unique=True),
        "at": pa.Column(pl.Datetime("us"), pa.Check.eq(noon)),
        "hour": pa.Column(pl.Time, pa.Check.le(dt.time(12))),
    }  # fmt: skip
    contract = Contract("c", pa.DataFrameSchema(columns))
    typed.write_csv(tmp_path / "t.csv")
    text = pl.scan_csv(tmp_path / "t.csv", infer_schema=False)
    found = judge_table(typed.lazy(), contract).list_reasons()
    assert found.height == 16
    assert set(found.rows()) == set(judge_table(text, contract).list_reasons().rows())


def test_times_in_text() -> None:
    """ISO 8601 in its usual spellings is a time, whatever stood before it, and all else is none."""
    told = {
        pl.Datetime("us"): ["2020-01-02T03:04:05.6", "2020-01-02 03:04", " 2020-01-02", "2.1.2020"],
        pl.Datetime("ms", "UTC"): ["2020-01-02T03:04:05Z", "2020-01-02 03:04+02:00", None, "now"],
        pl.Date: ["2020-01-02", " 2020-01-02 ", None, "2020-13-01"],
        pl.Time: ["03:04", "03:04:05.6", "", "25:00"],
    }
    for dtype, texts in told.items():
        schema = pa.DataFrameSchema({"at": pa.Column(dtype, nullable=True)})
        verdict = judge_table(pl.LazyFrame({"at": texts}), Contract("c", schema))
        assert verdict.list_reasons().rows() == [(3, "contract:dtype", "at")]


def test_unique_over_columns() -> None:
    """A group of columns that must be unique together is judged over the whole table."""
    schema = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int)}, unique=["a", "b"])
    scan, ids = keyed(pl.DataFrame({"a": [1, 1, 1], "b": [1, 2, 1]}))
    found = run_contract(scan, ids, Contract("c", schema), batch_rows=1)
    assert found["sample_id"].to_list() == ["0", "2"]


def test_a_pattern_names_columns() -> None:
    """A column whose name is a pattern is a rule for each column that matches, with its name."""
    columns = {"size_.": pa.Column(int, pa.Check.ge(0), regex=True)}
    scan, ids = keyed(pl.DataFrame({"size_a": [-1, 1], "other": [-1, -1], "size_b": [1, -1]}))
    found = run_contract(scan, ids, Contract("c", pa.DataFrameSchema(columns)))
    assert found.select("sample_id", "column").rows() == [("0", "size_a"), ("1", "size_b")]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.py", "import nothing_of_this_name", "does not load"),
        ("b.py", "x = 1", "holds 0 pandera contracts"),
        ("c.yaml", "columns: [1, 2", "cannot be read as YAML"),
        ("d.yaml", "rows: 3", "no `columns` mapping"),
        ("e.yaml", "columns: {a: {dtype: Int99}}", "no valid pandera contract"),
    ],
)
def test_broken_contracts(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    """A contract that cannot be read is one sentence with its place."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ContractError, match=sentence) as told:
        load_contract(str(path))
    assert str(path) in str(told.value)


@pytest.mark.parametrize("name", ["gone.py", "gone.yaml", "no_such_module:Model"])
def test_absent_contracts(name: str) -> None:
    """A contract that is not there is a ContractError that names it."""
    with pytest.raises(ContractError, match=r"gone|no_such_module"):
        load_contract(name)


def test_wrong_class_has_a_hint(model: Path) -> None:
    """A misspelt class is answered with the nearest one."""
    with pytest.raises(ContractError, match="Did you mean 'Drinks'"):
        load_contract(f"{model}:Drink")


def test_missing_column_has_a_hint() -> None:
    """A required column that the table lacks is a sentence with the nearest name."""
    scan, ids = keyed(pl.DataFrame({"sizes": [1], "name": ["a"], "share": [0.1]}))
    with pytest.raises(ContractError, match="Did you mean 'sizes'"):
        run_contract(scan, ids, Contract("c", Drinks.to_schema()))


def test_raising_check_is_an_engine_fault() -> None:
    """A custom check that raises is a ContractError, not bad data."""

    def breaks(data: Any) -> Any:
        raise ValueError(data.key)

    schema = pa.DataFrameSchema({"a": pa.Column(int, checks=pa.Check(breaks))})
    scan, ids = keyed(pl.DataFrame({"a": [1]}))
    with pytest.raises(ContractError, match="its check breaks raised ValueError: a"):
        run_contract(scan, ids, Contract("c", schema))
