import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from flows.app.levers import tell_levers
from flows.report import build_report, render_html
from flows.report.lever_picture import draw_levers
from flows.report.levers import describe_levers, place_cleaning, tell_times
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


def _over(row: dict[str, Any], estimate: float, p_by: float) -> dict[str, Any]:
    """The row with its difference from cleaning."""
    return {**row, "over_cleaning": {"estimate": estimate, "p_by": p_by}}


def test_the_sentence_names_what_is_shown_to_beat_cleaning() -> None:
    """Only a difference from cleaning that stands the correction is named, never a mere lead."""
    cleaning = {**_row("cleaning", 0.01, 0.004), "over_cleaning": None}
    luck = _over(_row("luck", 0.03, 0.05), 0.02, 0.3)
    worse = _over(_row("no decay", -0.02, 0.01), -0.03, 0.001)
    told = place_cleaning({"rows": [luck, cleaning, worse]})
    assert told == "No other change is shown to gain more test accuracy than cleaning."
    width = _over(_row("twice the width", 0.02, 0.002), 0.01, 0.02)
    told = tell_levers({"rows": [luck, width, cleaning, worse]})
    assert told == "Shown to gain more test accuracy than cleaning: twice the width."
    assert place_cleaning({"rows": ROWS}) == ""  # from before changes were compared with cleaning


@pytest.mark.parametrize(
    ("gain", "half", "said"),
    [(0.001, 0.005, "not shown to gain"), (-0.05, 0.01, "shown to lose")],
)
def test_a_cleaning_that_gains_nothing_is_not_praised(gain: float, half: float, said: str) -> None:
    """The sentence says so first, and then which other changes are shown to gain, if any."""
    cleaning = {**_row("cleaning", gain, half), "over_cleaning": None}
    open_ = _over(_row("twice the width", 0.031, 0.032), 0.03, 0.2)
    open_["final_acc"]["p_by"] = 0.4
    lead = f"Cleaning is {said} test accuracy here; other changes that are shown to gain: "
    assert place_cleaning({"rows": [open_, cleaning]}) == f"{lead}none."
    clear = _over(_row("smoothing", 0.02, 0.01), 0.019, 0.2)
    assert place_cleaning({"rows": [open_, clear, cleaning]}) == f"{lead}smoothing."


def test_the_page_shows_levers_safely(image_run: Any) -> None:
    """The section stands in the page, in the contents, and no text of a lever becomes markup."""
    told = {"seeds": 5, "order": "accuracy", "rows": ROWS}
    (Path(image_run.path) / "levers.json").write_text(json.dumps(told))
    page = render_html(build_report(image_run.path, **image_run.options()))
    assert_harmless(page)
    assert 'id="levers"' in page
    assert "What would have bought more?" in page
    assert "<b>decay" not in page


def _report(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"levers": describe_levers({"seeds": 5, "order": "accuracy", "rows": list(rows)})}


def _texts(svg: str | None) -> list[str]:
    return [str(one.text) for one in ET.fromstring(svg or "").iter("text")]  # noqa: S314 - ours


@pytest.mark.parametrize("narrow", [True, False])
def test_the_picture_marks_cleaning_and_numbers_the_rest(narrow: bool) -> None:
    """Cleaning bears its name, other changes their number in the table, and the alt text all."""
    sooner = {"seconds": SOONER}
    rows = [_row("twice the width", 0.02, 0.005, **sooner),
            _row("cleaning", 0.01, 0.004, **sooner), _row("no decay", -0.02, 0.01)]  # fmt: skip
    svg = draw_levers(_report(*rows), narrow=narrow)
    texts = _texts(svg)
    assert {"cleaning", "1"} <= set(texts)
    assert "3" not in texts
    assert "twice the width: +2.00 points, 1.50" in str(svg)
    assert "no decay" not in str(svg)
    assert draw_levers(_report(rows[2]), narrow=narrow) is None
    assert draw_levers({"levers": None}, narrow=narrow) is None


def test_one_ruinous_change_does_not_flatten_the_picture() -> None:
    """What is far worse than the rest stands at the edge as a triangle; intervals are cut there."""
    usual = [_row(f"change {at}", 0.001 * at, 0.002, seconds=SOONER) for at in range(9)]
    ruin = _row("ruin", -0.9, 0.05, seconds=SOONER)
    cleaning = _row("cleaning", 0.01, 0.002, seconds=SOONER)
    assert _highest(_report(*usual, cleaning, ruin)) < 3


def _highest(report: dict[str, Any]) -> float:
    ticks = [one for one in _texts(draw_levers(report, narrow=False)) if one.startswith("+")]
    return max(float(one) for one in ticks)
