"""Values of train samples for their neighbours' vote: exact, and of use."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.core.check import Judged, load_checks
from checks.labels import knn_shapley
from checks.labels.knn_shapley import value_neighbours

CHECK = load_checks()["harmful_sample"]
SEEDS = 12


def utility(chosen: tuple[int, ...], set_: Any, k: int) -> float:
    """The vote of a subset, by its definition."""
    train, labels, test, asked = set_
    right = 0
    for point, label in zip(test, asked, strict=True):
        away = [(float(np.square(train[at] - point).sum()), at) for at in chosen]
        right += sum(labels[at] == label for _, at in sorted(away)[:k])
    return right / k


def value_by_subsets(set_: Any, k: int) -> list[float]:
    """Shapley's definition: the mean gain of a sample over all subsets of the others."""
    count, values = len(set_[0]), []
    for own in range(count):
        others = [at for at in range(count) if at != own]
        value = 0.0
        for size in range(count):
            weight = 1 / (count * math.comb(count - 1, size))
            for chosen in combinations(others, size):
                gain = utility((*chosen, own), set_, k) - utility(chosen, set_, k)
                value += weight * gain
        values.append(value)
    return values


@st.composite
def tiny_sets(draw: st.DrawFn) -> Any:
    """Up to six train and three test samples on a small grid, so that distances tie."""
    count, tests = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    grid = st.lists(st.integers(-3, 3), min_size=2, max_size=2)
    points = [draw(st.lists(grid, min_size=n, max_size=n)) for n in (count, tests)]
    labels = [draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)) for n in (count, tests)]
    train, test = (np.array(part, np.float32) for part in points)
    return train, np.array(labels[0]), test, np.array(labels[1])


@settings(max_examples=60, deadline=None)
@given(set_=tiny_sets(), k=st.integers(1, 8))
def test_values_are_those_of_the_definition(set_: Any, k: int) -> None:
    """The closed form equals the mean over all subsets, for more neighbours than samples too."""
    worth = value_neighbours(*set_, k)
    assert worth.total.tolist() == pytest.approx(value_by_subsets(set_, k), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(set_=tiny_sets(), k=st.integers(1, 8))
def test_values_sum_to_the_utility(set_: Any, k: int) -> None:
    """Efficiency: what the samples are worth is what all of them are worth; none is worth 0."""
    worth = value_neighbours(*set_, k)
    whole = utility(tuple(range(len(set_[0]))), set_, k)
    assert worth.total.sum() == pytest.approx(whole, abs=1e-9)
    assert worth.utility == pytest.approx(whole, abs=1e-9)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test samples valued one at a time give what they give together."""
    draw = np.random.default_rng(0)
    train, test = (draw.integers(-9, 9, (n, 3)).astype(np.float32) for n in (50, 20))
    labels, asked = draw.integers(0, 3, 50), draw.integers(0, 3, 20)
    whole = value_neighbours(train, labels, test, asked, 5)
    monkeypatch.setattr(knn_shapley, "CELLS", 1)
    alone = value_neighbours(train, labels, test, asked, 5)
    assert whole.total.tolist() == pytest.approx(alone.total.tolist(), abs=1e-12)
    assert whole.asked.tolist() == alone.asked.tolist()
    assert whole.asked.sum() == 20 * 5


def made(seed: int, *, apart: float, wrong: int, val: bool) -> tuple[dict[str, Any], set[str]]:
    """900 samples of four classes, a third of them validation; `wrong` train labels changed."""
    draw = np.random.default_rng([11, seed])
    kind = draw.integers(0, 4, 900)
    points = draw.standard_normal((900, 8)) + apart * np.eye(4, 8)[kind]
    held = np.arange(900) % 3 == 0
    bad = np.flatnonzero(~held)[:wrong]
    kind[bad] = (kind[bad] + 1) % 4
    ids = [f"{at:032x}-0" for at in range(900)]
    split = np.where(held & val, "val", "train").tolist()
    features = pl.Series(points.astype(np.float32), dtype=pl.Array(pl.Float32, 8))
    samples = pl.LazyFrame({"sample_id": ids, "split": split, "label": [f"c{k}" for k in kind]})
    tables = {
        "samples": samples,
        "features": pl.LazyFrame({"sample_id": ids, "features": features}),
    }
    return tables, {ids[at] for at in bad}


@pytest.mark.parametrize("val", [True, False])
@pytest.mark.parametrize("apart", [0.0, 9.0])
def test_no_alarm_where_nobody_hurts(apart: float, val: bool) -> None:
    """Where classes lie apart, or labels say nothing, no sample is flagged in any of 12 sets."""
    for seed in range(SEEDS):
        judged: Judged = CHECK(made(seed, apart=apart, wrong=0, val=val)[0])
        assert judged.findings.height == 0


@pytest.mark.parametrize("val", [True, False])
def test_wrong_labels_hurt_most(val: bool) -> None:
    """Of ten wrong labels in separate classes nine or more are the ten that hurt most."""
    tables, bad = made(0, apart=9.0, wrong=10, val=val)
    judged: Judged = CHECK(tables)
    facts: Any = judged.facts
    assert len({one["sample_id"] for one in facts["hurt_most"]} & bad) >= 9
    assert judged.findings.height >= 1
    assert set(judged.findings["sample_id"]) <= bad
    assert judged.findings["evidence"].str.contains("bear another label").all()


def test_every_train_sample_has_a_value_and_no_other() -> None:
    """With validation all of train is valued, without it too; held-out samples have none."""
    judged: Judged = CHECK(made(1, apart=2.0, wrong=5, val=True)[0])
    assert judged.scores is not None
    assert judged.scores["shapley_value"].null_count() == 300
    again: Judged = CHECK(made(1, apart=2.0, wrong=5, val=False)[0])
    assert again.scores is not None
    assert again.scores["shapley_value"].null_count() == 0
