"""A suggestion as files: they load, keep every name and value, and pass on their own data."""

from __future__ import annotations

import ast
import datetime as dt
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.mixed_table import make_part
from checks.suites.contract import judge_table, load_contract
from checks.suites.contract_file import Contract
from checks.suites.suggestion import look_over, suggest
from checks.suites.suggestion_python import write_python
from checks.suites.suggestion_rule import Suggestion
from checks.suites.suggestion_schema import CUSTOM, write_lookups
from checks.suites.suggestion_yaml import write_yaml

WRITERS: dict[str, Callable[[Suggestion, str], str]] = {"py": write_python, "yaml": write_yaml}
HOSTILE = [
    "rows", "top", "value", "count", "text", "0", "usual", "class", "str", "pa", "validate",
    "Config", "__init__", "_x", "a b", "a_b", "1st", "größe", "é", "no", "null", "a: b", "- x",
    "[x]", "&a", "*a", "?", " ", "\t", "]", "#no", "{x}", "%s", 'a"b', "it's", "back\\slash",
    "two\nlines", '"""', "'''", "\u2028", "\u202e", "\\", "\\'", '\\"', "x\\", "); import os; (",
    '"""\nimport os\n"""',
]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=8))
# names that a table cannot be profiled or judged with: patterns of names, our own marks, a NUL
NAMES = TEXTS.filter(
    lambda name: name[:1] != "^" and name not in ("*", "#") and not set("\0\x1f") & set(name)
)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "texts": TEXTS, "words": st.sampled_from(HOSTILE[:6]),
    "whole": st.integers(-(2**62), 2**62), "small": st.integers(0, 12),
    "fractions": st.floats(allow_nan=True, allow_infinity=True),
    "days": st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)), "truth": st.booleans(),
    "numbers as text": st.integers(-99, 99).map(str),
    "days as text": st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)).map(str),
    "codes": st.from_regex(r"\A[A-Z]{2}-[0-9]{4}\Z"), "nothing": st.none(),
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    """A table of 1 to 4 columns of hostile names, 0 to 120 rows: few values, drawn again."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rows = draw(st.sampled_from([0, 1, 60, 120]))
    columns = []
    for name in names:
        cells = CELLS[draw(st.sampled_from(sorted(CELLS)))]
        few = draw(st.lists(st.one_of(cells, st.none()), min_size=1, max_size=9))
        picks = draw(st.lists(st.integers(0, len(few) - 1), min_size=rows, max_size=rows))
        columns.append(pl.Series(name, [few[i] for i in picks], strict=False))
    return pl.DataFrame(columns)


def write(suggestion: Suggestion, folder: Path, form: str) -> Contract:
    """Write a suggestion as a user has it, and read it back."""
    path = folder / f"contract.{form}"
    path.write_text(WRITERS[form](suggestion, 'a "source" \\ of\nrows'), encoding="utf-8")
    write_lookups(suggestion.lookups, folder)
    return load_contract(str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every example overwrites."""
    return tmp_path_factory.mktemp("suggested")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=tables(), form=st.sampled_from(sorted(WRITERS)))
def test_a_suggestion_loads_and_passes_on_its_own_data(
    table: pl.DataFrame, form: str, folder: Path
) -> None:
    """Whatever a table holds: every column is named, no rule is lost, and none fails."""
    suggestion = suggest(look_over(table.lazy()))
    contract = write(suggestion, folder, form)
    assert list(contract.schema.columns) == table.columns
    verdict = judge_table(table.lazy(), contract)
    assert [one for one in verdict.counts if not one.passed] == []
    expected = [r for r in suggestion.rules if form == "py" or r.proposal.word not in CUSTOM]
    assert len(verdict.counts) == len(expected)
    # a foreign key and a fixed value are counted before the cells are read in their types
    told = sorted(one.failures for one in verdict.counts)
    assert all(a <= b for a, b in zip(told, sorted(r.failures for r in expected), strict=True))


@settings(max_examples=40, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=5, unique=True), value=TEXTS)
def test_no_name_and_no_value_becomes_code(names: list[str], value: str) -> None:
    """The module has the statements that it always has, whatever the names and values are."""
    table = pl.DataFrame({name: [value] * 60 for name in names})
    tree = ast.parse(write_python(suggest(look_over(table.lazy())), value))
    kinds = {type(node) for node in tree.body}
    assert kinds <= {ast.Expr, ast.Import, ast.Assign, ast.FunctionDef, ast.ClassDef}
    imports = [alias.name for node in tree.body if isinstance(node, ast.Import)
               for alias in node.names]  # fmt: skip
    assert imports == ["datetime", "pandera.polars", "polars"]
    (model,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    fields = [node for node in model.body if isinstance(node, ast.AnnAssign)]
    assert len(fields) == len(names)


def test_what_was_counted_is_what_is_judged(folder: Path) -> None:
    """On the seeded table of 25 columns each rule breaks in as many rows as its evidence says."""
    table = make_part(7, 0, 8_000)
    suggestion = suggest(look_over(table.lazy()))
    verdict = judge_table(table.lazy(), write(suggestion, folder, "py"))
    told = Counter((one.column, one.failures) for one in verdict.counts)
    assert told == Counter((r.proposal.columns[0], r.failures) for r in suggestion.rules)
    assert len(suggestion.rules) > 60
    assert verdict.scans == 2
