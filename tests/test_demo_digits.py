"""The image demo, judged against what was planted in it; and the controls of the experiment."""

from __future__ import annotations

import polars as pl
import pytest
from planted import SEED, defects_of, run_demo

from data.image_defects import make_image_defects
from flows.app.store import RunFolder

# the least recall and precision of the check meant for each planted kind
FLOORS = {
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


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The image demo with the probe tier alone, run to its report."""
    folder = tmp_path_factory.mktemp("digits")
    make_image_defects(folder / "data", SEED).write_parquet(folder / "truth.parquet")
    training = {"tiers": ["probe"], "seeds": 8, "image_size": 28}
    return run_demo(folder, {"path": "data", "kind": "image_folder"}, training)


@pytest.mark.parametrize("kind", sorted(FLOORS))
def test_planted_defects_of_images_are_found(digits: RunFolder, kind: str) -> None:
    """The check meant for a kind of planted defect finds it, and little else."""
    recall, precision = FLOORS[kind]
    found = defects_of(digits)[kind]
    assert found["recall"] >= recall
    assert found["precision"] >= precision


def test_every_planted_kind_of_images_has_a_floor(digits: RunFolder) -> None:
    """No planted kind goes unjudged."""
    assert set(defects_of(digits)) == set(FLOORS)


def test_every_sample_has_one_outcome(digits: RunFolder) -> None:
    """Kept, dropped, repaired and quarantined add up to the files that came in."""
    samples, decisions = digits.read_table("samples"), digits.read_table("decisions")
    assert samples["sample_id"].sort().equals(decisions["sample_id"].sort())
    held_out = samples.filter(pl.col("split") != "train").join(decisions, on="sample_id")
    assert set(held_out["outcome"]) == {"kept"}
    assert held_out["new_label"].null_count() == held_out.height


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
