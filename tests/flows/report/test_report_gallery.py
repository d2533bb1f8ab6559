"""What the report shows of pictures: worst and edge per check, groups, classes, two metrics."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.core.check import load_checks
from checks.metrics.turns import TURNS
from flows.app.store import RunFolder
from flows.report import build_report, dump_report, render_html
from flows.report.axes import Axis, fit_axis
from flows.report.duplicates import _TURN, GROUPS_MAX, group_duplicates
from flows.report.figures import wilson
from flows.report.heatmap import map_classes
from flows.report.measures import measure_check
from flows.report.scatter import POINTS_MAX, SIDE, describe_scatter, draw_pair
from tests.flows.report.made_findings import IDS, make_findings, make_samples

PAGE_BYTES_MAX = 1_500_000


def count_conserved(told: dict[str, Any], measured: int, flagged: int) -> bool:
    """Say whether a histogram holds every measured and every flagged sample once."""
    return (sum(told["counts"]), sum(told["flagged"])) == (measured, flagged)


def test_a_check_is_told_by_its_first_metric() -> None:
    """The histogram holds every sample, marks the threshold and says on which side lie the hits."""
    check = load_checks()["too_dark"]
    values = [i / 100 for i in range(100)]
    metrics = pl.DataFrame({"sample_id": IDS[:101], "luma_p99": [*values, None],
                            "midtone_frac": [0.0] * 101})  # fmt: skip
    measure = measure_check(check, make_findings("too_dark", IDS[:32]), metrics, None)
    told = measure.told
    assert told is not None
    assert count_conserved(told, 100, 32)
    assert (told["name"], told["side"], told["decides"]) == ("luma_p99", "below", True)
    assert told["unmeasured"] == 1
    assert told["threshold_at"] == pytest.approx(0.32 / 0.99, abs=0.01)
    worst = measure.ranked.sort("beyond", descending=True)["sample_id"]
    assert worst.to_list() == IDS[:32]


def test_a_threshold_that_does_not_decide_is_told_as_such() -> None:
    """Where most of what lies past the threshold is not flagged, another condition decides."""
    metrics = pl.DataFrame({"sample_id": IDS, "luma_p99": [i / 4000 for i in range(400)],
                            "midtone_frac": [0.0] * 400})  # fmt: skip
    measure = measure_check(
        load_checks()["too_dark"], make_findings("too_dark", IDS[:5]), metrics, None
    )
    assert measure.told is not None
    assert not measure.told["decides"]


def test_a_check_without_threshold_is_ranked_by_distance() -> None:
    """A check that only compares with the set ranks by the metric in which one is farthest out."""
    check = load_checks()["odd_size"]
    sizes = [1000 + i % 7 for i in range(398)] + [5, 900_000]
    metrics = pl.DataFrame({"sample_id": IDS, check.needs[0]: sizes})
    for name in check.needs[1:]:
        metrics = metrics.with_columns(pl.lit(1).alias(name))
    measure = measure_check(check, make_findings("odd_size", IDS[397:]), metrics, None)
    ranked = measure.ranked.sort("beyond", descending=True)
    assert set(ranked["sample_id"][:2]) == {IDS[398], IDS[399]}
    assert ranked["metric"].to_list()[0] == check.needs[0]


def test_a_metric_that_is_no_number_is_counted() -> None:
    """A check on the colour mode shows how many samples have which, the flagged ones first."""
    metrics = pl.DataFrame({"sample_id": IDS[:40], "mode": ["CMYK"] * 3 + ["RGB"] * 37})
    measure = measure_check(
        load_checks()["minority_mode"], make_findings("minority_mode", IDS[:3]), metrics, None
    )
    assert measure.told == {"name": "mode", "more": 0, "values": [
        {"value": "CMYK", "count": 3, "flagged": 3}, {"value": "RGB", "count": 37, "flagged": 0},
    ]}  # fmt: skip
    assert measure.ranked["kind"].to_list() == ["CMYK"] * 3


def test_a_ranking_check_is_told_by_its_score() -> None:
    """A set check that scores every sample shows the score of all, with its own threshold."""
    check = next(one for one in load_checks().values() if one.score == "outlier_score")
    scores = pl.DataFrame({"sample_id": IDS[:100], "outlier_score": [i / 10 for i in range(100)]})
    findings = make_findings(check.id, IDS[90:100], value=[i / 10 for i in range(90, 100)],
                             threshold=8.95)  # fmt: skip
    told = measure_check(check, findings, None, scores).told
    assert told is not None
    assert count_conserved(told, 100, 10)
    assert (told["side"], told["threshold"]) == ("above", 8.95)


def test_worst_and_edge_stand_apart(gallery_run: Any, gallery_report: Any) -> None:
    """Of many findings the 8 worst and the 4 nearest to the threshold are shown, in that order."""
    section = gallery_report["findings"][0]
    metric = section["measure"]["name"]
    values = pl.read_parquet(gallery_run.path / "metrics.parquet").join(
        pl.read_parquet(gallery_run.path / "findings.parquet").filter(
            pl.col("check_id") == section["check_id"]
        ),
        on="sample_id", how="semi",
    )[metric].sort(descending=section["measure"]["side"] == "above").to_list()  # fmt: skip
    shown = [(e["measured"], e["edge"]) for e in section["examples"]]
    want = [(v, False) for v in values[:8]] + [(v, True) for v in values[-4:]]
    assert shown == [(pytest.approx(v, rel=1e-5), edge) for v, edge in want]
    assert section["more"] == len(values) - 12


@pytest.mark.parametrize("how", TURNS)
def test_every_turn_has_its_words(how: str) -> None:
    """What the copies' check calls a mirrored or turned copy is what the report calls it."""
    found = _TURN.search(f"differs from {IDS[0]} in 2 of 256 bits, {how}")
    assert found is not None
    assert found.group() == how


