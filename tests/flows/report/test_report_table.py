"""What the report tells of a table: columns, gaps, ties, wrong cells, repairs, facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from checks.metrics.cell_verdicts import CELL_SCHEMA
from checks.metrics.tabular import profile_table
from flows.app.store import RunFolder
from flows.report import build_report, render_html
from flows.report.column_cards import describe_columns
from flows.report.column_findings import choose_cells, flag_columns
from flows.report.column_words import count_unfit, name_kind, tell_kind, weigh_evidence
from flows.report.facts import describe_facts
from flows.report.related import describe_gaps, describe_ties
from flows.report.repairs import describe_repairs
from flows.report.wrong_cells import SORT_MAX, describe_wrong_cells
from tests.flows.report.pages import assert_harmless

NOTHING: dict[str, Any] = {"flags": {}, "drift": {}, "rules": [], "repaired": {}, "facts": {}}


def profile_of(columns: dict[str, Any], label: str | None = None) -> dict[str, Any]:
    """Return the profile.json of a table with these columns."""
    profile = profile_table(pl.DataFrame(columns, strict=False).lazy(), label=label)
    return {**json.loads(profile.to_json()), "modality": "table"}


def cards_of(columns: dict[str, Any], **told: Any) -> dict[str, Any]:
    """Return the cards of a table with these columns by name, in their order."""
    cards = describe_columns(profile_of(columns), **{**NOTHING, **told})
    return {card["name"]: card for card in cards}


KINDS = {
    "whole": (["1", "2", "n/a"] * 20, "number", "Whole numbers, stored as text."),
    "price": ([1.5, 2.5, 2.75] * 20, "number", "Numbers."),
    "day": (["31/01/2020", "28/02/2020"] * 30, "date",
            "Dates, stored as text, written like 31/01/2013."),
    "ok": ([True, False] * 30, "yes or no", "Yes or no."),
    "town": (["Ulm", "Bonn"] * 30, "category", "Values that repeat from row to row."),
    "id": ([f"k{i}" for i in range(60)], "identifier",
           "A different value in nearly every row: it names rows."),
    "gone": ([None] * 60, "empty", "No row holds a value."),
    "list": ([[1], [2]] * 30, "nested", "Nested or binary values (List), which are only counted."),
    "one": (["x"] * 60, "one value", "The same value wherever there is one."),
}  # fmt: skip


@pytest.mark.parametrize("case", KINDS)
def test_kinds_in_words(case: str) -> None:
    """Every kind of column has a word and a sentence."""
    values, name, says = KINDS[case]
    (column,) = profile_of({"x": values})["columns"]
    assert (name_kind(column), tell_kind(column)) == (name, says)


def test_evidence_of_a_kind() -> None:
    """Of numbers stored as text it is told how many read as one, have a unit, or neither."""
    values = ["1"] * 90 + ["2 kg"] * 6 + ["a lot"] * 4 + [None] * 20
    (column,) = profile_of({"x": values})["columns"]
    told = {part["says"]: (part["count"], part["share"]) for part in weigh_evidence(column)}
    assert told == {"read as a number": (90, 0.9), "have a unit": (6, 0.06), "do not": (4, 0.04)}
    assert count_unfit(column) == 4


def test_kinds_of_nothing_stay_apart() -> None:
    """Null, empty, blank and placeholder are counted apart, and infinity is not missing."""
    text = cards_of({"x": [None, "", " ", "n/a", "x", "y"] * 5})["x"]
    assert text["gaps"] == {"null": 5, "empty": 5, "blank": 5, "placeholder": 5}
    number = cards_of({"x": [None, float("nan"), float("inf"), 1.0, 2.0] * 5})["x"]
    assert number["gaps"] == {"null": 5, "nan": 5, "inf": 5}
    assert (text["missing"], number["missing"]) == (20, 10)


def test_columns_are_worst_first() -> None:
    """An error stands before the largest share of gaps, flags and misfits, then comes the name."""
    columns = {"b": ["x", "y"] * 20, "a": ["x", "y"] * 20, "gappy": [None, "x"] * 20,
               "flagged": ["x", "y"] * 20, "few": [None, *["x", "y"] * 19, "x"]}  # fmt: skip
    flags = {
        "few": [{"severity": "error", "check_id": "e", "dimension": "missing", "count": 1}],
        "flagged": [{"severity": "warning", "check_id": "w", "dimension": "incorrect",
                     "count": 30}],
    }  # fmt: skip
    assert list(cards_of(columns, flags=flags)) == ["few", "flagged", "gappy", "a", "b"]


def test_whole_numbers_keep_their_digits() -> None:
    """A long whole number is told with all its digits, a column of words without a range."""
    cards = cards_of({"phone": [2053258100 + i % 7 for i in range(90)], "word": ["7", "a"] * 45})
    assert cards["phone"]["max"] == 2053258106
    assert (cards["word"]["counts"], cards["word"]["quantiles"]) == ([], {})


def test_examples_name_their_rows(table_run: Any) -> None:
    """A card shows flagged cells with place, text, proposal and reason, and what was suggested."""
    report = build_report(table_run.path, **table_run.options())
    cards = {card["name"]: card for card in report["columns"]["rows"]}
    first = cards["carrier"]["examples"][0]
    assert (first["uri"], first["cell"], first["suggestion"]) == ("flights.csv", "U A", "UA")
    assert table_run.source.content["carrier"][first["row"]] == "U A"
    assert cards["distance"]["rules"][0]["rule"] == "distance >= 0"
    assert cards["air_time"]["repaired"][0]["says"] == "the median of train: 210"


def test_flags_and_examples_of_a_column() -> None:
    """Flags are worst first; every check has its turn among the few cells that are shown."""
    ids = [f"{at:032x}-0" for at in range(30)]
    findings = pl.DataFrame({
        "sample_id": ids, "column": ["a"] * 30, "dimension": ["incorrect"] * 30,
        "check_id": ["many"] * 28 + ["grave", "none"], "evidence": [""] * 30,
        "severity": ["warning"] * 28 + ["error", "info"],
    }).with_columns(
        value=pl.lit(None, pl.Float64), threshold=pl.lit(None, pl.Float64),
        suggestion=pl.lit(None, pl.String),
    )  # fmt: skip
    samples = pl.DataFrame({"sample_id": ids, "uri": "t.csv", "row": range(30)})
    flags = flag_columns(findings)["a"]
    assert [(flag["check_id"], flag["count"]) for flag in flags] == [
        ("grave", 1), ("many", 28), ("none", 1),
    ]  # fmt: skip
    shown = choose_cells(findings, samples, ["a"])["a"]
    assert [one["check_id"] for one in shown] == ["grave", "many", "none", "many", "many"]
    assert choose_cells(findings, samples, ["b"]) == {}


def test_gaps_are_a_square() -> None:
    """Pairs lie on both sides of the diagonal, which holds the columns' own gaps."""
    told = describe_gaps(profile_of({"a": [None, None, "x", "y"] * 10, "gone": [None] * 40,
                                     "b": [None, "x", "y", "z"] * 10}))  # fmt: skip
    assert told is not None
    assert (told["columns"], told["together"]) == (["a", "b"], [[20, 10], [10, 10]])
    assert (told["empty"], told["more"], told["sample"]["whole"]) == (1, 0, True)
    assert told["patterns"][0] == {"missing": [], "rows": 20, "share": 0.5}


