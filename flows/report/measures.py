"""Which number a check speaks of, how it lies over the whole set, and how far out a finding is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Check
from checks.image.relative import double_z
from flows.report.axes import Axis, fit_axis

BINS = 32
VALUES_MAX = 6
SPREAD_MIN = 0.01  # least sigma, as a share of the axis: a set without spread has no outliers
SAME = 1e-6  # relative difference up to which a finding's value is its score


@dataclass(frozen=True, slots=True)
class Measure:
    """What a check's findings are ranked by.

    told: for the report, or None where there is nothing to draw: name, over ("samples" or
    "findings"), threshold, side ("below" or "above", of which the flagged ones lie), decides
    (whether most of what lies there is flagged: a check may have further conditions), axis {low,
    high, log, ticks}, threshold_at (0..1 or null), counts, flagged (per bin), unmeasured; or, for
    a metric that is no number, name and values [{value, count, flagged}].
    ranked: sample_id, metric, measured, deviations, kind (the value of a metric that is no number),
    beyond (higher is more extreme, null where nothing tells), one row for each finding.
    """

    told: dict[str, Any] | None
    ranked: pl.DataFrame


def measure_check(
    check: Check | None,
    findings: pl.DataFrame,
    metrics: pl.DataFrame | None,
    scores: pl.DataFrame | None,
) -> Measure:
    """Return what the findings of one check are ranked by.

    A row check with a threshold on its first metric is ranked by that metric; one that only
    compares samples with their set, by the metric in which a sample is farthest out; a ranking
    set check by its score; any other check by the values that its findings carry.

    Args:
        check: None for what is no check of ours, such as a rule of the user's contract.
        findings: tables.Findings of this check.
        metrics: tables.Keyed, or None.
        scores: tables.Keyed, or None.
    """
    if check is not None and check.kind == "row" and metrics is not None:
        there = [name for name in check.needs if name in metrics.columns]
        numbers = [name for name in there if metrics.schema[name].is_numeric()]
        threshold = _find_threshold(check)
        if threshold is not None and numbers and numbers[0] == check.needs[0]:
            return _by_value(findings, metrics.select("sample_id", value=numbers[0]),
                             numbers[0], threshold)  # fmt: skip
        if numbers and numbers == there:
            return _by_distance(findings, metrics, numbers)
        if there:
            return _by_kind(findings, metrics.select("sample_id", value=there[0]), there[0])
    if check is not None and check.score is not None and _are_scores(findings, scores, check.score):
        known = scores.select("sample_id", value=check.score)  # type: ignore[union-attr]
        return _by_value(findings, known, check.score, _common_threshold(findings))
    return _by_finding(findings, check)


def _find_threshold(check: Check) -> float | None:
    """Return the parameter that bounds the check's first metric, as its name says."""
    for end in ("_max", "_min"):
        value = check.params.get(f"{check.needs[0] if check.needs else ''}{end}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _are_scores(findings: pl.DataFrame, scores: pl.DataFrame | None, name: str) -> bool:
    if scores is None or name not in scores.columns or findings.is_empty():
        return False
    both = findings.select("sample_id", "value").join(
        scores.select("sample_id", score=name), on="sample_id"
    )
    gap = (pl.col("value") - pl.col("score")).abs() <= SAME * pl.col("score").abs() + SAME
    return bool(both.select(gap.fill_null(value=False).all()).item())


def _common_threshold(findings: pl.DataFrame) -> float | None:
    known = findings["threshold"].drop_nulls()
    return None if known.is_empty() else float(known.mode().sort()[0])


def _by_value(
    findings: pl.DataFrame, values: pl.DataFrame, name: str, threshold: float | None
) -> Measure:
    known = values.with_columns(pl.col("value").cast(pl.Float64).fill_nan(None))
    mine = findings.select("sample_id").join(
        known, on="sample_id", how="left", maintain_order="left"
    )
    middle = known.select(pl.col("value").median()).item()
    limit = float(middle or 0.0) if threshold is None else threshold
    above = mine.select((pl.col("value") > limit).mean()).item()
    side = "above" if above is None or above >= 0.5 else "below"  # noqa: PLR2004 - the majority
    sign = 1.0 if side == "above" else -1.0
    ranked = mine.select(
        "sample_id", metric=pl.lit(name), measured="value", deviations=pl.lit(None, pl.Float64),
        kind=pl.lit(None, pl.String), beyond=sign * pl.col("value"),
    )  # fmt: skip
    told = _draw(name, known, set(findings["sample_id"]), threshold)
    beyond = known.filter(sign * pl.col("value") > sign * limit)
    hit = beyond.filter(pl.col("sample_id").is_in(findings["sample_id"].implode())).height
    decides = 2 * hit > beyond.height
    return Measure(told and {**told, "side": side, "decides": decides, "over": "samples"}, ranked)


def _by_distance(findings: pl.DataFrame, metrics: pl.DataFrame, names: list[str]) -> Measure:
    """Rank by the largest distance from the set in any metric, on the axis it is drawn on."""
    frame = metrics.select("sample_id", *(pl.col(n).cast(pl.Float64).fill_nan(None) for n in names))
    placed = frame.select("sample_id", *(_on_axis(frame[name]) for name in names))
    far = placed.select("sample_id", *(double_z(pl.col(name), SPREAD_MIN) for name in names))
    listed = far.unpivot(index="sample_id", variable_name="metric", value_name="deviations")
    worst = (
        listed.join(findings.select("sample_id"), on="sample_id", how="semi")
        .sort("deviations", "metric", descending=[True, False], nulls_last=True)
        .unique("sample_id", keep="first", maintain_order=True)
    )
    measured = frame.unpivot(index="sample_id", variable_name="metric", value_name="measured")
    ranked = worst.join(measured, on=["sample_id", "metric"], how="left", maintain_order="left")
    ranked = ranked.select("sample_id", "metric", "measured", "deviations",
                           kind=pl.lit(None, pl.String), beyond="deviations")  # fmt: skip
    drawn = ranked["metric"].mode().sort()[0] if ranked.height else names[0]
    known = frame.select("sample_id", value=drawn)
    told = _draw(drawn, known, set(findings["sample_id"]), None)
    facts = {"side": None, "decides": False, "over": "samples"}
    return Measure(told and told | facts, ranked)


def _on_axis(values: pl.Series) -> pl.Series:
    """Return where values lie on their axis, so that skewed metrics count by their logarithm."""
    axis = fit_axis(_finite(values))
    if axis is None:
        return pl.repeat(0.0, len(values), eager=True).alias(values.name)
    filled = values.fill_null(axis.low).to_numpy().astype(np.float64)
    wide = Axis(min(axis.low, filled.min()) if not axis.log else axis.low, filled.max(), axis.log)
    placed = pl.Series(values.name, wide.place(filled))
    return pl.select(pl.when(values.is_not_null()).then(placed).alias(values.name)).to_series()


def _by_kind(findings: pl.DataFrame, values: pl.DataFrame, name: str) -> Measure:
    """Count the values of a metric that is no number; nothing ranks its findings."""
    flagged = pl.col("sample_id").is_in(findings["sample_id"].implode())
    counted = (
        values.with_columns(pl.col("value").cast(pl.String))
        .group_by("value")
        .agg(count=pl.len(), flagged=flagged.sum())
        .sort("flagged", "count", "value", descending=[True, True, False], nulls_last=True)
    )
    rows = counted.head(VALUES_MAX).rows(named=True)
    rest = max(0, counted.height - VALUES_MAX)
    kinds = values.select("sample_id", kind=pl.col("value").cast(pl.String))
    nothing = pl.lit(None, pl.Float64)
    ranked = findings.select("sample_id").join(kinds, on="sample_id", how="left").select(
        "sample_id", metric=pl.lit(None, pl.String), measured=nothing, deviations=nothing,
        kind="kind", beyond=nothing,
    )  # fmt: skip
    return Measure({"name": name, "values": rows, "more": rest}, ranked)


def _name_value(check: Check | None, threshold: float | None) -> str:
    """Name what a check's findings carry: bits between pictures, or what its threshold bounds."""
    params = {} if check is None else check.params
    if any(name.startswith("bits") for name in params):
        return "distance in bits"
    bounds = [
        name.removesuffix("_min").removesuffix("_max")
        for name, value in params.items()
        if name.endswith(("_min", "_max")) and value == threshold
    ]
    return bounds[0] if len(bounds) == 1 else "value"


def _by_finding(findings: pl.DataFrame, check: Check | None) -> Measure:
    threshold = _common_threshold(findings)
    distance = (pl.col("value") - pl.col("threshold").fill_null(0.0)).abs().fill_nan(None)
    ranked = findings.select(
        "sample_id", metric=pl.lit(None, pl.String), measured="value",
        deviations=pl.lit(None, pl.Float64), kind=pl.lit(None, pl.String), beyond=distance,
    )  # fmt: skip
    name = _name_value(check, threshold)
    told = None if threshold is None else _draw(name, findings, set(), threshold)
    below = bool(findings.select((pl.col("value") <= pl.col("threshold")).all()).item())
    side = "below" if below else "above"
    return Measure(told and {**told, "side": side, "decides": True, "over": "findings"}, ranked)


def _finite(values: pl.Series) -> npt.NDArray[np.float64]:
    floats = values.cast(pl.Float64)
    return floats.filter(floats.is_finite()).drop_nulls().to_numpy()


def _draw(
    name: str, known: pl.DataFrame, flagged: set[str], threshold: float | None
) -> dict[str, Any] | None:
    """Return the histogram of sample_id, value with the flagged ones counted apart."""
    values = _finite(known["value"])
    axis = fit_axis(values, threshold)
    if axis is None:
        return None
    mine = known.filter(pl.col("sample_id").is_in(list(flagged)))
    seen = threshold is not None and axis.low <= threshold <= axis.high
    at = float(axis.place(np.array([threshold]))[0]) if seen else None
    bins = _count_bins(values, axis)
    return {
        "name": name, "threshold": threshold, "threshold_at": at,
        "axis": describe_axis(axis),
        "counts": axis.count(values, bins), "flagged": axis.count(_finite(mine["value"]), bins),
        "unmeasured": known.height - values.size,
    }  # fmt: skip


def _count_bins(values: npt.NDArray[np.float64], axis: Axis) -> int:
    """Return one bin for each whole number where there are few: more would leave gaps."""
    span = axis.high - axis.low
    few = not axis.log and span < BINS and float(span).is_integer()
    return int(span) + 1 if few and bool((values == np.rint(values)).all()) else BINS


def describe_axis(axis: Axis) -> Mapping[str, Any]:
    """Return an axis as data: low, high, log, ticks."""
    return {"low": axis.low, "high": axis.high, "log": bool(axis.log), "ticks": axis.ticks()}
