"""The table of arms and its pictures: the commonest class beside them, ticks that can be read."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report import build_report, render_html
from flows.report.axes import Axis
from flows.report.charts import draw_effects
from flows.report.effects import describe_experiment
from flows.report.speedup_curve import GAP, choose_ratios
from tests.flows.report.made_experiment import make_experiment

WARNING = "No arm gets more test items right than always answering the commonest class does"


@pytest.mark.parametrize(("rare", "warned"), [(2, True), (40, False)])
def test_arms_stand_beside_the_commonest_class(table_run: Any, rare: int, warned: bool) -> None:
    """With 1 % of positives no arm of 90 % beats always saying no, and the page says so."""
    experiment = make_experiment()
    for tier in experiment["tiers"].values():
        tier["per_class"] = [
            {"class": "no", "n_test": 200 - rare},
            {"class": "yes", "n_test": rare},
        ]
    (table_run.path / "experiment.json").write_text(json.dumps(experiment))
    report = build_report(table_run.path, **table_run.options())
    told = report["experiment"]["tiers"][0]["commonest"]
    assert told == {"label": "no", "accuracy": 1 - rare / 200, "verified_acc": None,
                    "beaten": not warned}  # fmt: skip
    html = render_html(report)
    assert (WARNING in html) == warned
    assert "always the commonest class" in html


def test_doses_do_not_beat_the_commonest_class_for_the_arms() -> None:
    """A lucky arm of a part of the data is no arm that beats the commonest class."""
    experiment = make_experiment()
    tier = experiment["tiers"]["train"]
    tier["per_class"] = [{"class": 0, "n_test": 99}, {"class": 1, "n_test": 1}]
    tier["per_class_verified"] = [{"class": 0, "n_test": 60}, {"class": 1, "n_test": 40}]
    tier["arms"].append({"arm": "dose:0.5", "n_train": 9, "final_acc_mean": 1.0})
    described = describe_experiment(experiment)
    assert described is not None
    assert described["tiers"][0]["commonest"] == {
        "label": 0, "accuracy": 0.99, "verified_acc": 0.6, "beaten": False,
    }  # fmt: skip


@given(low=st.floats(0.01, 0.97), high=st.floats(1.03, 100))
def test_ratios_are_marked_on_both_sides_of_one(low: float, high: float) -> None:
    """1 is marked, ticks keep their distance, and no side of a third of the axis is without one."""
    axis, marks = Axis(low, high, log=True), choose_ratios(low, high)
    places = [float(axis.place(np.array([mark]))[0]) for mark in marks]
    assert 1.0 in marks
    assert all(low * (1 - 1e-6) <= mark <= high * (1 + 1e-6) for mark in marks)
    gaps = [after - before for before, after in pairwise(places)]
    assert all(gap > GAP - 1e-4 for gap in gaps)
    middle = float(axis.place(np.array([1.0]))[0])
    assert middle < 1 / 3 or marks[0] < 1
    assert middle > 2 / 3 or marks[-1] > 1


@pytest.mark.parametrize("reach", [0.0112, 0.026, 0.0031, 0.3, 0.08])
def test_labels_of_effects_do_not_touch(reach: float) -> None:
    """The labels under the intervals lie at least 45 px apart, whatever the intervals' reach."""
    experiment = make_experiment()
    for effect in experiment["tiers"]["train"]["effects"]:
        effect |= {"estimate": 0.2 * reach, "low": -0.6 * reach, "high": reach}
    report = {"experiment": describe_experiment(experiment), "verdict": {"margin": 0.3}}
    svg = draw_effects(report)
    assert svg is not None
    at = [
        float(x)
        for x in re.findall(r"<text[^>]*translate\(([-\d.]+),[^>]*>[\u2212\d.]+</text>", svg)
    ]
    gaps = [after - before for before, after in pairwise(at)]
    assert len(at) >= 3
    assert min(gaps) > 45