def test_rough_shares_are_called_rough() -> None:
    """A sample of few different rows is told to be rough, and the page says it is an estimate."""
    profile = profile_of({"a": [None, "x"] * 20, "b": [1.5, 2.5, 3.5, 4.5] * 10})
    told = describe_gaps(profile | {"row_count": 10**6, "sample_distinct_count": 30})
    assert told is not None
    assert told["sample"] == {"rows": 40, "whole": False, "rough": True}


def test_ties_and_what_fixes_what() -> None:
    """The strongest pair stands first and is marked where one of the two fixes the other."""
    towns = [f"t{i % 9}" for i in range(180)]
    told = describe_ties(profile_of({
        "town": towns, "country": [f"c{int(t[1]) % 3}" for t in towns],
        "other": ["x" if i % 7 else "y" for i in range(180)],
    }))  # fmt: skip
    assert told is not None
    strongest = told["strongest"][0]
    assert {strongest["first"], strongest["second"]} == {"town", "country"}
    place = told["columns"].index
    assert [place("town"), place("country")] in told["fixed"]
    assert told["dependents"][0]["name"] == "country"
    assert describe_ties(profile_of({"a": ["x"] * 9})) is None


def _cells(rows: list[tuple[int, str, list[str], float]]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"sample_id": f"{row:032x}-0", "uri": "t.csv", "row": row, "column": column,
          "detectors": detectors, "dimension": "incorrect", "confidence": sure, "suggestion": None}
         for row, column, detectors, sure in rows], schema=dict(CELL_SCHEMA),
    )  # fmt: skip


