from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.app.levers import guard_kinds
from flows.report.levers import list_notes
from tests.training.test_experiment_end_to_end import _images
from tests.training.test_heads_batched import clouds
from training.arms import Arms, TrainingData, raw_arm
from training.curriculum import weigh_hardest
from training.errors import DivergedError, TrainingError
from training.experiment import tier_data
from training.heads import Rows, train_heads
from training.jobs import Job, Place, run_jobs
from training.learner import Learner
from training.levers import Lever, list_levers, offers, pull, start_levers
from training.models import Net
from training.recipe import Recipe
from training.statistics import benjamini_yekutieli
from training.trainer import Run
from training.weighing import (
    Reading,
    _by_seconds,
    _by_steps,
    guard_order,
    rank,
    weigh_feeds,
    weigh_levers,
)

TABLE = Recipe("train", 60, 64, 3e-3, 0.1, evals=6, hidden=16, embedding=2)
IMAGE = Recipe("train", 8, 16, 0.05, 5e-4, evals=4)


def _table() -> tuple[dict[str, Reading], Arms]:
    data = clouds(flipped=0.35)
    raw = raw_arm(data)
    assert data.true_labels is not None
    right = raw.labels == data.true_labels[data.train]
    return {"train": Reading(data, TABLE)}, Arms(raw, replace(raw, name="cleaned", keep=right))


def test_levers_are_ranked_beside_cleaning(tmp_path: Path) -> None:
    """On noisy labels cleaning buys more than any change of the recipe; every row has intervals."""
    readings, arms = _table()
    kinds = {"data", "curriculum", "learning rate"}
    data = readings["train"].data
    levers = [lever for lever in list_levers(TABLE, data, arms) if lever.kind in kinds]
    place = Place(tmp_path, 1, torch.device("cpu"))
    rows = rank(weigh_levers(readings, arms, levers, place, seeds=5))
    assert [row["lever"] for row in rows].index("cleaning") <= 1
    gains = [row["final_acc"]["estimate"] for row in rows]
    assert gains == sorted(gains, reverse=True)
    for row in rows:
        assert row["final_acc"]["low"] <= row["final_acc"]["estimate"] <= row["final_acc"]["high"]
        assert row["final_acc"]["p"] <= row["final_acc"]["p_by"] <= 1
        for axis in ("steps", "seconds"):
            assert np.isfinite([row[axis][end] for end in ("ratio", "low", "high")]).all()
        assert row["cpu_s"] > 0
    _assert_over_cleaning({row["lever"]: row for row in rows})
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    again = rank(weigh_levers(readings, arms, levers, place, seeds=5), "steps")
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.npz")} == files
    ratios = [row["steps"]["ratio"] for row in again]
    assert ratios == sorted(ratios, reverse=True)


def _assert_over_cleaning(rows: dict[str, Any]) -> None:
    """Each change of raw is compared with cleaning too, pair by pair; what is cleaned is not."""
    own = rows["cleaning"]["final_acc"]["estimate"]
    assert {name for name, row in rows.items() if row["over_cleaning"] is None} == {
        "cleaning", "hardest half, cleaned rows",
    }  # fmt: skip
    others = [row for row in rows.values() if row["over_cleaning"]]
    adjusted = benjamini_yekutieli([row["over_cleaning"]["p"] for row in others])
    for row, p in zip(others, adjusted, strict=True):
        over = row["over_cleaning"]
        assert over["estimate"] == pytest.approx(row["final_acc"]["estimate"] - own)
        assert over["low"] < over["estimate"] < over["high"]
        assert over["p_by"] == pytest.approx(p)


def test_images_have_levers_of_two_tiers(tmp_path: Path) -> None:
    """The network's levers and frozen features are weighed in one table, features' seconds too."""
    one = _images()
    probe = Reading(tier_data(one.data, "probe"), replace(TABLE, tier="probe", embedding=0), 7.0)
    readings = {"train": Reading(one.data, IMAGE), "probe": probe}
    wanted = (
        "all frozen but a head", "cleaning", "learning rate wound down", "blocks freeze one by one",
        "four weights of five at zero", "hardest half of each batch",
    )  # fmt: skip
    levers = [lever for lever in list_levers(IMAGE, one.data, one.arms) if lever.name in wanted]
    seen: list[tuple[int, int]] = []
    rows = weigh_levers(
        readings, one.arms, levers, Place(tmp_path, 1, torch.device("cpu")), seeds=2,
        progress=lambda *told: seen.append(told),
    )  # fmt: skip
    assert {row["lever"] for row in rows} == set(wanted)
    frozen = next(row for row in rows if row["tier"] == "probe")
    assert frozen["steps"] is None
    assert frozen["cpu_s"] > 7
    assert seen[-1][0] == seen[-1][1]
    wound = next(row for row in rows if row["kind"] == "schedule")
    assert wound["steps"]["n"] == 2


