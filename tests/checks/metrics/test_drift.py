"""Drift: exact against a slow oracle, silent without drift, loud on planted shifts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.core.errors import TableError
from checks.metrics.baseline import Baseline, compare_baseline, flatten, make_baseline
from checks.metrics.bins import Bins, cut, cut_numbers, plain, revive
from checks.metrics.drift import COUNT_MIN, Limits, compare

Draw = Callable[[np.random.Generator, int], Any]
KINDS: tuple[Draw, ...] = (
    lambda rng, n: rng.normal(size=n),
    lambda rng, n: rng.lognormal(0, 1.5, n),
    lambda rng, n: rng.integers(0, 12, n),
    lambda rng, n: np.where(rng.random(n) < 0.8, 500, rng.integers(300, 600, n)),
    lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.beta(2, 6, n)),
    lambda rng, n: rng.choice(list("abcdefghij"), n),
    lambda rng, n: rng.choice(["JPEG", "PNG", "GIF"], n, p=[0.9, 0.08, 0.02]),
    lambda rng, n: (rng.zipf(1.6, n) % 100).astype(str),
)


def word_of(old: pl.Series, new: pl.Series, columns: int = 1) -> str:
    """How far `new` has moved from `old`."""
    bins = cut(old, "number" if old.dtype.is_numeric() else "category")
    counts = bins.count(old), bins.count(new)
    return compare(bins, *counts, columns=columns, limits=Limits()).word


@pytest.mark.parametrize(("n", "m"), [(60, 60), (400, 100)])
def test_false_alarms(n: int, m: int) -> None:
    """Without drift, at most 5 % of the runs call any of sixteen columns drifted."""
    rng, rounds = np.random.default_rng(20261125), 120
    alarms = 0
    for _ in range(rounds):
        words = {
            word_of(pl.Series(draw(rng, n)), pl.Series(draw(rng, m)), columns=16)
            for draw in KINDS * 2
        }
        alarms += bool(words & {"moderate", "large"})
    assert alarms <= 0.05 * rounds


def test_planted_shifts() -> None:
    """Brightness +20 %, blur, a doubled class of ten and a new format are found at n = 400."""
    rng = np.random.default_rng(3)
    luma, sharp = rng.beta(4, 5, (2, 400)), rng.lognormal(6, 0.8, (2, 400))
    shares = np.array([2, *[1] * 9]) / 11
    classes = rng.choice(10, 2000).astype(str), rng.choice(10, 2000, p=shares).astype(str)
    formats = pl.Series(["JPEG"] * 400), pl.Series(["JPEG"] * 380 + ["WEBP"] * 20)
    assert word_of(pl.Series(luma[0]), pl.Series(np.minimum(1, 1.2 * luma[1])), 30) != "stable"
    assert word_of(pl.Series(sharp[0]), pl.Series(sharp[1] / 4), 30) == "large"
    assert word_of(pl.Series(classes[0]), pl.Series(classes[1]), 30) == "moderate"
    assert word_of(*formats, 30) in ("moderate", "large")
    assert word_of(pl.Series([500] * 400), pl.Series([499] * 400), 30) == "large"


def test_small_sets_are_not_judged() -> None:
    """Below the least count nothing is said, however far apart the values lie."""
    few = pl.Series([0.0] * (COUNT_MIN - 1)), pl.Series([9.0] * (COUNT_MIN - 1))
    assert word_of(*few) == "not_judged"


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.7])
def test_ks_holds_the_exact_distance(shift: float) -> None:
    """The exact Kolmogorov-Smirnov distance lies between ks_d and ks_d_max, a fortieth apart."""
    from scipy.stats import ks_2samp  # noqa: PLC0415

    rng = np.random.default_rng(5)
    old, new = rng.normal(size=3000), rng.normal(shift, 1.2, 2000)
    bins = cut_numbers(pl.Series(old))
    counts = bins.count(pl.Series(old)), bins.count(pl.Series(new))
    effect = compare(bins, *counts, columns=1, limits=Limits())
    exact = ks_2samp(old, new).statistic
    assert effect.ks_d is not None
    assert effect.ks_d_max is not None
    assert effect.ks_d - 1e-6 <= exact <= effect.ks_d_max + 1e-6
    assert effect.ks_d_max - effect.ks_d <= 0.08


def test_counts_merge() -> None:
    """The counts of two halves add up to those of the whole, and order does not matter."""
    values = pl.Series(np.random.default_rng(1).normal(size=999))
    bins = cut_numbers(values)
    halves = [bins.count(values[:500]), bins.count(values[500:])]
    assert [a + b for a, b in zip(*halves, strict=True)] == bins.count(values)
    assert bins == cut_numbers(values.shuffle(seed=1))
    assert sum(bins.merge(bins.count(values))) == 999
    assert revive(json.loads(json.dumps(plain(bins)))) == bins


def test_missing_values_are_a_bin() -> None:
    """Null, NaN and infinity count as missing; a rise of missing values is drift."""
    bins = Bins("number", edges=(1.0,))
    assert bins.count(pl.Series([None, float("nan"), float("inf"), 0.5])) == [1, 0, 3]
    values = pl.Series(np.linspace(0, 1, 500))
    assert word_of(values, values.clone().scatter(range(100), None)) == "large"


def made(seed: int = 0, *, luma: float = 1.0) -> tuple[dict[Any, pl.DataFrame], pl.DataFrame]:
    """Metrics and labels of 300 samples."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({
        "sample_id": [str(i) for i in range(300)], "luma_mean": luma * rng.beta(3, 4, 300),
        "format": rng.choice(["JPEG", "PNG"], 300), "phash64": np.arange(300, dtype=np.uint64),
        "error": [f"text {i}" for i in range(300)],
    })  # fmt: skip
    samples = pl.DataFrame({"split": ["train", "val"] * 150, "label": ["a", "b", "c"] * 100})
    return {"metric": frame}, samples


