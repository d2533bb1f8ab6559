"""Looks, boosted trees and the device on the page, and nothing of them where there are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.report import build_report, render_html
from flows.report.effects import describe_experiment
from flows.report.figures import compact
from tests.flows.report.made_experiment import make_experiment
from tests.flows.report.pages import assert_harmless

TAKEN = [
    {"seeds": 6, "estimate": 0.01, "low": -0.02, "high": 0.04, "p": 0.01, "bound": 1e-5,
     "crossed": False, "word": "continue"},
    {"seeds": 12, "estimate": 0.016, "low": 0.004, "high": 0.028, "p": 2e-5, "bound": 0.003,
     "crossed": True, "word": "stop"},
]  # fmt: skip
LOOK = {"planned": [6, 12, 24], "number": 2, **TAKEN[-1], "taken": TAKEN}
TREES = {
    "cleaned": {"accuracy": 0.87, "low": 0.86, "high": 0.88, "gain": 0.012, "gain_low": 0.004,
                "gain_high": 0.02},
    "raw": {"accuracy": 0.858, "low": 0.85, "high": 0.866, "gain": 0.0, "gain_low": 0.0,
            "gain_high": 0.0},
}  # fmt: skip


def _looked_at() -> dict[str, Any]:
    experiment = make_experiment()
    tier = experiment["tiers"]["train"]
    tier |= {
        "look": LOOK, "processes": 2, "packing": {"1": 100.0, "2": 190.0},
        "device_probe": {"way": ["nchw", "bf16", "graphs"], "steps": 20, "trials": [
            {"layout": "nchw", "precision": "bf16", "engine": "graphs", "step_ms": 1.5}]},
    }  # fmt: skip
    experiment["facts"]["yardstick"] = TREES
    return experiment


def _build(run: Any, experiment: dict[str, Any]) -> dict[str, Any]:
    (run.path / "experiment.json").write_text(json.dumps(experiment))
    return build_report(run.path, **run.options())


@pytest.fixture
def pages(image_run: Any) -> Any:
    """The report and the page with all of it, the page restored to what it was."""
    before = (image_run.path / "experiment.json").read_text()
    report = _build(image_run, _looked_at())
    yield report, render_html(report), render_html(_build(image_run, json.loads(before)))
    (image_run.path / "experiment.json").write_text(before)


def test_the_page_tells_looks_trees_and_device(pages: tuple[dict[str, Any], str, str]) -> None:
    """Look, bound and repeated interval, each arm's trees, and what was tried on the device."""
    report, html, plain = pages
    assert_harmless(html)
    told = {fact["name"]: fact for fact in report["verdict"]["facts"]}["Ended at"]
    assert told["value"] == "look 2 of 3"
    assert told["note"] == "12 of at most 24 seeds; p 2e-05 below its bound 0.003"
    assert "+1.60 pp [+0.40, +2.80]" in html
    assert "Looked at after 6, 12, 24 seeds: ended at look 2" in html
    assert "87.00 %" in html
    assert "+1.20 pp [+0.40, +2.00]" in html
    assert "2 (steps a second with 1: 100, with 2: 190)" in html
    assert "nchw bf16 graphs (a step: nchw bf16 graphs 1.5 ms)" in html
    for words in ("Looked at", "Boosted trees", "processes at once", "way of computing"):
        assert words not in plain


def test_looks_and_gains_are_in_points() -> None:
    """Fractions become points once; raw comes first; times of a device are no fact of a result."""
    described = describe_experiment(_looked_at())
    assert described is not None
    tier = described["tiers"][0]
    assert tier["look"]["estimate"] == pytest.approx(1.6)
    assert [row["number"] for row in tier["look"]["taken"]] == [1, 2]
    assert [row["arm"] for row in described["yardstick"]] == ["raw", "cleaned"]
    assert described["yardstick"][1]["gain"]["low"] == pytest.approx(0.4)
    assert tier["facts"].keys() == {"steps", "batch_size"}


def test_the_page_shows_the_adjusted_p_of_checks_alone(image_run: Any) -> None:
    """A check alone is told with p after its family's correction, marked, never with its bare p."""
    experiment = make_experiment()
    tier = experiment["tiers"]["train"]
    tier["effects"].append({**tier["effects"][0], "arm": "only:blur", "p": 0.0321, "p_by": 0.27})
    del tier["effects"][-1]["p_holm"]
    tier["verdict"]["control_is_raw"] = True
    html = render_html(_build(image_run, experiment))
    assert_harmless(html)
    assert f">{compact(0.27)}\u2020</td>" in html
    assert compact(0.0321) not in html
    assert "Yekutieli\u2019s over all checks alone" in html
    assert "which are one here: the control is raw. " in html
