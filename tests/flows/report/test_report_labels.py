"""What the report tells of labels: whole, in parts, not at all, and of hostile names."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

from checks.core.slice_rates import tell_slices
from flows.app.store import RunFolder
from flows.report import build_report, render_html, render_markdown
from flows.report.label_noise import describe_noise, draw_budgets
from flows.report.slices import describe_reviews, describe_slices
from tests.flows.report.made_labels import make_noise
from tests.flows.report.pages import assert_harmless, parse

PAGE_BYTES_MAX = 1_500_000
SECTIONS = ("labels", "harm", "slices", "reviews")
WORST = "&\u202e<b>'\"" * 40
OLD = {"noise_floor": 0.04, "estimated_precision": 0.86, "planted_recall": 0.91}


def page_of(made: Any) -> tuple[dict[str, Any], str]:
    """Return the report of a made run and its page."""
    report = build_report(made.path, **made.options())
    return report, render_html(report)


def section_of(html: str, name: str) -> str:
    """Return one section of a page, without its tags and with single blanks."""
    found = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found.group(0)).split()) if found else ""


def replace_facts(made: Any, **facts: Any) -> None:
    """Let a run's checks have measured these facts and no others."""
    RunFolder(made.path).write_json("checks.json", {"facts": facts})


def test_noise_is_told_whole(image_run: Any) -> None:
    """Sentence, count with interval, precision, cells with intervals, cut and pairs are there."""
    _, html = page_of(image_run)
    told = section_of(html, "labels")
    assert "15 flagged, of which about 86 % are wrong" in told
    assert "95 % interval 11 to 27, of 96 judged" in told
    assert "95 % interval 78 % to 92 %" in told
    assert "the cut: 16 %" in told
    assert "verdicts on 40 train labels are heard: 17 were wrong, where 12.3 had been" in told
    assert "asked of the flags' low bound: 80 %" in told
    assert 'class="goal"' in html
    assert 'title="3, labelled 4: 17 % (16 % to 19 %)"' in html
    assert html.count('class="own"') == 10
    assert told.index("Most frequent mistakes") < told.index("How a network took them")


def test_many_classes_have_pairs_only(image_run: Any) -> None:
    """Beyond twenty classes there is no map, on the page or in the data, but its worst pairs."""
    names = [f"class {at}" for at in range(21)]
    replace_facts(image_run, unlikely_label=make_noise(names))
    report, html = page_of(image_run)
    noise = report["labels"]["noise"]
    assert (noise["matrix"], noise["class_count"], len(noise["pairs"])) == (None, 21, 8)
    assert "The whole matrix of 21 classes is in checks.json." in section_of(html, "labels")
    assert 'class="heat noise"' not in html


def test_facts_of_older_runs_leave_parts_out(image_run: Any) -> None:
    """Facts without matrix, budgets and count give the two figures that they hold."""
    replace_facts(image_run, unlikely_label=OLD)
    report, html = page_of(image_run)
    told = section_of(html, "labels")
    assert "Wrong among the flagged, estimated 86 %" in told
    assert "Planted flips that are found 91 %" in told
    assert "What more flags would bring" not in told
    assert "verdicts" not in told
    assert report["labels"]["noise"]["wrong"] is None
    assert report["harm"] is None


@pytest.mark.parametrize("kind", ["image_run", "table_run"])
def test_nothing_is_shown_of_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    """Without facts, decisions and a training no section on labels is on the page, nor a link."""
    made = request.getfixturevalue(kind)
    for name in ("checks.json", "clean.json", "dynamics.parquet"):
        (made.path / name).unlink()
    report, html = page_of(made)
    assert [report[name] for name in SECTIONS] == [None] * 4
    assert [name for name in SECTIONS if f'"#{name}"' in html or f'id="{name}"' in html] == []
    assert "Labels:" not in render_markdown(report)


def test_a_clean_set_is_said_to_be_clean() -> None:
    """Where none is flagged the curve has no cut, and nothing has a precision."""
    facts = make_noise(["a", "b"], flagged=0) | {"says": "none found", "estimated_precision": None}
    noise = describe_noise(facts)
    assert noise is not None
    assert (noise["flagged"], noise["precision"]) == (0, None)
    curve = draw_budgets(noise)
    assert curve is not None
    assert curve["cut"] is None
    assert draw_budgets(noise | {"budgets": noise["budgets"][:1]}) is None


