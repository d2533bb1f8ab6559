"""Classes that a property of the file gives away: brightness, size, format, quality."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.core.corrections import adjust_holm
from checks.metrics.betrayal import (
    Betrayal,
    find_betrayals,
    gain_accuracy,
    tabulate,
)
from checks.metrics.bins import OTHER, Bins
from checks.metrics.joint_guess import guess_jointly

PROPERTIES = (
    "luma_mean", "luma_std", "luma_p05", "luma_p95", "colourfulness", "entropy_bits", "sharpness",
    "is_grey", "border_frac", "clip_low_frac", "clip_high_frac", "width_px", "height_px",
    "area_px", "aspect_ratio", "byte_size", "bytes_per_px", "format", "extension", "mode",
    "bit_depth", "jpeg_quality", "progressive", "has_alpha", "has_icc", "exif_orientation",
    "frame_count",
)  # fmt: skip
FOUND = {"sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "evidence": pl.String}  # fmt: skip
SHARE_DIGITS = 3
Z_95 = 1.959964


def _example(*, png: bool) -> SetExample:
    """Two classes of 40; `png`: all but one of the first are PNG, and one of the second."""
    ids = [f"{at:032x}-0" for at in range(80)]
    label = ["cat"] * 40 + ["dog"] * 40
    format_ = ["PNG"] * 39 + ["JPEG"] * 40 + ["PNG"] if png else ["PNG", "JPEG"] * 40
    tables: dict[str, dict[str, list[Any]]] = {
        "samples": {"sample_id": list(ids), "split": ["train"] * 80, "label": list(label),
                    "byte_size": [9] * 80},
        "metrics": {"sample_id": list(ids), "format": list(format_)},
    }  # fmt: skip
    return SetExample(tables, frozenset({ids[0], ids[40]}) if png else frozenset())


@set_check(
    modality="image",
    needs=("samples", "metrics"),
    dimension="leak",
    severity="warning",
    action="keep",
    relative=True,
    gap_min=0.5,
    p_max=0.05,
    class_count=30,
    rounds=999,
    seed=0,
    examples=(_example(png=True), _example(png=False)),
)
def property_label_leak(
    tables: Mapping[str, pl.LazyFrame], *, gap_min: float, p_max: float, class_count: int,
    rounds: int, seed: int,
) -> Judged:  # fmt: skip
    """Flag a class that one property of the file alone gives away.

    A class is given away by a property if one range (or value) of it holds at least `gap_min`
    more of the class than of all other samples, as in "97 % of the class are PNG, 3 % of the
    others", and if chance does so in at most `p_max` of `rounds` orders of the labels, adjusted
    for the number of properties (Holm). Classes below `class_count` samples are not judged. One
    finding for each class tells the clearest property, with the gap's 95 % interval, and shows the
    first sample that lies there. The facts hold every property with its clearest class, and how
    many labels all properties together tell of samples that they were not learnt from (naive
    Bayes, each half from the other), beside the commonest label.

    Not every such property is a fault: night scenes are dark, and a sky is bright. Ask whether
    new data will have it too. If not, the network learns the camera, the scanner or the folder:
    encode all files alike, crop borders, resize from one size, or collect the class anew. Nothing
    is taken out: it is a finding about the class, not about the sample that shows it.

    Why: a class that can be told by its format or brightness is learnt by that short cut, and
    test accuracy from the same collection does not show it.
    Source: cleanlab Datalab 2.9.0, spurious_correlations (.7 of the way from the majority to
    perfect; `accuracy_gain` in the facts), which cannot see one class among many; gap of shares
    is Youden's index (1950). .5 is ours: CIFAR-10 and a set of clothing photos reach .35.
    """
    frame = _join(tables)
    names = [name for name in PROPERTIES if name in frame.columns]
    classes = frame["label"].unique().sort().to_list()
    labels = frame["label"].cast(pl.Enum(classes)).to_physical().to_numpy().astype(np.int64)
    seen: list[dict[str, Any]] = []
    for name in names:
        bins, table = tabulate(frame[name], labels, len(classes))
        found = find_betrayals(table, ordered=bins.kind == "number", count_min=class_count,
                               rounds=rounds, seed=seed)  # fmt: skip
        if found:
            seen.append({"name": name, "bins": bins, "found": found, "gain": gain_accuracy(table)})
    chances = adjust_holm([min(one.p for one in each["found"]) for each in seen])
    parts, facts = [pl.DataFrame(schema=FOUND | {"label": pl.String, "rank": pl.Int64})], []
    for each, chance in zip(seen, chances, strict=True):
        scale = chance / min(one.p for one in each["found"])
        sure = [one for one in each["found"] if one.gap >= gap_min and one.p * scale <= p_max]
        parts += [_flag(frame, each, one, classes, gap_min) for one in sure]
        facts.append(_describe(each, classes, chance, flagged=len(sure)))
    facts.sort(key=lambda fact: (-fact["gap"], fact["property"]))
    told = _tell(facts, frame.height)
    if seen:
        placed = [(each["bins"].place(frame[each["name"]]), each["bins"].size) for each in seen]
        halves = frame["sample_id"].str.slice(31, 1).is_in(list("13579bdf")).to_numpy()
        told |= _tell_together(placed, labels, halves)
    return Judged(_choose(pl.concat(parts)), facts=told)


def _join(tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    own = [n for n in tables["metrics"].collect_schema().names() if n in PROPERTIES]
    metrics = tables["metrics"].select("sample_id", *(n for n in own if n != "byte_size"))
    samples = tables["samples"].select("sample_id", "label", "byte_size").drop_nulls("label")
    frame = samples.join(metrics, on="sample_id").sort("sample_id")
    if "area_px" in own:
        density = pl.col("byte_size") / pl.col("area_px").replace(0, None)
        frame = frame.with_columns(bytes_per_px=density)
    return frame.collect()


def _flag(
    frame: pl.DataFrame, each: Mapping[str, Any], one: Betrayal, classes: list[str], gap_min: float
) -> pl.DataFrame:
    """The first sample of the class that lies in the range."""
    at = pl.Series(each["bins"].place(frame[each["name"]]))
    inside = at.is_between(one.low, one.high)
    mine = frame["label"] == classes[one.label]
    hit = frame.filter(mine & inside).head(1)
    own, rest = int(mine.sum()), int((~mine).sum())
    return hit.select(
        "sample_id", value=pl.lit(round(one.gap, SHARE_DIGITS)), threshold=pl.lit(gap_min),
        evidence=pl.lit(_say(each["name"], each["bins"], one, classes, _span(one, own, rest))),
        label=pl.lit(classes[one.label]),
        rank=pl.lit(PROPERTIES.index(each["name"]), pl.Int64),
    )  # fmt: skip


def _span(one: Betrayal, own: int, rest: int) -> str:
    """The 95 % interval of the gap, in points of a hundred."""
    spread = (one.inside_frac * (1 - one.inside_frac) + 0.5 / own) / own
    spread += (one.others_frac * (1 - one.others_frac) + 0.5 / rest) / rest
    half = Z_95 * math.sqrt(spread)
    low, high = max(-1.0, one.gap - half), min(1.0, one.gap + half)
    return f"{100 * one.gap:.0f} points more, {100 * low:.0f} to {100 * high:.0f}"


def _choose(found: pl.DataFrame) -> pl.DataFrame:
    """One finding for each class: the property that betrays it best, and how many more do."""
    ranked = found.sort("label", "value", "rank", descending=[False, True, False])
    more = pl.len().over("label") - 1
    told = pl.when(more > 0).then(pl.format("{}; {} more of its properties do", "evidence", more))
    ranked = ranked.with_columns(evidence=told.otherwise("evidence"))
    chosen = ranked.unique("label", keep="first", maintain_order=True)
    return chosen.select(list(FOUND)).sort("sample_id")


def _say(name: str, bins: Bins, one: Betrayal, classes: list[str], span: str) -> str:
    shares = f"{100 * one.inside_frac:.0f} % of the class and {100 * one.others_frac:.0f} %"
    where = _name_range(name, bins, one.low, one.high)
    said = f"'{classes[one.label]}' is given away by {name}: {shares} of the others {where}"
    return f"{said} ({span})"


def _tell_together(
    placed: list[tuple[npt.NDArray[np.int64], int]], labels: npt.NDArray[np.int64],
    halves: npt.NDArray[np.bool_],
) -> dict[str, object]:  # fmt: skip
    """How many labels all properties together tell, with a 95 % interval, and the lift."""
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to import

    right, common = guess_jointly(placed, labels, halves)
    span = binomtest(right, len(labels)).proportion_ci(method="wilson")
    return {
        "together_frac": round(right / len(labels), SHARE_DIGITS),
        "together_low": round(float(span.low), SHARE_DIGITS),
        "together_high": round(float(span.high), SHARE_DIGITS),
        "commonest_frac": round(common / len(labels), SHARE_DIGITS),
        "lift": round((right - common) / len(labels), SHARE_DIGITS) + 0.0,
    }


def _name_range(name: str, bins: Bins, low: int, high: int) -> str:
    if low == bins.size - 1:
        return f"have no {name}"
    if bins.kind == "category":
        value = bins.labels[low]
        return "have a rare value" if value == OTHER else f"are {value}"
    lower = _read_edge(bins, low - 1) if low > 0 else None
    upper = _read_edge(bins, high) if high < len(bins.edges) else None
    if lower is not None and upper is not None:
        exact = f"{lower[0]:.4g}" == f"{upper[0]:.4g}"
        return f"have {upper[0]:.4g}" if exact else f"lie in {lower[0]:.4g} to {upper[0]:.4g}"
    if lower is not None:
        return f"are {'at least' if lower[1] else 'above'} {lower[0]:.4g}"
    if upper is None:
        return f"have a {name}"
    return f"are {'below' if upper[1] else 'at most'} {upper[0]:.4g}"


def _read_edge(bins: Bins, at: int) -> tuple[float, bool]:
    """Return an edge as people read it, and whether what lies there is above it.

    The edge right before a common value is told as that value: -4.9e-324 is "below 0".
    """
    edge = bins.edges[at]
    value = math.nextafter(edge, math.inf) + 0.0  # of -0.0 and 0.0 the latter is read
    return (value, True) if value in bins.edges[at + 1 : at + 2] else (edge, False)


def _describe(
    each: Mapping[str, Any], classes: list[str], chance: float, *, flagged: int
) -> dict[str, Any]:
    best: Betrayal = each["found"][0]
    return {
        "property": each["name"], "class": classes[best.label],
        "range": _name_range(each["name"], each["bins"], best.low, best.high),
        "class_frac": round(best.inside_frac, SHARE_DIGITS),
        "others_frac": round(best.others_frac, SHARE_DIGITS),
        "gap": round(best.gap, SHARE_DIGITS), "p_adjusted": round(chance, 4),
        "accuracy_gain": round(each["gain"], SHARE_DIGITS), "classes_flagged": flagged,
    }  # fmt: skip


def _tell(facts: list[dict[str, Any]], samples: int) -> dict[str, object]:
    if not facts:
        return {"not_judged": f"{samples} labelled samples without two classes to tell apart"}
    best = facts[0]
    clearest = (
        f"{best['property']} for {best['class']}: {100 * best['class_frac']:.0f} % against "
        f"{100 * best['others_frac']:.0f} % {best['range']}"
    )
    return {"clearest": clearest, "properties": {fact["property"]: fact for fact in facts}}