def test_baseline_bytes() -> None:
    """A baseline is the same bytes for the same rows in any order, and reads back as it was."""
    values, samples = made()
    one = make_baseline(values, samples, {"run": "monday"})
    mixed = {"metric": values["metric"].sample(fraction=1, shuffle=True, seed=2)}
    assert make_baseline(mixed, samples, {"run": "monday"}).to_json() == one.to_json()
    assert Baseline.from_json(one.to_json(), "b.json") == one
    assert [c.name for c in one.columns] == ["label", "label", "format", "luma_mean"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace('"format"', '"formats"'), "changed after it was approved"),
        (lambda t: t.replace("baseline/1", "baseline/9"), "another layout"),
        (lambda t: t[:200], "no baseline"),
        (lambda _: "[]", "no baseline"),
        (lambda t: t.replace('"counts": [', '"counts": [-1,', 1), "no baseline"),
    ],
)
def test_broken_baselines(change: Callable[[str], str], said: str) -> None:
    """A baseline that is none, or was edited, is refused with a sentence."""
    values, samples = made()
    text = change(make_baseline(values, samples, {}).to_json())
    with pytest.raises(TableError, match=said):
        Baseline.from_json(text, "b.json")


def test_comparison_is_worst_first() -> None:
    """The column that moved stands first, with its medians; a lost metric is not judged."""
    values, samples = made()
    baseline = make_baseline(values, samples, {})
    later, labels = made(1, luma=1.4)
    later["metric"] = later["metric"].drop("format")
    rows = compare_baseline(baseline, later, labels, Limits())
    told = {row["name"]: row["word"] for row in rows}
    assert rows[0]["name"] == "luma_mean"
    assert rows[0]["median"] > rows[0]["median_baseline"]
    assert told == {"luma_mean": "large", "label": "stable", "format": "not_judged"}
    assert flatten(rows).height == len(rows)
    assert flatten([]).schema == flatten(rows).schema


def test_lost_classes() -> None:
    """Labels of a split that are not there any more are large drift."""
    values, samples = made()
    baseline = make_baseline(values, samples, {})
    train = samples.with_columns(split=pl.lit("train"))
    rows = compare_baseline(baseline, values, train, Limits())
    assert (rows[0]["split"], rows[0]["word"]) == ("val", "large")
    assert rows[0]["sentence"] == "label in val: not there any more"
