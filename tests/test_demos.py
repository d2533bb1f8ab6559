"""The demos, judged against what was planted in them; and the controls of the experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data.image_defects import make_image_defects
from data.table_defects import make_table_defects
from flows.app.config import read_config
from flows.app.launch import run_line
from flows.app.store import RunFolder, open_run

SEED = 20261123
FLIGHTS = 40_000  # a sample: the checks see all 28 columns and 12 files, in seconds
# the least recall and precision of the check meant for each planted kind
DIGITS_FLOORS = {
    "silent_damage": (0.4, 0.95),  # half of such damage decodes without a warning
    "wrong_label_uniform": (0.9, 0.8),
    "wrong_label_confusable": (0.75, 0.8),
    "blur": (0.95, 0.95),
    "dark": (0.95, 0.9),
    "washed_out": (0.95, 0.85),
    "truncated": (1.0, 1.0),
    "wrong_extension": (1.0, 1.0),
    "exact_duplicate": (1.0, 1.0),
    "near_duplicate": (0.95, 0.95),
    "conflicting_copy": (1.0, 1.0),
    "leak_exact": (1.0, 1.0),
    "leak_near": (0.95, 0.95),
}
FLIGHTS_FLOORS = {
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
def digits(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The image demo with the probe tier alone, run to its report."""
    folder = tmp_path_factory.mktemp("digits")
    make_image_defects(folder / "data", SEED).write_parquet(folder / "truth.parquet")
    training = {"tiers": ["probe"], "seeds": 8, "image_size": 28}
    return _run(folder, {"path": "data", "kind": "image_folder"}, training)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The table demo on a sample of its flights, up to the shards and their report."""
    folder = tmp_path_factory.mktemp("flights")
    make_table_defects(folder / "data", SEED, rows=FLIGHTS).write_parquet(folder / "truth.parquet")
    source = {"path": "data/*.csv", "kind": "table", "label": "arrival", "split": "split"}
    return _run(folder, source, None)


def _run(folder: Path, source: dict[str, str], training: dict[str, Any] | None) -> RunFolder:
    raw = {"version": 1, "source": source, "truth": {"path": "truth.parquet"}}
    config = read_config(raw | {"training": training or {}}, base=folder)
    run = open_run(config, folder / "run")
    run_line(config, run, train=training is not None)
    return run


def _defects(run: RunFolder) -> dict[str, dict[str, Any]]:
    report = json.loads((run.path / "report.json").read_text())
    return {row["defect"]: row for row in report["defects"]}


@pytest.mark.xdist_group("digits")
@pytest.mark.parametrize("kind", sorted(DIGITS_FLOORS))
def test_planted_defects_of_images_are_found(digits: RunFolder, kind: str) -> None:
    """The check meant for a kind of planted defect finds it, and little else."""
    recall, precision = DIGITS_FLOORS[kind]
    found = _defects(digits)[kind]
    assert found["recall"] >= recall
    assert found["precision"] >= precision


@pytest.mark.xdist_group("flights")
@pytest.mark.parametrize("kind", sorted(FLIGHTS_FLOORS))
def test_planted_defects_of_tables_are_found(flights: RunFolder, kind: str) -> None:
    """The check meant for a kind of planted defect finds it, and little else."""
    recall, precision = FLIGHTS_FLOORS[kind]
    found = _defects(flights)[kind]
    assert found["recall"] >= recall
    assert found["precision"] >= precision


@pytest.mark.xdist_group("flights")
def test_unpredictable_labels_are_left_alone(flights: RunFolder) -> None:
    """Where no feature predicts the label, hardly any label is called wrong."""
    flagged = flights.read_table("findings").filter(pl.col("check_id") == "unlikely_label")
    assert flagged.height <= 0.01 * FLIGHTS


@pytest.mark.xdist_group("digits")
def test_every_planted_kind_has_a_floor(digits: RunFolder, flights: RunFolder) -> None:
    """No planted kind goes unjudged, but for the labels that nothing predicts."""
    assert set(_defects(digits)) == set(DIGITS_FLOORS)
    assert set(_defects(flights)) == {*FLIGHTS_FLOORS, "wrong_label"}


@pytest.mark.xdist_group("digits")
def test_every_sample_has_one_outcome(digits: RunFolder) -> None:
    """Kept, dropped, repaired and quarantined add up to the files that came in."""
    samples, decisions = digits.read_table("samples"), digits.read_table("decisions")
    assert samples["sample_id"].sort().equals(decisions["sample_id"].sort())
    held_out = samples.filter(pl.col("split") != "train").join(decisions, on="sample_id")
    assert set(held_out["outcome"]) == {"kept"}
    assert held_out["new_label"].null_count() == held_out.height


@pytest.mark.xdist_group("digits")
def test_controls_of_the_experiment(digits: RunFolder) -> None:
    """Raw against raw finds nothing, the oracle helps, a random drop of the same size does not."""
    effects = {
        (effect["arm"], effect["versus"]): effect
        for effect in digits.read_json("experiment.json")["tiers"]["probe"]["effects"]
        if effect["endpoint"] == "final_acc"
    }
    again = effects["raw_again", "raw"]
    assert again["low"] <= 0 <= again["high"]
    assert effects["oracle", "raw"]["low"] > 0
    assert effects["random_drop", "raw"]["low"] <= 0
    assert effects["cleaned", "random_drop"]["low"] > 0
