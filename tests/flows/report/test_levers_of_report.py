import json
from pathlib import Path
from typing import Any

import pytest

from flows.app.levers import tell_levers
from flows.report import build_report, render_html
from flows.report.levers import describe_levers, tell_times
from tests.flows.report.pages import assert_harmless

SOONER = {"ratio": 1.5, "low": 1.2, "high": 1.9, "at_least": False, "at_most": False}


def _row(lever: str, estimate: float, half: float, **more: Any) -> dict[str, Any]:
    gain = {"estimate": estimate, "low": estimate - half, "high": estimate + half, "p_by": 0.01}
    return {"lever": lever, "kind": "data", "versus": "raw", "final_acc": gain, "steps": SOONER,
            "seconds": None, "cpu_s": 2.0, **more}  # fmt: skip


ROWS = [_row("twice the width", 0.02, 0.005), _row("cleaning", 0.01, 0.004),
        _row("no <b>decay</b>", -0.02, 0.01)]  # fmt: skip


def test_intervals_are_drawn_on_one_scale_with_zero_in_it() -> None:
    """Every interval lies within the picture, in order, and zero between loss and gain."""
    told = describe_levers({"seeds": 5, "order": "accuracy", "rows": ROWS})
    assert told is not None
    assert [row["cleaning"] for row in told["rows"]] == [False, True, False]
    assert told["rows"][1]["gain"]["estimate"] == pytest.approx(1.0)
    for row in told["rows"]:
        drawn = row["drawn"]
        assert 0 <= drawn["low"] < drawn["at"] < drawn["high"] <= 200
    assert told["rows"][2]["drawn"]["high"] < told["zero"] < told["rows"][1]["drawn"]["low"]
    assert describe_levers(None) is None
    assert describe_levers({"rows": []}) is None


def test_a_bound_is_told_as_a_bound() -> None:
    """Where raw, or the change, never arrived, the factor is told as at least, or at most."""
    assert tell_times({**SOONER, "at_least": True}).startswith("at least 1.50")
    assert tell_times({**SOONER, "at_most": True}).startswith("at most 1.50")
    assert tell_times(None) == "\u2013"


def test_the_sentence_names_what_beat_cleaning() -> None:
    """Only what gained more than cleaning, with an interval above zero, is named."""
    told = tell_levers({"rows": [*ROWS, _row("luck", 0.03, 0.05)]})
    assert told == "More test accuracy than cleaning, with an interval above 0: twice the width."


def test_the_page_shows_levers_safely(image_run: Any) -> None:
    """The section stands in the page, in the contents, and no text of a lever becomes markup."""
    told = {"seeds": 5, "order": "accuracy", "rows": ROWS}
    (Path(image_run.path) / "levers.json").write_text(json.dumps(told))
    page = render_html(build_report(image_run.path, **image_run.options()))
    assert_harmless(page)
    assert 'id="levers"' in page
    assert "What would have bought more?" in page
    assert "<b>decay" not in page
