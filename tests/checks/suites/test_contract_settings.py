"""What a contract says beyond pandera: tolerance, severity, conditional and cross-table rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.errors import ContractError
from checks.core.tables import Findings, guard
from checks.suites.contract import Contract, judge_contract, judge_table, load_contract
from checks.suites.contract_verdict import RuleCount

C = pa.Check
MODEL = """
from __future__ import annotations

import pandera.polars as pa

class Trips(pa.DataFrameModel):
    state: str = pa.Field(
        isin=["flown", "off"], nullable=True, raise_warning=True,
        metadata={"gristmill": {"isin": {"tolerance": 0.25}}},
    )
    delay: float = pa.Field(
        ge=0, metadata={"gristmill": {"tolerance": 0.5, "severity": "info", "ge": {"tolerance": 0}}}
    )
    carrier: str
    tail: str = pa.Field(nullable=True)

    class Config:
        unique = ["carrier", "tail"]
        metadata = {"gristmill": {
            "unique": {"severity": "warning"},
            "implies": [
                {"if": {"column": "state", "eq": "off"},
                 "then": {"column": "delay", "is_null": True}},
                {"name": "late_is_told", "severity": "info",
                 "if": [{"column": "delay", "gt": 10, "le": 99},
                        {"column": "tail", "is_null": True}],
                 "then": {"column": "carrier", "isin": ["AA"]}},
            ],
            "foreign_keys": [
                {"column": "carrier", "table": "carriers.csv", "key": "code", "tolerance": 0.1},
            ],
        }}
"""
YAML = """
columns:
  state:
    dtype: String
    nullable: true
    isin: {value: [flown, 'off'], raise_warning: true}
    metadata: {gristmill: {isin: {tolerance: 0.25}}}
  delay:
    dtype: Float64
    greater_than_or_equal_to: 0
    metadata: {gristmill: {tolerance: 0.5, severity: info, ge: {tolerance: 0}}}
  carrier: {dtype: String}
  tail: {dtype: String, nullable: true}
unique: [carrier, tail]
metadata:
  gristmill:
    unique: {severity: warning}
    implies:
      - if: {column: state, eq: 'off'}
        then: {column: delay, is_null: true}
      - name: late_is_told
        severity: info
        if: [{column: delay, gt: 10, le: 99}, {column: tail, is_null: true}]
        then: {column: carrier, isin: [AA]}
    foreign_keys:
      - {column: carrier, table: carriers.csv, key: code, tolerance: 0.1}
"""
TRIPS = pl.DataFrame(
    {
        "state": ["flown", "off", "off", "lost"],
        "delay": [12.0, None, 3.0, -1.0],
        "carrier": ["UA", "AA", "ZZ", "AA"],
        "tail": [None, "N1", "N2", "N1"],
    }
)


@pytest.fixture(params=["python", "yaml"])
def trips(request: pytest.FixtureRequest, tmp_path: Path) -> Contract:
    """One contract in each of its forms, and the table that it refers to."""
    (tmp_path / "carriers.csv").write_text("code,name\nAA,American\nUA,United\nUA,again\n")
    path = tmp_path / ("trips.py" if request.param == "python" else "trips.yaml")
    path.write_text(MODEL if request.param == "python" else YAML)
    return load_contract(str(path))


def judge(table: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Findings with row numbers as ids, and the facts."""
    whole = table.select(pl.lit("t").alias("uri"), pl.int_range(pl.len()).alias("row"), pl.all())
    ids = whole.select("uri", "row", sample_id=pl.col("row").cast(pl.String))
    judged = judge_contract(whole.lazy(), ids, contract)
    return guard(Findings, judged.findings, "findings"), dict(judged.facts)


def test_all_of_it_in_both_forms(trips: Contract) -> None:
    """Each rule finds its rows with its severity, and one within its tolerance finds none."""
    found, facts = judge(TRIPS, trips)
    rule = pl.col("check_id").str.strip_prefix("contract:")
    assert set(found.select("sample_id", rule, "column", "severity").rows()) == {
        ("3", "greater_than_or_equal_to", "delay", "info"),
        ("1", "unique", "carrier", "warning"), ("3", "unique", "carrier", "warning"),
        ("2", "implies", "delay", "error"), ("0", "late_is_told", "carrier", "info"),
        ("2", "foreign_key", "carrier", "error"),
    }  # fmt: skip
    assert facts["contract:isin"]["rules"]["state"] == {
        "column": "state", "severity": "warning", "failures": 1, "rows": 4, "fraction": 0.25,
        "tolerance": 0.25, "passed": True,
    }  # fmt: skip
    assert facts["contract:not_null"]["rules"]["delay"]["failures"] == 1
    assert facts["contract:foreign_key"]["rules"]["carrier"]["passed"] is False
    told = dict(found.select("check_id", "evidence").rows())
    assert told["contract:implies"] == "breaks delay is_null, where state eq off"
    assert told["contract:foreign_key"] == (
        "stands nowhere in code of carriers.csv, in more than 0.1 of the rows"
    )


