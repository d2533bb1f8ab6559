"""All sets of groups of checks, through a whole run: what each group of checks was worth."""

from __future__ import annotations

from typing import Any

import pytest

from flows.app.launch import run_line
from flows.app.store import RunFolder, open_run
from tests.flows.made_tables import make_table, table_config
from training.effects import pick

TRAINING = {
    "tiers": ["probe"], "seeds": 5, "steps": 120, "subsets": True, "doses": [0.5],
    "raw_shares": [], "leave_out": ["note"],
}  # fmt: skip


@pytest.fixture(scope="module")
def shared_out(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, dict[str, Any]]:
    """A run on copies of wrong labels, conflicting copies and blanks around a text nobody reads."""
    folder = tmp_path_factory.mktemp("subsets")
    frame = make_table(1, conflicting=10, untrimmed=25)
    only = {"disabled": ["doubtful_label"]}  # by chance it doubts a row that another check changed
    config = table_config(folder, frame, training=TRAINING, checks=only)
    run = open_run(config, folder / "run")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("os.cpu_count", lambda: 1)  # starting workers would take longest
        run_line(config, run, until="compare", train=True)
    told: Any = run.read_json("experiment.json")
    return run, told["tiers"]["probe"]


def test_the_groups_are_the_checks_that_changed_something(
    shared_out: tuple[RunFolder, dict[str, Any]],
) -> None:
    """Checks that only note, though they found changed samples, get no part and no arms."""
    run, tier = shared_out
    found = set(run.read_table("findings")["check_id"])
    groups = {row["group"] for row in tier["shapley"]}
    assert groups == {"exact_duplicate", "conflicting_labels", "untrimmed_text"}
    assert "non_random_order" in found
    assert len([arm for arm in tier["arms"] if arm["arm"].startswith("set:")]) == 7


def test_the_parts_sum_to_what_cleaning_did(shared_out: tuple[RunFolder, dict[str, Any]]) -> None:
    """Efficiency: the Shapley values add up to cleaned minus raw, to rounding."""
    _, tier = shared_out
    whole = pick(tier["effects"], "cleaned", "raw")
    parts = sum(row["estimate"] for row in tier["shapley"])
    assert parts == pytest.approx(whole["estimate"], abs=1e-12)
    arms = {arm["arm"]: arm["final_acc_mean"] for arm in tier["arms"]}
    assert arms["set:111"] == arms["cleaned"]


def test_the_planted_harm_has_the_greatest_part(
    shared_out: tuple[RunFolder, dict[str, Any]],
) -> None:
    """Copies of wrong labels carry the effect, their interval far above every other part."""
    _, tier = shared_out
    worth = {row["group"]: row for row in tier["shapley"]}
    harm = worth.pop("exact_duplicate")
    assert harm["low"] > 0.05
    assert harm["low"] > max(row["high"] for row in worth.values())
    assert tier["says"]["groups"].startswith("Of the whole effect, groups of checks carry: exact")


def test_what_changes_nothing_that_is_read_is_worth_nothing(
    shared_out: tuple[RunFolder, dict[str, Any]],
) -> None:
    """Blanks around a text that no network reads are repaired, and their part is exactly 0."""
    run, tier = shared_out
    assert run.read_table("repairs").height == 25
    part = next(row for row in tier["shapley"] if row["group"] == "untrimmed_text")
    assert (part["estimate"], part["low"], part["high"], part["p_by"]) == (0.0, 0.0, 0.0, 1.0)


def test_half_the_dose_lies_between(shared_out: tuple[RunFolder, dict[str, Any]]) -> None:
    """Accuracy rises with the share of flagged samples that is cleaned."""
    _, tier = shared_out
    none, half, all_of_it = (step["final_acc"] for step in tier["dose"]["doses"])
    assert none < half < all_of_it
    assert tier["dose"]["trend"]["low"] > 0