def test_copies_say_what_differs() -> None:
    """Keeper first; a copy is told by turn, bits and size, and exact ones as the same bytes."""
    samples = make_samples(["a"] * 3, xxh3_128=["1" * 32, "1" * 32, "2" * 32])
    metrics = pl.DataFrame({"sample_id": IDS[:3], "width_px": [400, 400, 200],
                            "height_px": [300, 300, 150],
                            "jpeg_quality": [90, 90, 60]})  # fmt: skip
    findings = pl.concat([
        make_findings("exact_duplicate", IDS[1:2], dimension="duplicate", value=2.0,
                      suggestion=IDS[0]),
        make_findings("near_duplicate", IDS[2:3], dimension="duplicate", value=7.0, threshold=40.0,
                      suggestion=IDS[0], evidence="in 7 of 256 bits, mirrored left to right"),
    ])  # fmt: skip
    (group,) = group_duplicates(findings, samples, None, metrics)["groups"]
    assert [(m["role"], m["differs"]) for m in group["members"]] == [
        ("keeper", []),
        ("copy", ["the same bytes"]),
        ("copy", ["mirrored left to right", "7 of 256 bits", "200 \u00d7 150 px",
                  "JPEG quality 60"]),
    ]  # fmt: skip
    assert [m["value"] for m in group["members"]] == [None, None, 7.0]


def test_leaks_then_conflicts_come_first() -> None:
    """Leaks stand before label conflicts before plain copies, and none fills the page alone."""
    count = 90
    content = [f"{i // 2:032x}" for i in range(count)]
    split = ["test" if i < 30 and i % 2 == 0 else "train" for i in range(count)]
    label = ["b" if 30 <= i < 60 and i % 2 else "a" for i in range(count)]
    samples = make_samples(label, xxh3_128=content, split=split)
    findings = pl.concat([
        make_findings("cross_split_leak", IDS[1:30:2], dimension="leak", suggestion=IDS[0:30:2]),
        make_findings("conflicting_labels", IDS[30:60], dimension="incorrect"),
        make_findings("exact_duplicate", IDS[61:count:2], dimension="duplicate",
                      suggestion=IDS[60:count:2]),
    ])  # fmt: skip
    told = group_duplicates(findings, samples, None)
    kinds = [(g["crosses_splits"], g["labels_differ"]) for g in told["groups"]]
    assert kinds == [(True, False)] * 4 + [(False, True)] * 4 + [(False, False)] * 4
    assert (told["total"], told["more"]) == (45, 45 - GROUPS_MAX)
    assert {g["members"][0]["role"] for g in told["groups"][4:8]} == {"first"}