@given(st.integers(0, 20), st.integers(1, 20), st.floats(0, 1) | st.sampled_from([0.1, 0.29]))
def test_tolerance(failures: int, rows: int, tolerance: float) -> None:
    """A rule passes as long as the share of rows that break it is not above the tolerance."""
    table = pl.LazyFrame({"n": [-1] * min(failures, rows) + [1] * max(0, rows - failures)})
    column = pa.Column(int, C.ge(0), metadata={"gristmill": {"tolerance": tolerance}})
    counts = judge_table(table, Contract("c", pa.DataFrameSchema({"n": column}))).counts
    share = min(failures, rows) / rows
    assert counts[1] == RuleCount(
        "contract:greater_than_or_equal_to", "n", "error", min(failures, rows), rows, share,
        tolerance, passed=share <= tolerance,
    )  # fmt: skip


def test_nan_is_not_null() -> None:
    """A column that must not be empty tells nulls, NaN and values out of range apart."""
    table = pl.DataFrame({"n": [None, float("nan"), float("inf"), 0.5]})
    column = pa.Column(float, C.ge(0), nullable=False)
    found, _ = judge(table, Contract("c", pa.DataFrameSchema({"n": column})))
    assert found.select("sample_id", "check_id", "dimension").rows() == [
        ("0", "contract:not_null", "missing"), ("1", "contract:not_nan", "missing"),
    ]  # fmt: skip


def test_conditions_and_nulls() -> None:
    """A null meets no condition but `is_null`, and breaks none but `not_null`."""
    implies = [
        {"if": {"column": "a", "ge": 1}, "then": {"column": "b", "ge": 1}},
        {
            "if": {"column": "a", "is_null": True},
            "then": {"column": "b", "not_null": True, "ne": 5},
        },
    ]
    metadata = {"gristmill": {"implies": implies}}
    table = pl.LazyFrame({"a": [None, None, None, 1, 1, 1], "b": [None, 5, 0, None, 0, 1]})
    verdict = judge_table(table, Contract("c", pa.DataFrameSchema({}, metadata=metadata)))
    assert verdict.list_reasons().sort("row").rows() == [
        (0, "contract:implies_2", "b"), (1, "contract:implies_2", "b"),
        (4, "contract:implies", "b"),
    ]  # fmt: skip


def test_keys_of_two_columns_and_types(tmp_path: Path) -> None:
    """A key of two columns holds both together, in the types of the cells; a null has no key."""
    pl.DataFrame({"x": ["1", "2", "no"], "y": ["a", "b", "c"]}).write_csv(tmp_path / "k.csv")
    key = {"column": ["n", "t"], "table": "k.csv", "key": ["x", "y"]}
    schema = pa.DataFrameSchema({}, metadata={"gristmill": {"foreign_keys": [key]}})
    table = pl.LazyFrame({"n": [1, 2, 1, None], "t": ["a", "a", None, "a"]})
    verdict = judge_table(table, Contract("c", schema, base=tmp_path))
    assert verdict.list_reasons().rows() == [(1, "contract:foreign_key", "n")]


def test_custom_checks_have_settings() -> None:
    """A check written in Python has a tolerance and a severity like any other."""
    metadata = {"gristmill": {"odd": {"tolerance": 0.5, "severity": "info"}}}
    odd = C(lambda data: data.lazyframe.select(pl.col(data.key) % 2 == 1), name="odd")
    schema = pa.DataFrameSchema({"n": pa.Column(int, odd, metadata=metadata)})
    assert judge(pl.DataFrame({"n": [1, 2]}), Contract("c", schema))[0].is_empty()
    found, _ = judge(pl.DataFrame({"n": [4, 2]}), Contract("c", schema))
    assert found["severity"].unique().to_list() == ["info"]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"tolerence": 0.1}, "Did you mean 'tolerance'"),
        ({"not_nul": {}}, "Did you mean 'not_null'"),
        ({"isin": {}}, "no setting or rule"),
        ({"tolerance": 1.5}, r"no share of the rows \(got 1.5\)"),
        ({"tolerance": True}, "no share of the rows"),
        ({"severity": "eror"}, "Did you mean 'error'"),
        ({"not_null": {"sverity": "info"}}, "Did you mean 'severity'"),
        ({"not_null": 0.1}, "no mapping"),
        ([1], "no mapping"),
    ],
)
def test_wrong_settings_of_a_column(told: Any, sentence: str, tmp_path: Path) -> None:
    """A slip in a column's settings is one sentence with the column, before data is read."""
    path = tmp_path / "c.yaml"
    path.write_text(f"columns: {{n: {{dtype: Int64, metadata: {{gristmill: {told}}}}}}}")
    with pytest.raises(ContractError, match=sentence) as raised:
        load_contract(str(path))
    assert "column 'n'" in str(raised.value)