@dataclass(frozen=True)
class _Net:
    convs: int = 2


@dataclass(frozen=True)
class _Recipe:
    lr: float = 0.1
    net: _Net = _Net()


def test_only_what_a_recipe_has_is_a_lever() -> None:
    """A change of an unknown field is not offered; a known one changes that field and no other."""
    assert offers(_Recipe(), {"lr": 0.2, "net": {"convs": 3}})
    assert not offers(_Recipe(), {"net": {"widths": (1,)}})
    assert not offers(_Recipe(), {"members": 8})
    assert pull(_Recipe(), {"net": {"convs": 3}}) == _Recipe(net=_Net(3))


RECIPES = (
    IMAGE, replace(IMAGE, net=Net("resnet18", width=8), precision="bf16", schedule="wsd"),
    replace(IMAGE, net=Net(widths=(8,), convs=1, dropout=0.2), optimiser="muon", weight_decay=0.0),
    replace(IMAGE, net=Net(residual=True), label_smoothing=0.1, batch_size=2, flip=True),
    replace(IMAGE, translate_px=0, sparsity=0.8),
    replace(IMAGE, net=Net("resnet18", width=8), freeze=(0.2, 0.4, 0.6, 0.8)),
    TABLE, replace(TABLE, members=8, hidden=1, embedding=0),
)  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_every_lever_of_any_recipe_changes_what_it_names(recipe: Recipe) -> None:
    """Cleaning comes first; every other lever can be built and changes just what its name says."""
    one = _images() if recipe.embedding == 0 and recipe.members == 1 else None
    data, arms = (one.data, one.arms) if one else (_table()[0]["train"].data, _table()[1])
    levers = list_levers(recipe, data, arms)
    assert levers[0] == Lever("cleaning", "data", arm="cleaned")
    assert len({lever.name for lever in levers}) == len(levers)
    kinds = {lever.kind for lever in levers}
    common = {"data", "batch size", "learning rate", "schedule", "curriculum"}
    assert ("sparsity" in kinds) == (not recipe.sparsity)
    assert common | {"regularisation", "width", "depth"} <= kinds
    if data.images is not None:
        assert {"optimiser", "augmentation", "precision", "freezing, transfer"} <= kinds
    for lever in levers:
        changed = pull(recipe, lever.change)
        differ = {
            f.name for f in fields(recipe) if getattr(changed, f.name) != getattr(recipe, f.name)
        }
        assert differ <= set(lever.change)
        assert differ or lever.arm != lever.versus or lever.tier != "train", lever.name
        if data.images is not None and lever.tier == "train":
            Learner(torch.rand(24, 3, 2, 2), 3, 0, changed, torch.device("cpu"))


def test_a_cleaning_that_drops_nothing_has_no_random_drop() -> None:
    """The control is a lever only where it differs from raw; tables without codes lack vectors."""
    readings, arms = _table()
    data = readings["train"].data
    named = {lever.name for lever in list_levers(TABLE, data, arms)}
    assert "random drop as large" in named
    same = Arms(arms.raw, replace(arms.raw, name="cleaned"))
    bare = replace(data, codes=None, levels=())
    gone = named - {lever.name for lever in list_levers(TABLE, bare, same)}
    vectors = {"category vectors twice as wide", "categories one-hot, no vectors"}
    assert gone == {"random drop as large"} | (vectors if data.levels else set())


def test_weights_from_elsewhere_are_two_levers_where_they_fit() -> None:
    """A frozen body needs every tensor of it; what is left out would be frozen at random."""
    started, frozen = start_levers("a", "ab", IMAGE, whole=True)
    assert pull(IMAGE, started.change).start == pull(IMAGE, frozen.change).start == "ab"
    assert pull(IMAGE, frozen.change).freeze == (0.0, 0.0, 0.0)
    assert start_levers("a", "ab", IMAGE, whole=False) == (started,)