def test_near_conflicts_stand_beside_what_they_contradict() -> None:
    """A label conflict between near copies is one group, made from the sample it names."""
    samples = make_samples(["a", "b", "c"])
    findings = make_findings(
        "conflicting_labels", IDS[:2], dimension="incorrect",
        evidence=[f"labelled 'x', but 'y' on the near copy {other} (3 of 256 bits differ)"
                  for other in (IDS[1], IDS[0])],
    )  # fmt: skip
    (group,) = group_duplicates(findings, samples, None)["groups"]
    assert {m["sample_id"] for m in group["members"]} == set(IDS[:2])
    assert (group["size"], group["labels_differ"]) == (2, True)
    assert group["members"][1]["differs"] == ["3 of 256 bits"]


def test_the_class_map_counts_samples_once() -> None:
    """Shares are of the class, bounds are Wilson's, two cells of one row count once."""
    samples = make_samples(["a"] * 10 + ["b"] * 90)
    findings = pl.concat([
        make_findings("one", [*IDS[:3], IDS[0]], column=["x", "x", "x", "y"]),
        make_findings("two", IDS[2:30]),
    ])  # fmt: skip
    told = map_classes(findings, samples, ["one", "two"])
    assert told is not None
    assert [(r["label"], r["size"], r["any"], r["flagged"]) for r in told["rows"]] == [
        ("a", 10, 10, [3, 8]), ("b", 90, 20, [0, 20]),
    ]  # fmt: skip
    assert told["rows"][0]["lows"][0] == wilson(3, 10)[1]
    assert [c["flagged"] for c in told["checks"]] == [3, 28]


def test_one_class_has_no_map() -> None:
    """A set of one class, or without findings, gets no class map."""
    samples = make_samples(["a"] * 10)
    assert map_classes(make_findings("one", IDS[:3]), samples, ["one"]) is None
    assert map_classes(None, samples, []) is None


def test_the_scatter_holds_what_it_says(gallery_report: Any) -> None:
    """At most 1,500 points, flagged ones first; the drawn paths are the points' places."""
    told = gallery_report["scatter"]
    assert (told["shown"], told["total"]) == (POINTS_MAX, 2000)
    assert len(told["metrics"]) == 8
    assert len(told["pairs"]) == 28
    pair = told["pairs"][told["first"]]
    plain, hit = (read_path(path) for path in draw_pair(told, pair))
    places = list(zip(told["places"][pair["x"]], told["places"][pair["y"]], strict=True))
    flagged = {*told["flagged"][pair["x"]], *told["flagged"][pair["y"]]}
    there = {i for i, place in enumerate(places) if -1 not in place}
    assert hit == {places[i] for i in flagged & there}
    assert plain == {places[i] for i in there - flagged}


def read_path(path: str) -> set[tuple[int, int]]:
    """Return the points of a path of relative moves, y upwards."""
    at, points = np.zeros(2, np.int64), set()
    for step in re.findall(r"m(-?\d+) ?(-?\d+)h0", path):
        at += np.array(step, np.int64)
        points.add((int(at[0]), SIDE - int(at[1])))
    return points