def test_wrong_cells_are_surest_first() -> None:
    """Of many cells of one sort a few are shown, the surest first, and all are counted."""
    rows = [(at, "a", ["typo"], 0.9) for at in range(40)]
    rows += [(99, "b", ["typo", "unit"], 0.98), (98, "b", ["unit"], 0.3)]
    told = describe_wrong_cells(_cells(rows), marked=False)
    assert told is not None
    assert (told["wrong"], told["doubtful"], told["rows"]) == (41, 1, 41)
    assert [one["row"] for one in told["examples"]] == [99, *range(SORT_MAX)]
    assert told["columns"][0] == {
        "name": "a", "cells": 40, "detectors": [{"name": "typo", "count": 40}],
    }  # fmt: skip
    assert describe_wrong_cells(None, marked=False) is None


def test_repairs_and_fills() -> None:
    """Changes are told with before and after; so is a fill of held-out cells alone."""
    repairs = pl.DataFrame({
        "sample_id": ["a", "b", "c"], "column": ["x", "x", "y"],
        "check_id": ["rare_typo", "rare_typo", "fill:y"], "before": ["Ulmm", "Ulmm", None],
        "after": ["Ulm", "Ulm", "3"],
    })  # fmt: skip
    fitted = {"y": {"method": "group", "value": "2", "group_by": ["town"]},
              "z": {"method": "mode", "value": "no"}}  # fmt: skip
    cells = [
        {"column": "z", "split": "test", "len": 4},
        {"column": "y", "split": "train", "len": 1},
    ]
    told = describe_repairs(repairs, {"fills": {"fitted": fitted, "cells": cells}})
    assert [(one["column"], one["cells"], one["held_out"]) for one in told] == [
        ("x", 2, 0), ("y", 1, 0), ("z", 0, 4),
    ]  # fmt: skip
    assert told[0]["examples"] == [{"before": "Ulmm", "after": "Ulm", "count": 2}]
    assert told[1]["says"] == "what its group has in train (by town), else 2"
    assert told[2]["says"] == "the commonest value of train: no"
    mode = {"fitted": {"y": {"method": "mode", "value": "2"}}}
    (other,) = describe_repairs(repairs.filter(column="y"), {"fills": mode})
    assert other["says"].endswith("2, or with what a check proposes")


def test_facts_become_tables() -> None:
    """Facts that are mappings are laid out as tables, plain ones as a line, others are left out."""
    gains = describe_facts("column_label_leak", {"rows_judged": 90, "gains": {"age": 0.4}})
    assert gains["line"] == {"rows_judged": 90}
    assert gains["tables"][0]["rows"] == [{"column": "age", "share": 0.4}]
    later = describe_facts("future_in_train", {"later_frac": {"sold": {"val": 0.1, "test": 0.2}}})
    assert [row["split"] for row in later["tables"][0]["rows"]] == ["val", "test"]
    assert describe_facts("unheard_of", {"deep": {"a": 1}, "none": []}) == {
        "line": {},
        "tables": [],
    }


def test_a_profile_alone_is_a_report(tmp_path: Path) -> None:
    """With profile.json and nothing else the page tells the columns, and what comes next."""
    told = profile_of({"a": [None, "x", "y"] * 20, "n": [*range(30)] * 2}, label="a")
    RunFolder(tmp_path).write_json("profile.json", told | {"samples": 60, "splits": {}})
    report = build_report(tmp_path, checks={})
    html = render_html(report)
    assert_harmless(html)
    assert "60 rows, 2 columns, 1 of them with gaps; no check has run yet." in html
    assert [gap["station"] for gap in report["missing"]] == ["check", "clean", "compare"]
    assert "category, the label" in html
    assert "Wrong cells" not in html
    assert "nothing found" not in html


def test_an_older_profile_is_still_shown(tmp_path: Path) -> None:
    """A profile without gaps, ties and suggestions gives a page without these sections."""
    told = profile_of({"a": ["x", "y"] * 20})
    for key in ("gaps", "associations", "sample_count", "sample_distinct_count"):
        told.pop(key)
    RunFolder(tmp_path).write_json("profile.json", told)
    report = build_report(tmp_path, checks={})
    assert (report["gaps"], report["ties"]) == (None, None)
    assert 'id="columns"' in render_html(report)
