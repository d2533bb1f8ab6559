"""What marks teach: weights move where marks disagree, and stay where they agree."""

from __future__ import annotations

import random

import polars as pl
import pytest

from checks.core.check import load_checks
from checks.metrics.cell_labels import HINT, apply_weights, learn_marks, loosen, tell_signals
from checks.metrics.cell_verdicts import WRONG_MIN

COLUMNS = ["size", "town"]


def cells_of(rows: int = 60) -> pl.DataFrame:
    """Every row has a size that `pattern_outlier` flags and, every third, a typo in its town."""
    told = [(f"r{i:02}", "size", ["pattern_outlier"], 0.6) for i in range(rows)]
    told += [(f"r{i:02}", "town", ["rare_typo+"], 0.98) for i in range(0, rows, 3)]
    schema = {"sample_id": pl.String, "column": pl.String, "signals": pl.List(pl.String),
              "confidence": pl.Float64}  # fmt: skip
    return pl.DataFrame(told, schema=schema, orient="row")


def marks_of(rows: int = 12) -> pl.DataFrame:
    """A person finds the typos right and all sizes in order."""
    told = [(f"r{i:02}", "town" if i % 3 == 0 else None) for i in range(rows)]
    return pl.DataFrame(told, schema={"sample_id": pl.String, "column": pl.String}, orient="row")


def called(cells: pl.DataFrame) -> set[tuple[str, str]]:
    """The cells that are called wrong."""
    sure = cells.filter(pl.col("confidence") >= WRONG_MIN)
    return set(sure.select("sample_id", "column").iter_rows())


def test_a_misled_detector_is_overruled() -> None:
    """After twelve rows a detector that is wrong about a column is silent there, others stay."""
    cells = cells_of()
    learnt = apply_weights(cells, learn_marks(marks_of(), cells, COLUMNS))
    assert {column for _, column in called(cells)} == {"size", "town"}
    assert called(learnt) == {(f"r{i:02}", "town") for i in range(0, 60, 3)}


def test_hints_are_learnt() -> None:
    """A hint that says nothing alone calls cells wrong once marks confirm it."""
    cells = cells_of().with_columns(
        signals=pl.when(pl.col("column") == "town").then(pl.lit([f"rare_typo{HINT}"]))
        .otherwise("signals"),
        confidence=pl.when(pl.col("column") != "town").then("confidence"),
    )  # fmt: skip
    marks = marks_of(30)
    assert not any(column == "town" for _, column in called(cells))
    learnt = apply_weights(cells, learn_marks(marks, cells, COLUMNS))
    assert ("r57", "town") in called(learnt)


def test_marks_that_agree_change_no_verdict() -> None:
    """Marks that say what the detectors say leave every cell on its side."""
    cells = cells_of().filter(pl.col("column") == "town")
    learnt = apply_weights(cells, learn_marks(marks_of(), cells, COLUMNS))
    assert called(learnt) == called(cells)


def test_order_and_batches_change_nothing() -> None:
    """The same marks give the same weights, whatever the order of marks and cells."""
    cells, marks = cells_of(), marks_of()
    order = list(range(cells.height))
    random.Random(3).shuffle(order)  # noqa: S311 - an order, not a secret
    one = learn_marks(marks, cells, COLUMNS)
    assert learn_marks(marks.reverse(), cells[order], COLUMNS) == one
    assert (
        apply_weights(cells[order], one)
        .sort("sample_id", "column")
        .equals(apply_weights(cells, one).sort("sample_id", "column"))
    )


def test_loose_checks_flag_more() -> None:
    """Every loosened check is a cell check with an id of its own and other thresholds."""
    known = load_checks()
    loose = loosen(list(known.values()))
    assert {check.id.removesuffix(HINT) for check in loose} <= set(known)
    assert all(check.id.endswith(HINT) for check in loose)
    assert all(dict(c.params) != dict(known[c.id.removesuffix(HINT)].params) for c in loose)


def test_a_hint_beside_its_finding_is_left_out() -> None:
    """A loose check repeats the strict one's cells: only what it adds is a hint."""
    found = pl.DataFrame({"sample_id": ["a"], "column": ["x"], "check_id": ["rare_typo"],
                          "suggestion": ["Bonn"], "evidence": ["e"]})  # fmt: skip
    hints = pl.DataFrame({"sample_id": ["a", "b"], "column": ["x", "x"],
                          "check_id": [f"rare_typo{HINT}"] * 2})  # fmt: skip
    told = tell_signals(found, hints)
    assert told["signals"].to_list() == [["rare_typo+"], [f"rare_typo{HINT}"]]


@pytest.mark.parametrize("rows", [0, 1])
def test_few_marks_are_no_fault(rows: int) -> None:
    """No marks, or one row, give weights and verdicts all the same."""
    cells = cells_of()
    learnt = apply_weights(cells, learn_marks(marks_of(rows), cells, COLUMNS))
    assert learnt.height == cells.height
    assert learnt["confidence"].is_between(0, 1).all()
