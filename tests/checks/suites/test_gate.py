import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import polars as pl
import pytest

from checks.core.errors import CheckError, ContractError, UnknownNameError
from checks.suites.gate import GateOutcome, run_gate
from checks.suites.gate_rules import GateRules
from checks.suites.suite_file import import_gx, read_suite, write_suite

HOSTILE = "train: <b>d$og</b> {{x}} <script>alert(1)</script>"


def make_table(**whole: float | None) -> pl.DataFrame:
    """A metric table of a set and two batches; keywords change the row of the whole set."""
    row = {"row_count": 100, "class_count": 2, "unreadable_frac": 0.02, "leak_rate": 0.0}
    row |= {"missing_label_frac": 0.0, "city__null_frac": 0.1} | whole
    values = {name: [value, value, value] for name, value in row.items()}
    table = pl.DataFrame(values, schema_overrides=dict.fromkeys(row, pl.Float64))
    batches = pl.DataFrame({"batch": ["all", "test: cat", HOSTILE], "split": ["all"] * 3})
    return pl.concat([batches, table], how="horizontal")


def broken(outcome: GateOutcome) -> dict[str, str]:
    """Severity of every rule that does not hold, by its name."""
    return {one.rule: one.severity for one in outcome.results if not one.passed}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look-up of a name fails the test."""

    def refuse(host: object, *_: object, **__: object) -> NoReturn:
        pytest.fail(f"looked up {host!r}")

    monkeypatch.setattr("socket.getaddrinfo", refuse)


def test_a_sound_set_passes_and_leaves_its_records(tmp_path: Path):
    """All default rules hold, and the run folder gets the outcome, the suite and the docs."""
    outcome = run_gate(make_table(), {}, tmp_path)
    assert (outcome.passed, broken(outcome), outcome.engine_errors) == (True, {}, ())
    assert json.loads((tmp_path / "gate.json").read_text())["passed"] is True
    stored = json.loads((tmp_path / "gate_suite.json").read_text())["expectations"]
    assert len(stored) == len(outcome.results) == len(list(GateRules().limits())) - 1  # drift
    assert "passed" in (tmp_path / "data_docs" / "index.html").read_text()
    assert not list(tmp_path.rglob(".*"))


def test_each_default_rule_has_its_severity(tmp_path: Path):
    """A set that breaks every default rule is told so, and only the leak is a mere warning."""
    table = make_table(
        row_count=49, class_count=1, unreadable_frac=0.11, missing_label_frac=0.21, leak_rate=0.06
    )
    outcome = run_gate(table, {}, tmp_path)
    assert not outcome.passed
    assert {rule for rule, severity in broken(outcome).items() if severity == "error"} == {
        "rows_min", "classes_min", "unreadable_frac_max", "missing_label_frac_max",
    }  # fmt: skip
    assert "leak_rate_max" in {one.rule for one in outcome.warnings}
    assert outcome.failures[0].sentence == (
        "classes_min: class_count must be at least 2, but is 1 in the whole set"
    )


def test_a_rule_about_labels_is_not_judged_without_any(tmp_path: Path):
    """In a set without labels rules about classes pass as not judged, and never as holding."""
    outcome = run_gate(make_table(class_count=None, missing_label_frac=None), {}, tmp_path)
    told = {one.rule: (one.passed, one.judged, one.sentence) for one in outcome.results}
    rule = "classes_min: class_count must be at least 2"
    assert told["classes_min"] == (True, False, f"{rule}: not judged, there are no labels")
    assert told["rows_min"] == (True, True, "rows_min: row_count must be at least 50: holds")
    assert {name for name, (_, judged, _) in told.items() if not judged} == {
        "classes_min", "missing_label_frac_max", "missing_label_frac_max:each",
    }  # fmt: skip


def test_a_bad_batch_is_named_and_warns(tmp_path: Path):
    """One batch above a limit is a warning with its very name, however hostile that is."""
    worse = pl.when(pl.col("batch") == HOSTILE).then(0.5).otherwise("unreadable_frac")
    table = make_table().with_columns(unreadable_frac=worse)
    outcome = run_gate(table, {}, tmp_path)
    assert outcome.passed
    assert [(one.rule, one.batches) for one in outcome.warnings] == [
        ("unreadable_frac_max:each", {HOSTILE: 0.5})
    ]
    for page in (tmp_path / "data_docs").rglob("*.html"):
        assert "<script" not in page.read_text()
        assert "<b>d" not in page.read_text()


def test_rules_can_be_changed_turned_off_and_added(tmp_path: Path):
    """`[gate]` moves bounds, severities and columns, and what is null is never judged."""
    rules: dict[str, Any] = {
        "rows_min": 1000,
        "warn_only": ["rows_min"],
        "off": ["classes_min"],
        "columns": {"city__null_frac": {"max": 0.05, "each_batch": True, "mostly": 0.5}},
    }
    outcome = run_gate(make_table(class_count=1, missing_label_frac=None), rules, tmp_path)
    assert broken(outcome) == {"rows_min": "warning", "city__null_frac": "error"}


@pytest.mark.parametrize(
    ("rules", "error", "told"),
    [
        ({"row_min": 5}, UnknownNameError, "Did you mean 'rows_min'"),
        ({"off": ["clases_min"]}, UnknownNameError, "Did you mean 'classes_min'"),
        ({"rows_min": "many"}, CheckError, "no number"),
        ({"columns": {"city_null": {"max": 1}}}, UnknownNameError, "'city__null_frac'"),
        ({"columns": {"leak_rate": {"maximum": 1}}}, UnknownNameError, "Did you mean 'max'"),
        ({"columns": {"leak_rate": {}}}, CheckError, "neither min nor max"),
        ({"columns": {"leak_rate": {"max": 1, "mostly": 2}}}, CheckError, "no fraction"),
        ({"columns": {"leak_rate": {"max": 1, "severity": "eror"}}}, UnknownNameError, "'error'"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(
    rules: dict[str, Any], error: type[Exception], told: str, tmp_path: Path
):
    """A slip in `[gate]` is one sentence with the nearest name, before anything is written."""
    with pytest.raises(error, match=told):
        run_gate(make_table(), rules, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_rule_that_raises_is_a_fault_and_not_bad_data(tmp_path: Path):
    """A suite over a column that is not there closes the gate as an engine error by name."""
    suite = tmp_path / "mine.json"
    names = ("expect_column_max_to_be_between", "expect_column_values_to_not_be_null")
    write_suite(
        suite,
        [
            {"type": names[0], "kwargs": {"column": "row_count", "max_value": 10.0}},
            {"type": names[1], "kwargs": {"column": "gone"}, "severity": "warning"},
        ],
    )
    outcome = run_gate(make_table(), {}, tmp_path / "run", suite)
    assert not outcome.passed
    assert broken(outcome) == {f"{names[0]}:row_count": "error"}
    assert [one.rule for one in outcome.engine_errors] == [f"{names[1]}:gone"]
    assert "does not exist" in outcome.engine_errors[0].message
    assert outcome.suite == "mine.json"


def test_a_suite_that_would_lose_rules_is_refused(tmp_path: Path):
    """Unknown expectations, which the engine drops silently when loading, stop the gate."""
    path = tmp_path / "suite.json"
    path.write_text(json.dumps({"expectations": [{"type": "expect_colum_to_exist", "kwargs": {}}]}))
    with pytest.raises(ContractError, match="Did you mean 'expect_column_to_exist'"):
        read_suite(path)
    path.write_text(json.dumps({"expectations": ["rows"]}))
    with pytest.raises(ContractError):
        read_suite(path)


@pytest.mark.parametrize("text", ["{", "[]", '{"expectations": 3}'])
def test_a_file_that_is_no_suite_is_refused(text: str, tmp_path: Path):
    """Broken JSON and other objects are one sentence with the path."""
    path = tmp_path / "suite.json"
    path.write_text(text)
    with pytest.raises(ContractError, match=r"suite\.json"):
        read_suite(path)


def test_a_dropped_class_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If the engine loads fewer expectations than the file holds, reading it raises."""
    path = tmp_path / "suite.json"
    kind = {"type": "expect_column_to_exist", "kwargs": {"column": "batch"}}
    write_suite(path, [kind])
    gx = import_gx()
    monkeypatch.setattr(gx, "ExpectationSuite", lambda **_: SimpleNamespace(expectations=[]))
    with pytest.raises(ContractError, match="lost while loading"):
        read_suite(path)


def test_equal_tables_give_an_equal_gate_file(tmp_path: Path):
    """gate.json holds no clock and no path."""
    files = []
    for name in ("one", "two"):
        run_gate(make_table(), {}, tmp_path / name)
        files.append((tmp_path / name / "gate.json").read_bytes())
    assert files[0] == files[1]


def test_the_engine_is_imported_only_when_it_runs():
    """Importing the gate loads neither Great Expectations nor pandas."""
    code = (
        "import sys, checks.suites.gate, checks.suites.metric_table;"
        "sys.exit(bool({'great_expectations', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