def test_loading_is_a_row_of_seconds_alone() -> None:
    """Accuracy and steps are the same by construction; the ratio is that of the steps' costs."""
    feeds = [{"resident": 0.001, "loader": 0.003 + 0.0001 * at} for at in range(5)]
    row = weigh_feeds(feeds, 0.010, 100)
    assert row["same_runs"]
    assert row["final_acc"]["estimate"] == row["final_acc"]["low"] == row["final_acc"]["high"] == 0
    assert row["steps"]["ratio"] == 1
    assert row["seconds"]["low"] < row["seconds"]["ratio"] < row["seconds"]["high"] < 1
    assert row["seconds"]["ratio"] == pytest.approx(10 / 12.2, abs=1e-3)
    assert row["cpu_s"] == pytest.approx(1.22)
    assert row["cpu_s_versus"] == pytest.approx(1.0)


@given(st.lists(st.floats(0, 9), min_size=2, max_size=20), st.floats(0.05, 1))
def test_the_hardest_share_counts_and_a_step_stays_as_long(
    losses: list[float], share: float
) -> None:
    """Factors have a mean of 1, and no loss that counts is below one that does not."""
    given_B = torch.tensor(losses)
    factors = weigh_hardest(given_B, share)
    assert float(factors.mean()) == pytest.approx(1, abs=1e-5)
    chosen = factors > 0
    assert int(chosen.sum()) == max(1, round(share * len(losses)))
    if not chosen.all():
        assert given_B[chosen].min() >= given_B[~chosen].max()


def test_the_hardest_half_learns_wrong_labels() -> None:
    """The hardest half of a batch costs more accuracy before cleaning than after it."""
    torch.set_num_threads(1)
    readings, arms = _table()
    data, rows = readings["train"].data, Rows(readings["train"].data, torch.device("cpu"))
    easy = replace(TABLE, steps=200)
    hard = replace(easy, hardest=0.5)
    score = {}
    for name, arm in (("raw", arms.raw), ("cleaned", arms.cleaned)):
        runs = [train_heads(rows, [(arm, seed) for seed in range(4)], how) for how in (easy, hard)]
        test = data.labels[data.rows_of(2)]
        means = [np.mean([(run.test_pred == test).mean() for run in part]) for part in runs]
        score[name] = means[1] - means[0]
    assert score["raw"] < -0.02
    assert score["cleaned"] > score["raw"] + 0.015


def _run(arm: str, cpu_s: list[float], curve: list[float]) -> Run:
    steps = np.arange(len(curve)) * 10
    return Run(
        arm, 0, 5, steps, steps, np.array(cpu_s), np.array(cpu_s), np.array(curve),
        np.zeros(len(curve)), np.zeros(3, np.int16), 0.0, 0.0, 0.0,
    )  # fmt: skip


def test_seconds_are_compared_up_to_where_both_were_seen() -> None:
    """The slower run is cut where the faster ended; time spent before training counts."""
    fast, slow = _run("raw", [0.0, 1.0, 2.0], [0, 0.5, 1]), _run("x", [0.0, 2.0, 4.0], [0, 0.5, 1])
    one, other = _by_seconds([fast], [slow], 1.0)
    assert one[0].steps.tolist() == [0, 1_000_000, 2_000_000]
    assert other[0].steps.tolist() == [1_000_000, 2_000_000]
    assert other[0].val_acc.tolist() == [0, 0.25]
    late, _ = _by_seconds([slow], [fast], 9.0)
    assert late[0].steps[-1] == 4_000_000


def test_steps_are_compared_up_to_where_both_curves_go() -> None:
    """A curve that ends before its decay is compared with what the other had by then."""
    long, short = _run("raw", [0.0, 1.0, 2.0], [0, 0.5, 1]), _run("x", [0.0, 1.0], [0, 0.7])
    one, other = _by_steps([long], [short])
    assert one[0].steps.tolist() == other[0].steps.tolist() == [0, 10]
    assert one[0].val_acc.tolist() == [0, 0.5]
    assert other[0] is short


def test_levers_are_trained_seed_after_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lever's runs are all early or all late; each row still gets its own runs."""
    one, seen = _images(), []
    levers = (Lever("cleaning", "data", arm="cleaned"), Lever("x", "", {"lr": 1e-9}))
    place = Place(tmp_path, 1, torch.device("cpu"))

    def watch(data: TrainingData, arms: Arms, jobs: list[Job], *rest: Any) -> list[Run]:
        seen.extend(job.runs[0] for job in jobs)
        return run_jobs(data, arms, jobs, *rest)

    monkeypatch.setattr("training.weighing.run_jobs", watch)
    rows = weigh_levers({"train": Reading(one.data, IMAGE)}, one.arms, levers, place, seeds=2)
    assert [seed for _, seed in seen] == [0] * 4 + [1] * 4
    assert rows[1]["final_acc"]["estimate"] < rows[0]["final_acc"]["estimate"]


