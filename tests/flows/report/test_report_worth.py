"""What the experiment says beside its verdict: on the page, with interval, seeds and power."""

from __future__ import annotations

from typing import Any

import pytest

from flows.report import build_report, render_html
from flows.report.effects import describe_experiment
from flows.report.speedup_curve import draw_speedups
from flows.report.verdict import tell_trainings
from tests.flows.report.made_experiment import make_experiment


def test_every_new_figure_stands_with_its_interval(image_run: Any) -> None:
    """Break-even, equivalent, churn, groups and doses are on the page with seeds and power."""
    html = render_html(build_report(image_run.path, **image_run.options()))
    assert "Trainings until it has paid" in html
    assert "<b>4</b> <i>[3, 7]</i>" in html
    assert "<b>1.56 times</b> <i>[1.20, 2.10]</i>" in html
    for words in ("when it has paid", "group of checks", "share cleaned", "predicted otherwise"):
        assert words in html
    assert html.index('id="verdict"') < html.index("What else these runs say")


def test_points_are_points_everywhere() -> None:
    """Churn, groups and doses come as fractions and are told in percentage points, once."""
    described = describe_experiment(make_experiment())
    assert described is not None
    tier = described["tiers"][0]
    assert tier["churn"][1]["estimate"] == pytest.approx(12)
    assert tier["churn"][1]["excess"]["estimate"] == pytest.approx(1)
    assert tier["shapley"][1]["estimate"] == pytest.approx(1.2)
    assert tier["dose"]["doses"][1]["estimate"] == pytest.approx(0.8)
    assert tier["dose"]["doses"][1]["dose"] == 0.5
    assert tier["facts"].keys() == {"steps", "batch_size"}


def test_arms_of_sets_are_told_by_their_shapley_values_alone() -> None:
    """32 arms of sets of groups would drown the table of arms."""
    experiment = make_experiment()
    experiment["tiers"]["train"]["arms"].append({"arm": "set:10", "n_train": 90})
    described = describe_experiment(experiment)
    assert described is not None
    assert "set:10" not in [arm["arm"] for arm in described["tiers"][0]["arms"]]


def test_the_speedup_is_drawn_with_its_bounds() -> None:
    """The curve is a picture with words; without points, or with none that are numbers, none."""
    report: dict[str, Any] = {"experiment": describe_experiment(make_experiment())}
    picture = draw_speedups(report, "train", narrow=False)
    assert picture is not None
    assert "at least 1.50 [1.25, 2.00]" in picture
    assert "stroke-dasharray" in picture
    for row in report["experiment"]["tiers"][0]["speedup_curve"]:
        row["ratio"] = None
    assert draw_speedups(report, "train", narrow=True) is None
    assert draw_speedups({"experiment": None}, "train", narrow=True) is None


def test_trainings_are_a_number_or_a_word() -> None:
    """Never and not shown are words; a number is rounded up, since no part of one pays."""
    assert tell_trainings({"word": "open", "trainings": 4.0}) == "not shown"
    assert tell_trainings({"word": "never", "trainings": None}) == "never"
    assert tell_trainings({"word": "at_once", "trainings": 0.2}) == "1"


def test_an_experiment_of_before_still_has_a_page(image_run: Any) -> None:
    """An experiment.json that knows nothing of all this gives a page without it."""
    report = build_report(image_run.path, **image_run.options())
    for tier in report["experiment"]["tiers"]:
        tier |= {"churn": [], "break_even": [], "shapley": [], "speedup_curve": []}
        tier |= {"says": {}, "dose": {}, "data_equivalent": {}, "per_class_verified": []}
    html = render_html(report)
    assert "What else these runs say" not in html
