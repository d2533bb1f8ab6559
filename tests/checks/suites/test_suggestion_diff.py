"""What a new suggestion changes in the contract in use, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from checks.suites.contract import load_contract
from checks.suites.suggestion import look_over, suggest
from checks.suites.suggestion_diff import Change, compare_contracts
from checks.suites.suggestion_python import write_python
from checks.suites.suggestion_schema import write_lookups
from checks.suites.suggestion_yaml import write_yaml

ROWS = 6_000
TOWNS = [f"{chr(97 + i % 26)}{chr(97 + i // 26 % 7)} town" for i in range(ROWS)]


def orders(rows: int = ROWS) -> pl.DataFrame:
    """Orders with every sort of rule: numbers, lists, a lookup, a gap, a pattern, a joined code."""
    number = pl.int_range(rows, eager=True)
    left, right = ["al", "ak", "ca", "ny", "tx"], ["x-1", "x-2", "y-7", "z-3"]
    return pl.DataFrame({
        "id": [f"K{i * 7919 % 99_991:05}" for i in range(rows)],
        "size": np.random.default_rng(7).integers(1, 41, ROWS)[:rows],
        "weight": (number * 37 % 1000) / 7,
        "state": ["on" if i % 3 else "off" for i in range(rows)],
        "end": [None if i % 3 else i for i in range(rows)],
        "town": TOWNS[:rows],
        "part": [left[i % 5] for i in range(rows)],
        "kind": [right[i // 5 % 4] for i in range(rows)],
        "code": [f"{left[i % 5]}_{right[i // 5 % 4]}" for i in range(rows)],
    })  # fmt: skip


def changes(in_use: Path, table: pl.DataFrame) -> dict[tuple[str, ...], Change]:
    """The changes that a suggestion from `table` makes, by kind, rule and columns."""
    suggestion = suggest(look_over(table.lazy()))
    found = compare_contracts(load_contract(str(in_use)), suggestion, table.lazy())
    return {(one.kind, one.rule, *one.columns): one for one in found}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of contract.py and contract.yaml, suggested from the orders."""
    folder = tmp_path_factory.mktemp("diff")
    suggestion = suggest(look_over(orders().lazy()))
    write_lookups(suggestion.lookups, folder)
    (folder / "contract.py").write_text(write_python(suggestion, "orders"))
    (folder / "contract.yaml").write_text(write_yaml(suggestion, "orders"))
    return folder


def edit(written: Path, old: str, new: str) -> Path:
    """A copy of contract.py in which `old`, which stands there, is `new`."""
    text = (written / "contract.py").read_text()
    assert old in text
    path = written / "edited.py"
    path.write_text(text.replace(old, new))
    return path


def test_the_same_data_change_nothing(written: Path) -> None:
    """A suggestion compared with its own file has no difference, but for what YAML cannot say."""
    assert changes(written / "contract.py", orders()) == {}
    lost = changes(written / "contract.yaml", orders())
    assert {key[:2] for key in lost} == {("new", "part_kind_joins_code")} or all(
        one.rule.endswith("joins") for one in lost.values()
    )


def test_half_of_the_data_changes_nothing(written: Path) -> None:
    """Fewer rows need other tolerances and show fewer values: no reason to change a contract."""
    assert changes(written / "contract.py", orders(ROWS // 2)) == {}


def test_values_that_were_not_known(written: Path) -> None:
    """A value that the list in use lacks is named, with the rows that break the rule in use."""
    path = edit(written, '"off", "on"', '"on"')
    change = changes(path, orders())["changed", "isin", "state"]
    assert change.why.startswith("+ 'off'; 2,000 of 6,000 rows break the one in use")


def test_a_lookup_that_has_grown(written: Path) -> None:
    """A table beside the contract that lacks a value is a change of its rule."""
    table = orders().with_columns(town=pl.Series(["new town"] * 50 + TOWNS[50:]))
    change = changes(written / "contract.py", table)["changed", "foreign_key", "town"]
    assert "+ new town" in change.why
    assert "50 of 6,000 rows" in change.why


def test_rules_of_a_person_are_told_and_counted(written: Path) -> None:
    """A rule that nobody would suggest is gone from the suggestion, with what the rows say."""
    path = edit(written, "id: str = pa.Field(", "id: str = pa.Field(\n        str_startswith='Z',")
    change = changes(path, orders())["gone", "str_startswith", "id"]
    assert (change.in_use, change.suggested) == ("Z", None)
    assert change.why == "6,000 of 6,000 rows break the one in use"


def test_tolerances_that_do_not_do(written: Path) -> None:
    """A share that clean batches break, or far wider than they need, is changed."""
    table = orders().with_columns(size=pl.when(pl.int_range(ROWS) % 50 != 7).then("size"))
    tight = changes(written / "contract.py", table)["changed", "not_null", "size"]
    assert "clean batches break it" in tight.why
    path = edit(written, "metadata=allow(ge=", "metadata=allow(not_null=0.2, ge=")
    wide = changes(path, orders())
    assert any("wider than it need be" in one.why for one in wide.values())


def test_another_type(written: Path) -> None:
    """A column that is stored otherwise now is a change of its type."""
    table = orders().with_columns(pl.col("size").cast(pl.Float64))
    assert (
        changes(written / "contract.py", table)["changed", "dtype", "size"].suggested == "Float64"
    )


def test_a_contract_of_another_table(written: Path) -> None:
    """Where the contract in use does not suit the table, its rules are told, uncounted."""
    told = changes(written / "contract.py", orders().drop("weight"))
    assert told["gone", "dtype", "weight"].why == "not counted"
