"""What the page says of held-out rows that are read filled, and of runs that could not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.report import build_report, render_html
from tests.flows.report.made_experiment import make_experiment
from tests.flows.report.pages import assert_harmless

UNTOUCHED = "nothing of it or of the validation split was cleaned"


def _build(run: Any, experiment: dict[str, Any]) -> tuple[dict[str, Any], str]:
    (run.path / "experiment.json").write_text(json.dumps(experiment))
    report = build_report(run.path, **run.options())
    return report, render_html(report)


def _read_filled() -> dict[str, Any]:
    """Twelve held-out rows are read filled, which makes half of what cleaning gains."""
    experiment = make_experiment()
    experiment["facts"]["held_out_filled"] = 12
    tier = experiment["tiers"]["train"]
    main = next(e for e in tier["effects"] if (e["arm"], e["versus"]) == ("cleaned", "raw"))
    half = {"estimate": 0.008, "low": 0.004, "high": 0.012}
    tier["effects"] += [
        {**main, **half, "arm": "raw_filled"},
        {**main, **half, "versus": "raw_filled"},
    ]
    row = next(arm for arm in tier["arms"] if arm["arm"] == "raw")
    tier["arms"].append({**row, "arm": "raw_filled"})
    speedup = {**tier["speedups"][-1], "versus": "raw_filled"}
    tier["speedups"].append(speedup)
    experiment["verdict"]["speedup"] = speedup
    return experiment


def test_the_page_says_how_many_rows_are_read_filled(table_run: Any) -> None:
    """The count, the rule and both parts of the effect are told, and no arm is called untouched."""
    report, html = _build(table_run, _read_filled())
    assert_harmless(html)
    assert "12 of these rows had gaps, which the rule that was fitted on train alone fills" in html
    assert UNTOUCHED not in html
    facts = {fact["name"]: fact for fact in report["verdict"]["facts"]}
    assert facts["Of it by reading alone"]["value"] == "+0.80 pp"
    assert facts["Of it by training"]["interval"] == "[+0.40, +1.20]"
    assert "raw, read filled" in facts["Convergence, raw to cleaned"]["note"]
    assert "cleaned against raw, read filled" in html


def test_a_page_without_filled_rows_says_that_nothing_was_cleaned(table_run: Any) -> None:
    """Where no held-out row is read filled, the page says so, and of what the digest is."""
    report, html = _build(table_run, make_experiment())
    assert UNTOUCHED in html
    assert "The digest of the test rows, features as they came and labels" in html
    assert not [one for one in report["verdict"]["facts"] if "reading" in one["name"]]


def test_runs_that_cannot_tell_promise_no_smallest_effect(table_run: Any) -> None:
    """A verdict on runs that learnt nothing has no effect that it could have seen."""
    experiment = make_experiment()
    plain, _ = _build(table_run, experiment)
    experiment["verdict"] |= {"word": "undecided", "blind": {"why": "unlearnt", "commonest": 0.96}}
    blind, _ = _build(table_run, experiment)
    names = [{fact["name"] for fact in one["verdict"]["facts"]} for one in (plain, blind)]
    assert names[0] - names[1] == {"Smallest effect it could see"}


@pytest.mark.parametrize(
    ("sign", "said"),
    [(True, "agree in sign"), (False, "differ in sign"), (None, "not both clear of zero")],
)
def test_tiers_agree_only_where_both_are_clear(
    table_run: Any, sign: bool | None, said: str
) -> None:
    """Tiers of which one is not clear of zero neither agree nor differ."""
    experiment = make_experiment()
    experiment["agreement"]["sign"] = sign
    assert _tiers(table_run, experiment) == said


def test_tiers_that_are_both_equivalent_say_so(table_run: Any) -> None:
    """No difference that matters in either tier is agreement, whatever the signs."""
    experiment = make_experiment()
    experiment["agreement"] |= {
        "sign": None,
        "words": {"probe": "equivalent", "train": "equivalent"},
    }
    assert _tiers(table_run, experiment) == "both equivalent"


def _tiers(table_run: Any, experiment: dict[str, Any]) -> str:
    report, _ = _build(table_run, experiment)
    facts = {fact["name"]: fact["value"] for fact in report["verdict"]["facts"]}
    return str(facts["Tiers"])
