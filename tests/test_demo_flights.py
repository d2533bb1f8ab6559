"""The table demo, judged against what was planted in it."""

from __future__ import annotations

import polars as pl
import pytest
from planted import SEED, defects_of, run_demo

from data.table_defects import make_table_defects
from flows.app.store import RunFolder

FLIGHTS = 20_000  # a sample: the checks see all 28 columns and 12 files, in seconds
# the least recall and precision of the check meant for each planted kind
FLOORS = {
    "unit_mixup": (0.9, 0.9),
    "typo": (0.95, 0.95),
    "placeholder_text": (0.95, 0.95),
    "placeholder_number": (0.95, 0.95),
    "swapped_fields": (0.95, 0.95),
    "impossible_value": (0.95, 0.95),
    "untrimmed": (0.95, 0.95),
    "exact_duplicate": (0.95, 0.95),
    "conflicting_copy": (0.95, 0.95),
}


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The table demo on a sample of its flights, up to the shards and their report."""
    folder = tmp_path_factory.mktemp("flights")
    make_table_defects(folder / "data", SEED, rows=FLIGHTS).write_parquet(folder / "truth.parquet")
    source = {"path": "data/*.csv", "kind": "table", "label": "arrival", "split": "split"}
    return run_demo(folder, source, None)


@pytest.mark.parametrize("kind", sorted(FLOORS))
def test_planted_defects_of_tables_are_found(flights: RunFolder, kind: str) -> None:
    """The check meant for a kind of planted defect finds it, and little else."""
    recall, precision = FLOORS[kind]
    found = defects_of(flights)[kind]
    assert found["recall"] >= recall
    assert found["precision"] >= precision


def test_every_planted_kind_of_tables_has_a_floor(flights: RunFolder) -> None:
    """No planted kind goes unjudged, but for the labels that nothing predicts."""
    assert set(defects_of(flights)) == {*FLOORS, "wrong_label"}


def test_unpredictable_labels_are_left_alone(flights: RunFolder) -> None:
    """Where no feature predicts the label, hardly any label is called wrong."""
    flagged = flights.read_table("findings").filter(pl.col("check_id") == "unlikely_label")
    assert flagged.height <= 0.01 * FLIGHTS