IF, THEN = {"column": "n", "ge": 1}, {"column": "m", "is_null": True}
KEY = {"column": "n", "table": "gone.csv"}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"implie": []}, "Did you mean 'implies'|Known"),
        ({"implies": {"if": IF}}, "implies: no list"),
        ({"implies": [{"if": IF}]}, "has no 'then'"),
        ({"implies": [{"if": IF, "then": THEN, "els": 1}]}, "no such key"),
        ({"implies": [{"if": [], "then": THEN}]}, "no condition"),
        ({"implies": [{"if": {"column": "n"}, "then": THEN}]}, "needs a column and a rule"),
        ({"implies": [{"if": IF, "then": THEN, "name": "two words"}]}, "one word"),
        ({"implies": [{"if": IF, "then": {"column": "m", "isi": [1]}}]}, "Did you mean 'isin'"),
        ({"implies": [{"if": IF, "then": {"column": "m", "is_null": False}}]}, "It is true"),
        ({"implies": [{"if": IF, "then": {"column": "m", "isin": "AA"}}]}, "a list of values"),
        ({"implies": [{"if": IF, "then": {"column": "mm", "is_null": True}}]}, "Did you mean 'm'"),
        ({"implies": [{"if": {"column": "n", "in_range": {"min": 1}}, "then": THEN}]},
         "Did you mean 'min_value'"),
        ({"implies": [{"if": {"column": "n", "in_range": 1}, "then": THEN}]}, "cannot be read so"),
        ({"implies": [{"if": {"column": "n", "str_matches": "a"}, "then": THEN}]},
         "cannot be judged"),
        ({"foreign_keys": [{"column": "n"}]}, "has no 'table'"),
        ({"foreign_keys": [{**KEY, "key": ["a", "b"]}]}, "differ in length"),
        ({"foreign_keys": [{**KEY, "column": 1}]}, "no list"),
        ({"foreign_keys": [{**KEY, "table": 1}]}, "no path"),
        ({"foreign_keys": [KEY]}, r"gone\.csv: the other table cannot be read"),
        ({"foreign_keys": [{**KEY, "table": "t.txt"}]}, r"\.parquet, \.csv or \.tsv"),
        ({"foreign_keys": [{**KEY, "table": "there.csv"}]}, "Did you mean 'nn'"),
        ({"foreign_keys": [{**KEY, "column": "nm", "tolerance": 2}]}, "no share"),
    ],
)  # fmt: skip
def test_wrong_rules_of_the_table(told: Any, sentence: str, tmp_path: Path) -> None:
    """A slip in a conditional or cross-table rule is one sentence with what is allowed."""
    (tmp_path / "there.csv").write_text("nn\n1\n")
    contract = Contract("c", pa.DataFrameSchema({}, metadata={"gristmill": told}), base=tmp_path)
    with pytest.raises(ContractError, match=sentence):
        judge_table(pl.LazyFrame({"n": [1], "m": [2]}), contract)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (pa.Column(None, C.str_matches("(?=a)b")), "str_matches of 'n' cannot be judged.*look"),
        (pa.Column(int, C.isin(["a"])), "isin of 'n' cannot be judged"),
        (pa.Column(int, C.str_length(1)), "The cells are Int64"),
    ],
)
def test_rules_that_do_not_suit_their_column(column: pa.Column, sentence: str) -> None:
    """A rule that cannot be judged on its column is refused by name, before data is read."""
    contract = Contract("c", pa.DataFrameSchema({"n": column}))
    with pytest.raises(ContractError, match=sentence):
        judge_table(pl.LazyFrame({"n": ["1"]}), contract)


def test_strict_contracts() -> None:
    """A strict contract refuses a table with a further column, by name."""
    contract = Contract("c", pa.DataFrameSchema({"n": pa.Column(int)}, strict=True))
    with pytest.raises(ContractError, match=r"strict.*got 'nn'.*Did you mean 'n'"):
        judge_table(pl.LazyFrame({"n": [1], "nn": [2]}), contract)


def test_a_config_may_say_nothing_of_metadata(tmp_path: Path) -> None:
    """A model whose Config sets something else, or that has none, is a contract."""
    for config in ("    class Config:\n        strict = True\n", ""):
        (tmp_path / "c.py").write_text(
            f"import pandera.polars as pa\nclass M(pa.DataFrameModel):\n    a: int\n{config}"
        )
        assert load_contract(str(tmp_path / "c.py")).metadata == {}
