"""One verdict for each cell, from findings that are made by hand."""

from __future__ import annotations

import polars as pl
import pytest

from checks.core.cells import FINDING_SCHEMA
from checks.core.check import load_checks
from checks.core.tables import Cells, guard
from checks.metrics.cell_verdicts import (
    OPEN_GAPS,
    PRECISION,
    UNKNOWN_PRECISION,
    judge_cells,
    mark_cells,
)
from checks.metrics.tabular_missing import OWN_MARKER

IDS = pl.DataFrame(
    {"uri": ["t"] * 3, "row": [0, 1, 2], "sample_id": [f"{c * 32}-0" for c in "abc"]}
)
KEY = IDS["sample_id"].to_list()


def finding(
    check: str, column: str | None = "town", suggestion: str | None = None, *, at: int = 0,
    dimension: str = "incorrect", evidence: str = "odd",
) -> dict[str, object]:  # fmt: skip
    """One finding on the cell of row `at`."""
    return {"sample_id": KEY[at], "check_id": check, "column": column, "dimension": dimension,
            "severity": "warning", "value": None, "threshold": None, "evidence": evidence,
            "suggestion": suggestion}  # fmt: skip


def table(*findings: dict[str, object]) -> pl.DataFrame:
    """The findings as a table."""
    return pl.DataFrame(list(findings), schema=FINDING_SCHEMA)


def verdict(*findings: dict[str, object]) -> dict[str, object]:
    """The one verdict that the findings give, guarded by its model."""
    return guard(Cells, judge_cells(table(*findings), IDS), "cells").row(0, named=True)


def test_one_signal_gives_its_precision() -> None:
    """A lone finding is as sure as its check has been, and names its cell and check."""
    told = verdict(finding("numeric_outlier", at=2))
    assert told["confidence"] == pytest.approx(PRECISION["numeric_outlier"], abs=1e-4)
    assert (told["row"], told["column"], told["detectors"]) == (2, "town", ["numeric_outlier"])


def test_more_signals_make_surer() -> None:
    """Two checks are surer than either; a check that nobody calibrated counts as stated."""
    both = verdict(finding("numeric_outlier"), finding("my_own"))
    expected = 1 - (1 - PRECISION["numeric_outlier"]) * (1 - UNKNOWN_PRECISION)
    assert both["confidence"] == pytest.approx(expected, abs=1e-4)
    assert both["detectors"] == ["my_own", "numeric_outlier"]


def test_order_changes_nothing() -> None:
    """The verdicts are equal whatever the order of the findings."""
    found = table(*(finding(c, at=i % 3) for i, c in enumerate(sorted(PRECISION)) if "+" not in c))
    assert judge_cells(found, IDS).equals(judge_cells(found.reverse(), IDS))


@pytest.mark.parametrize(
    ("proposed", "told"),
    [
        (["Bonn", "Bonn", None], "Bonn"),
        (["Bonn", "Ulm"], None),
        (["", None], ""),
        (["", "Bonn"], "Bonn"),
        ([None], None),
    ],
)
def test_only_a_unique_value_is_suggested(proposed: list[str | None], told: str | None) -> None:
    """Checks that differ suggest nothing; an empty text yields to a value."""
    found = [finding(f"check_{i}", suggestion=value) for i, value in enumerate(proposed)]
    assert verdict(*found)["suggestion"] == told


def test_missing_is_not_incorrect() -> None:
    """A cell that one check calls missing is missing, whatever the others say."""
    gap = finding("placeholder_value", dimension="missing")
    assert verdict(gap, finding("mixed_unit"))["dimension"] == "missing"
    assert verdict(finding("mixed_unit"))["dimension"] == "incorrect"


def test_an_open_gap_is_no_lost_value() -> None:
    """Null and the table's own word for it are unlikely errors, unless the row tells the value."""
    null = finding("missing_value", dimension="missing")
    own = finding("placeholder_value", dimension="missing", evidence=OWN_MARKER)
    known = finding("missing_value", suggestion="Bonn", dimension="missing")
    assert verdict(null)["confidence"] < 0.2
    assert verdict(own)["confidence"] < 0.2
    assert verdict(known)["confidence"] > 0.9


def test_other_findings_are_no_cells() -> None:
    """Findings on whole rows, and leaks and drift of columns, give no verdict."""
    found = table(finding("outlier", None), finding("column_label_leak", dimension="leak"))
    assert judge_cells(found, IDS).height == 0


def test_every_signal_is_of_a_check() -> None:
    """The calibrated signals are those of checks that exist, plus the table's own marker."""
    names = {signal.removesuffix("+") for signal in {**PRECISION, **OPEN_GAPS}}
    assert names - {"own_marker"} <= set(load_checks())
    assert all(0 < p < 1 for p in PRECISION.values())


def test_a_person_outranks_the_detectors() -> None:
    """In a marked row named cells are wrong for certain and the others right; new ones join."""
    verdicts = judge_cells(table(finding("mixed_unit"), finding("mojibake", at=1)), IDS)
    learnt = verdicts.select("sample_id", "column", confidence=pl.lit(0.3))
    marks = pl.DataFrame({"sample_id": [KEY[0], KEY[0], KEY[2]], "column": ["zip", "age", None]})
    told = guard(Cells, mark_cells(verdicts, learnt, table(), marks, IDS), "cells")
    sure = {(row, column): p for row, column, p in
            told.select("row", "column", "confidence").iter_rows()}  # fmt: skip
    assert sure == {(0, "town"): 0.0, (0, "zip"): 1.0, (0, "age"): 1.0, (1, "town"): 0.3}