def test_a_lever_that_diverges_has_no_row(tmp_path: Path) -> None:
    """A change whose loss grows beyond all numbers is left out, and takes no other lever along."""
    readings, arms = _table()
    data = readings["train"].data
    assert data.numbers is not None
    reading = Reading(replace(data, numbers=data.numbers * np.float32(1e15)), TABLE)
    wild = Lever("wild", "", {"lr": 100.0, "weight_decay": 100.0})
    levers = (Lever("cleaning", "data", arm="cleaned"), wild, Lever("x", "", {"lr": 1e-9}))
    place = Place(tmp_path, 1, torch.device("cpu"))
    rows = weigh_levers({"train": reading}, arms, levers, place, seeds=2)
    assert [row["lever"] for row in rows] == ["cleaning", "x"]
    base = Reading(reading.data, pull(TABLE, wild.change))
    with pytest.raises(DivergedError, match="finished runs are kept"):
        weigh_levers({"train": base}, arms, levers[:1], place, seeds=2)
    assert list_notes({"rows": rows, "diverged": ["wild"]})[-1].endswith("all numbers: wild.")


def test_levers_of_decay_say_what_they_move_and_stay_in_range() -> None:
    """Muon's filters are not decayed, so the lever names the head; no lever asks for too much."""
    one = _images()

    def names(recipe: Recipe) -> set[str]:
        levers = list_levers(recipe, one.data, one.arms)
        return {lever.name for lever in levers if "weight_decay" in lever.change}

    both = {"no weight decay", "four times the weight decay"}
    assert names(IMAGE) == both
    assert names(replace(IMAGE, optimiser="muon")) == {f"{name} of the head" for name in both}
    assert names(replace(IMAGE, weight_decay=0.3)) == {"no weight decay"}


def test_muon_decays_the_head_and_no_filter() -> None:
    """What the levers' names say is what the optimisers do."""
    ends, filters, images = [], torch.rand(24, 3, 2, 2), torch.rand(8, 3, 16, 16)
    for decay in (0.0, 0.5):
        recipe = replace(IMAGE, optimiser="muon", weight_decay=decay, lr=1e-9)
        learner = Learner(filters, 3, 0, recipe, torch.device("cpu"))
        logits = learner.predict(images, np.arange(8), np.zeros(8, np.int64))
        learner.move(logits.square().mean(), recipe.steps)
        ends.append(dict(learner.net.named_parameters()))
    moved = {name for name, own in ends[0].items() if not torch.equal(own, ends[1][name])}
    assert moved == {"head.weight"}


def test_a_recipe_at_its_bounds_has_levers() -> None:
    """A change beyond what a recipe can be is no lever."""
    readings, arms = _table()
    most = replace(TABLE, lr=100.0, weight_decay=100.0, hidden=65536, embedding=4096, layers=16)
    named = {lever.name for lever in list_levers(most, readings["train"].data, arms)}
    assert "cleaning" in named
    assert not named & {"learning rate doubled", "twice the width", "one hidden layer more"}


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    """A single seed is refused before anything is trained."""
    readings, arms = _table()
    with pytest.raises(TrainingError, match=r"too few seeds \(got 1\). At least 2"):
        weigh_levers(readings, arms, [], Place(tmp_path, 1, torch.device("cpu")), seeds=1)


def test_an_unknown_order_is_one_clear_error() -> None:
    """The table is ranked by accuracy, steps or seconds, and by nothing else."""
    with pytest.raises(TrainingError, match=r"no such order \(got 'luck'\). Orders: accuracy"):
        guard_order("luck")


def test_a_kind_that_is_not_offered_is_refused_with_those_that_are() -> None:
    """`--only` takes kinds of these data; rows are loaded only of images."""
    offered = [Lever("cleaning", "data"), Lever("twice the width", "width")]
    with pytest.raises(TrainingError, match=r"no such kind.*'loading, widht'.*Kinds: width\."):
        guard_kinds(["width", "loading", "widht"], offered, images=False)
    guard_kinds(["width", "loading"], offered, images=True)