def test_the_curve_lies_where_its_figures_are() -> None:
    """Precision 0.97 - 0.9 x share is drawn at its heights, and the cut lies between the ends."""
    noise = describe_noise(make_noise(["a", "b"]))
    assert noise is not None
    curve = draw_budgets(noise)
    assert curve is not None
    ends = re.findall(r"[\d.]+ [\d.]+", curve["precision"])
    assert (ends[0], ends[-1]) == ("0 6.2", f"{curve['wide']} {curve['tall'] * 0.48:g}")
    assert 0 < curve["cut"]["at"] < curve["wide"]
    assert curve["goal"] == pytest.approx(0.2 * curve["tall"])
    assert curve["band"].endswith("Z")


def test_a_matrix_that_is_none_is_left_out() -> None:
    """A matrix whose bounds have another shape, or one class, is not drawn."""
    facts = make_noise(["a", "b"])
    for broken in ({"low": [[0.0]]}, {"classes": ["a"]}, {"high": None}):
        noise = describe_noise(facts | {"noise_matrix": facts["noise_matrix"] | broken})
        assert noise is not None
        assert noise["matrix"] is None


def test_ten_that_hurt_have_pictures(image_run: Any) -> None:
    """Each of the ten is pictured, with its label, value, what it did and what was decided."""
    report, html = page_of(image_run)
    rows = report["harm"]["rows"]
    assert [row["value"] for row in rows] == sorted(row["value"] for row in rows)
    assert {row["sample_id"] for row in rows} <= set(report["thumbnails"])
    pictures = [
        a for tag, a in parse(html[html.index('<section id="harm"') :]).tags if tag == "img"
    ]
    assert len(pictures) >= 10
    told = section_of(html, "harm")
    assert "Ten samples that hurt most" in told
    assert "\u22120.42 pp" in told
    assert "2 → 5" in told
    assert "near 24 of those asked about, 23 with another label" in told


def test_rows_that_hurt_have_cells(table_run: Any) -> None:
    """In a table the cells of each row stand beside its value."""
    report, html = page_of(table_run)
    assert [name for name, _ in report["harm"]["rows"][1]["cells"]] == [
        "carrier", "air_time", "distance",
    ]  # fmt: skip
    assert "air_time" in section_of(html, "harm")


def test_samples_that_are_gone_are_passed_over(image_run: Any) -> None:
    """A sample that the run no longer holds is left out, and the title counts those that are."""
    facts = RunFolder(image_run.path).read_json("checks.json")["facts"]
    hurt = facts["harmful_sample"]["hurt_most"]
    gone = {**hurt[0], "sample_id": "f" * 32 + "-0"}
    replace_facts(
        image_run, harmful_sample=facts["harmful_sample"] | {"hurt_most": [gone, hurt[1]]}
    )
    assert section_of(page_of(image_run)[1], "harm").startswith("One sample that hurts most")


def test_slices_that_differ_are_marked(image_run: Any) -> None:
    """The annotator who errs is first, with ratio, interval and p, and only three are marked."""
    report, html = page_of(image_run)
    told = report["slices"]
    assert (told["rows"][0]["value"], told["rows"][0]["differs"]) == ("eve", True)
    assert section_of(html, "slices").count("differs") == told["differ"] == 3
    assert "6.40 \u00d7" in section_of(html, "slices")


def test_slices_that_do_not_differ_are_a_sentence() -> None:
    """Where no slice differs, and where nothing is flagged, one sentence says so."""
    frame = pl.DataFrame({"flagged": [True, False] * 20, "dropped": [False] * 40,
                          "who": ["ada"] * 20 + ["bob"] * 20})  # fmt: skip
    same = describe_slices({"slices": tell_slices(frame, ["who"])})
    none = describe_slices({"slices": tell_slices(frame.with_columns(flagged=False), ["who"])})
    assert same is not None
    assert none is not None
    assert same["sentence"].startswith("No slice is flagged or taken out at another rate")
    assert none["sentence"] == "Nothing is flagged, so none of 2 slices stands out."
    assert describe_slices({"slices": tell_slices(frame, [])}) is None


