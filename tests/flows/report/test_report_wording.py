"""Words of the report that were wrong or cut: evidence, titles, numbers, what is only estimated."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.check import load_checks
from flows.app.store import RunFolder
from flows.report import build_report, render_html
from flows.report.examples import choose_examples
from flows.report.measures import measure_check
from flows.report.words import told, typeset
from tests.flows.report.made_findings import IDS, make_findings, make_samples
from tests.flows.report.made_labels import make_noise

GUESSED = "it does not tell which labels they are"


@given(text=st.text("abc -\u202e\n", max_size=90), limit=st.integers(8, 40))
def test_sentences_are_cut_at_their_end(text: str, limit: int) -> None:
    """What fits stays as it is; what does not keeps its beginning and ends after a word."""
    shown = told(text, limit)
    if text.isprintable() and text.isascii():
        assert len(shown) <= limit + 1
        assert (shown == text) == (len(text) <= limit)
        assert shown == text or (shown[-1] == "\u2026" and text.startswith(shown[:-1]))
        assert shown == text or " " not in text[:limit] or text[len(shown) - 1] in " -abc"
    assert "\u202e" not in shown
    assert "\n" not in shown


def test_evidence_is_read_whole(table_run: Any) -> None:
    """A sentence of 200 characters stands in the table of findings as it was said."""
    path = table_run.path / "findings.parquet"
    said = "The cell says " + " and ".join(["something of its neighbours"] * 6)
    findings = pl.read_parquet(path)
    evidence = pl.concat_str(pl.lit(said), pl.int_range(pl.len()).cast(pl.String), separator=" ")
    findings.with_columns(evidence=evidence).write_parquet(path)
    assert said in render_html(build_report(table_run.path, **table_run.options()))


def test_signs_are_set_and_names_stay() -> None:
    """Numbers get true signs; dates, names and ranges keep their hyphens."""
    assert (
        typeset("(-0.5 to +1.2 %), inside +-0.3") == "(\u22120.5 to +1.2\u00a0%), inside \u00b10.3"
    )
    kept = "2021-01-05 row-1 A-3 well-known 3-4"
    assert typeset(kept) == kept


def test_only_bits_are_called_bits() -> None:
    """The values of a check are named by what its threshold bounds, or as bits between pictures."""
    names = {}
    for check_id, threshold in (("property_label_leak", 0.5), ("near_duplicate", 40.0)):
        findings = make_findings(
            check_id, IDS[:9], dimension="leak", threshold=threshold,
            value=[threshold + i / 10 for i in range(9)],
        )  # fmt: skip
        measure = measure_check(load_checks()[check_id], findings, None, None)
        assert measure.told is not None
        names[check_id] = measure.told["name"]
    assert names == {"property_label_leak": "gap", "near_duplicate": "distance in bits"}


def test_the_edge_is_nearest_to_the_threshold_whatever_its_severity() -> None:
    """A third of the pictures shown are those nearest to the threshold, be they errors or not."""
    values = [0.5 + i / 100 for i in range(1, 31)]
    severity = ["error" if i % 2 else "warning" for i in range(30)]
    samples = make_samples(["a"] * 30)
    findings = make_findings("too_dark", IDS[:30], value=values, threshold=0.5, severity=severity)
    ranked = findings.select(
        "sample_id", metric=pl.lit("m"), measured="value", deviations=pl.lit(None, pl.Float64),
        kind=pl.lit(None, pl.String), beyond=pl.col("value") - 0.5,
    )  # fmt: skip
    outcome = samples.select("sample_id", outcome=pl.lit("kept"), action=pl.lit("keep"),
                             decided_by=pl.lit("policy"))  # fmt: skip
    shown = choose_examples(findings, samples, outcome, limit=6, ranked=ranked, edge=True)
    assert [e["value"] for e in shown if e["edge"]] == values[1::-1]
    assert [e["value"] for e in shown if not e["edge"]] == pytest.approx([0.8, 0.78, 0.76, 0.74])


@pytest.mark.parametrize("flagged", [0, 3])
def test_an_estimate_is_called_one_where_nothing_is_flagged(image_run: Any, flagged: int) -> None:
    """With no label flagged the counts of wrong labels are told as an estimate, else as before."""
    facts = {"unlikely_label": make_noise(["a", "b", "c"], flagged=flagged)}
    RunFolder(image_run.path).write_json("checks.json", {"facts": facts})
    html = render_html(build_report(image_run.path, **image_run.options()))
    assert (GUESSED in html) == (not flagged)
    assert ("Labels that look wrong" in html) == bool(flagged)
    assert ("Most frequent mistakes, by estimate only" in html) == (not flagged)


def test_row_numbers_are_explained_once(table_run: Any, image_run: Any) -> None:
    """A table's page says where its rows begin to count; a page of pictures has no rows."""
    pages = [render_html(build_report(r.path, **r.options())) for r in (table_run, image_run)]
    assert [page.count("row 0 is the first of its file") for page in pages] == [1, 0]


def test_one_is_no_many(image_run: Any, table_run: Any) -> None:
    """One further slice is told in the singular, and so is one column or row."""
    report = build_report(image_run.path, **image_run.options())
    report["slices"] |= {"rows": report["slices"]["rows"][:1] * 11, "slices": 11}
    pages = [render_html(one) for one in (report, build_report(table_run.path))]
    assert "<summary>One more slice</summary>" in pages[0]
    many = re.compile(r"(?<![\d.\u202f])1 (?:columns|rows|slices|cells|checks)\b")
    assert not [found for page in pages for found in many.findall(page)]