def test_rank_correlation_is_spearmans() -> None:
    """Monotone is 1, reversed is -1, and a metric that repeats another is left out."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=300)
    samples = make_samples(["a"] * 300, byte_size=[7] * 300)
    metrics = pl.DataFrame({
        "sample_id": IDS[:300], "luma_mean": base, "luma_std": np.exp(base),
        "entropy_bits": -base + rng.normal(size=300) / 3,
    })  # fmt: skip
    told = describe_scatter(samples, metrics, None, {})
    assert told is not None
    assert [m["name"] for m in told["metrics"]] == ["luma_mean", "entropy_bits"]
    assert told["pairs"][0]["rho"] == pytest.approx(-0.95, abs=0.03)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_what_was_not_measured_is_not_drawn(bad: float | None) -> None:
    """NaN, infinity and null have no place; the others keep theirs."""
    samples = make_samples(["a"] * 20, byte_size=list(range(20)))
    metrics = pl.DataFrame({"sample_id": IDS[:20], "luma_mean": [bad, *range(1, 20)]},
                           strict=False)  # fmt: skip
    told = describe_scatter(samples, metrics, None, {})
    if told is not None:
        assert told["places"][0][0] == -1 or bad == float("inf")
        assert min(told["places"][0][1:]) >= 0


def test_cards_hold_every_split(gallery_report: Any) -> None:
    """The shares of a card sum to one in each split, and the counts are the measured samples."""
    report = gallery_report
    assert {"luma_mean", "luma_std", "sharpness_p90", "area_px", "aspect_ratio"} <= {
        card["name"] for card in report["cards"]
    }
    for card in report["cards"]:
        assert [one["split"] for one in card["splits"]] == ["train", "val", "test"]
        assert sum(one["count"] for one in card["splits"]) == 2000
        assert all(sum(one["shares"]) == pytest.approx(1, abs=0.01) for one in card["splits"])


def test_axes_are_linear_until_they_cannot_be() -> None:
    """A skewed metric gets a logarithmic axis; a far threshold does not squeeze the values."""
    assert fit_axis(np.arange(100.0)) == Axis(0.0, 99.0)
    skewed = fit_axis(np.geomspace(1, 1e6, 200))
    assert skewed is not None
    assert skewed.log
    assert fit_axis(np.arange(100.0), held=1e6) == Axis(0.0, 99.0)
    assert fit_axis(np.arange(100.0), held=110.0) == Axis(0.0, 110.0)


def test_changes_since_the_last_profile_are_told(image_run: Any) -> None:
    """What the profile says of added, removed and changed files stands on the page, escaped."""
    changes = {"added": 3, "removed": 0, "changed": 1, "touched": 2, "changed_in_place": 1,
               "examples": {"added": ["<b>.jpg"], "changed_in_place": ["rot.jpg"]}}  # fmt: skip
    RunFolder(image_run.path).write_json("profile.json", {"modality": "image", "changes": changes})
    html = render_html(build_report(image_run.path, **image_run.options()))
    assert "Since the last profile: 3 added" in html
    assert "&lt;b&gt;.jpg" in html
    assert "1 changed in place" in html
    assert "removed" not in html.partition("Since the last profile")[2][:400]


def test_history_is_not_compared(image_run: Any) -> None:
    """Changes since the last profile belong to the occasion: they differ between equal runs."""
    profile = {"modality": "image", "changes": {"added": 3}}
    RunFolder(image_run.path).write_json("profile.json", profile)
    report = build_report(image_run.path, **image_run.options())
    assert report["occasion"]["changes"]["counts"]["added"] == 3
    assert "changes" not in report["source"]


def test_the_gallery_stays_small(gallery_report: Any) -> None:
    """With 40 classes, 30 checks and 8 metrics the page is below 1.5 MB beside its pictures."""
    heatmap = gallery_report["heatmap"]
    assert (len(heatmap["rows"]), len(heatmap["checks"])) == (40, 30)
    html = render_html(gallery_report)
    pictures = re.findall(r'src="(data:[^"]+)"', html)
    assert len(pictures) == 30 * 12
    assert len(html.encode()) - sum(map(len, pictures)) < PAGE_BYTES_MAX


def test_two_builds_of_the_gallery_are_equal(gallery_run: Any) -> None:
    """The same tables give the same bytes, in whatever order their rows lie in memory."""
    one = dump_report(build_report(gallery_run.path, **gallery_run.options()))
    path = gallery_run.path / "metrics.parquet"
    pl.read_parquet(path).sample(fraction=1, shuffle=True, seed=1).write_parquet(path)
    two = json.loads(dump_report(build_report(gallery_run.path, **gallery_run.options())))
    assert json.loads(one)["scatter"] == two["scatter"]
    assert json.loads(one)["findings"] == two["findings"]
