"""The verdicts as a whole, on made tables that no weight was fitted on and on public ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.cell_errors import KINDS, plant, target_of
from bench.cell_scores import Place, brier, call_wrong, judge, read_pair, score
from bench.cell_tables import MadeTable
from bench.cell_tables_held_out import books, houses

Make = Callable[[np.random.Generator, int], MadeTable]


@cache
def planted(make: Make) -> tuple[dict[Place, float], frozenset[Place]]:
    """The confidence of the flagged cells of a spoilt table, and its wrong cells."""
    made = make(np.random.default_rng(8), 1500)
    target = target_of(made.frame, made.fixed, made.swaps)
    dirty, truth = plant(target, KINDS, 0.01, 2)
    return judge(dirty), frozenset(truth)


@pytest.mark.parametrize("make", [books, houses])
def test_planted_errors_are_found(make: Make) -> None:
    """Of fourteen kinds of errors together, cell-level F1 is at least .9."""
    confidence, wrong = planted(make)
    assert score(call_wrong(confidence), wrong).f1 >= 0.9


@pytest.mark.parametrize("make", [books, houses])
def test_confidence_means_what_it_says(make: Make) -> None:
    """The mean squared distance of confidence from truth, the Brier score, is below .06."""
    confidence, wrong = planted(make)
    assert brier(confidence, wrong) < 0.06


@pytest.mark.parametrize("make", [books, houses])
def test_clean_tables_are_left_alone(make: Make) -> None:
    """Of the cells of a clean table, odd ones among them, at most one in a thousand is called."""
    frame = make(np.random.default_rng(8), 1500).frame.select(pl.all().cast(pl.String))
    assert len(call_wrong(judge(frame))) <= 0.001 * frame.height * frame.width


@pytest.mark.parametrize(("name", "floor"), [("beers", 0.95), ("hospital", 0.85)])
def test_public_truth(shared_data: Path, name: str, floor: float) -> None:
    """On public tables with truth for every cell, F1 stays above what is promised."""
    dirty, clean, wrong = read_pair(shared_data / "tables" / name)
    assert score(call_wrong(judge(dirty)), wrong).f1 >= floor
    assert len(call_wrong(judge(clean))) <= 0.01 * clean.height * clean.width
