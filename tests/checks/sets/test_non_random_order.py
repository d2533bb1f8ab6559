"""Rows in an order: none seen in shuffled files, each planted one told with its effect."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from checks.core.check import Judged, load_checks
from checks.metrics.order import measure_drift, measure_label_drift, measure_runs

CHECK = load_checks()["non_random_order"]
ROWS = 400


def made(seed: int, order: str, files: int = 1) -> dict[str, pl.LazyFrame]:
    """Rows of four classes in an order; two thirds are train, the rest is test."""
    draw = np.random.default_rng([31, seed])
    kind = draw.integers(0, 4, ROWS)
    points = draw.standard_normal((ROWS, 3)) + np.eye(4, 3)[kind]
    place = np.arange(ROWS)
    if order == "sorted":
        place = np.argsort(kind, kind="stable")
    elif order == "blocks":
        place = np.argsort(np.arange(ROWS) % 4 + 4 * (np.argsort(np.argsort(kind)) % 10) / 40)
        kind = np.sort(kind).reshape(4, -1, 10).transpose(1, 0, 2).ravel()
        place = np.arange(ROWS)
    elif order == "time":
        points[:, 0] += 3 * np.arange(ROWS) / ROWS
    ids = [f"{at:032x}-0" for at in draw.permutation(ROWS)]
    samples = pl.LazyFrame({
        "sample_id": ids, "split": draw.choice(["train", "train", "test"], ROWS).tolist(),
        "label": [f"c{at}" for at in kind[place]], "uri": [f"f{at % files}" for at in range(ROWS)],
        "row": np.arange(ROWS) // files,
    })  # fmt: skip
    width = pl.Array(pl.Float32, 3)
    features = pl.Series(points[place].astype(np.float32), dtype=width)
    return {"samples": samples, "features": pl.LazyFrame({"sample_id": ids, "features": features})}


def test_no_alarm_on_shuffled_files() -> None:
    """Of 100 shuffled files at most ten are flagged at p .05 and any effect; by default none."""
    alarms = 0
    for seed in range(100):
        tables = made(seed, "shuffled")
        alarms += CHECK.configured(effect_min=0.0, p_max=0.05)(tables).findings.height > 0
        assert CHECK(tables).findings.height == 0
    assert alarms <= 10


@pytest.mark.parametrize(
    ("order", "said"),
    [("sorted", "stand side by side"), ("blocks", "stand side by side"), ("time", "drift")],
)
def test_orders_are_told_once_for_each_split(order: str, said: str) -> None:
    """Rows sorted by class, in blocks of it, or drifting in time are one finding a split."""
    tables = made(0, order)
    judged: Judged = CHECK(tables)
    found = judged.findings.join(tables["samples"].collect(), on="sample_id")
    assert sorted(found["split"]) == ["test", "train"]
    assert found["evidence"].str.contains(said).all()
    assert (found["value"] > 0.1).all()


def test_files_of_one_sample_have_no_order() -> None:
    """Pictures in folders by class are no order, and a fact says that nothing was judged."""
    judged: Judged = CHECK(made(0, "sorted", files=ROWS))
    assert judged.findings.height == 0
    assert "not_judged" in judged.facts


def test_chances_are_those_of_a_random_order() -> None:
    """Each of the three chances is below .05 in 3 to 7.5 % of a thousand random orders."""
    draw = np.random.default_rng(5)
    below = np.zeros(3)
    for _ in range(1000):
        codes = draw.integers(0, 3, 150)
        signs = (measure_runs(codes), measure_label_drift(codes),
                 measure_drift(draw.standard_normal((150, 4))))  # fmt: skip
        below += [one.p <= 0.05 for one in signs]
    assert ((below >= 30) & (below <= 75)).all()