def test_reviews_are_told(image_run: Any) -> None:
    """Both rates with intervals, the estimate beside, disagreements and what was not heard."""
    _, html = page_of(image_run)
    told = section_of(html, "reviews")
    assert "83 % 52 % to 98 %, 12 reviewed; estimated 86 %" in told
    assert "4 % 0 % to 20 %, 25 reviewed" in told
    assert "2 verdicts on a label that has changed since; 1 on samples that are quarantined" in told
    assert "ada: wrong (3)" in told


def test_stale_reviews_alone_are_told(image_run: Any) -> None:
    """Verdicts of which none is heard any more give no rate but a sentence."""
    clean = RunFolder(image_run.path).read_json("clean.json")
    stale = {"samples": 0, "stale": 1, "rates": {"flagged": {"share": None}}, "disputes": []}
    RunFolder(image_run.path).write_json(
        "clean.json", clean | {"reviews": stale, "overrides_without_effect": 0}
    )
    told = section_of(page_of(image_run)[1], "reviews")
    assert told == "What people found Not heard: 1 verdict on a label that has changed since."
    assert describe_reviews({"reviews": {}}, None, None) is None


def test_flagged_labels_are_those_a_network_missed(image_run: Any) -> None:
    """Training dynamics are summed up over flagged and other train labels, each sample once."""
    report, _ = page_of(image_run)
    flagged, rest = report["labels"]["training"]
    assert (flagged["name"], rest["name"]) == ("flagged", "not flagged")
    assert flagged["samples"] + rest["samples"] == 96
    assert flagged["correct_frac"] < 0.2 < rest["correct_frac"]
    assert flagged["margin"] < 0 < rest["margin"]


def test_other_checks_say_their_sentences(image_run: Any) -> None:
    """What checks of the whole set found is a line, linked to its finding; unfound is not told."""
    run = RunFolder(image_run.path)
    findings, facts = run.read_table("findings"), run.read_json("checks.json")["facts"]
    one = findings.head(1).with_columns(
        check_id=pl.lit("missing_class"), evidence=pl.lit("'<b>' has 3 samples in test")
    )
    run.write_table("findings", pl.concat([findings, one]))
    replace_facts(image_run, **facts, missing_class={"missing": ["'<b>' has 3 samples in test"]},
                  property_label_leak={"clearest": "luma for 0"})  # fmt: skip
    report, html = page_of(image_run)
    assert [other["check_id"] for other in report["labels"]["others"]] == ["missing_class"]
    assert "&#39;&lt;b&gt;&#39; has 3 samples in test" in html
    assert_harmless(html)


def test_markdown_tells_of_labels(table_run: Any) -> None:
    """The short page has the sentence on labels, that on slices, and both reviewed rates."""
    text = render_markdown(build_report(table_run.path, **table_run.options()))
    for said in ("- Labels: 10 flagged", "- Slices: 2 of 5", "- Reviewed: 83 % of the flagged"):
        assert said in text


def test_hostile_names_are_shown_as_they_are(table_run: Any) -> None:
    """Classes, columns, slices and reviewers named after markup run nothing and stay small."""
    run = RunFolder(table_run.path)
    noise = make_noise([f"{WORST}{at}" for at in range(20)])
    facts = run.read_json("checks.json")["facts"] | {"unlikely_label": noise}
    hurt = [one | {"label": WORST} for one in facts["harmful_sample"]["hurt_most"]]
    facts["harmful_sample"] |= {"hurt_most": hurt, "asked_about": WORST}
    replace_facts(table_run, **facts)
    clean = run.read_json("clean.json")
    row = clean["slices"]["rows"][0] | {"slice": WORST, "value": WORST}
    clean["slices"] |= {"rows": [row] * 50, "slices": 60}
    clean["reviews"] |= {"reviewers": [WORST] * 99}
    dispute = clean["reviews"]["disputes"][0] | {"said": [WORST] * 99}
    clean["reviews"] |= {"disputes": [dispute], "disputed": 99}
    run.write_json("clean.json", clean)
    _, html = page_of(table_run)
    assert_harmless(html)
    assert "\u202e" not in html
    own = [re.search(rf'<section id="{n}".*?</section>', html, re.DOTALL) for n in SECTIONS]
    assert sum(len(one.group(0).encode()) for one in own if one) < PAGE_BYTES_MAX / 3
