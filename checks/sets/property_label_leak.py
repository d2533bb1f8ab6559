"""Classes that a property of the file gives away: brightness, size, format, quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.betrayal import (
    Betrayal,
    adjust_holm,
    find_betrayals,
    gain_accuracy,
    tabulate,
)
from checks.metrics.bins import OTHER, Bins

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
    return SetExample(tables, frozenset(ids[:39] + ids[40:79]) if png else frozenset())


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
    """Flag samples of a class that one property of the file alone gives away.

    A class is given away by a property if one range (or value) of it holds at least `gap_min`
    more of the class than of all other samples, as in "97 % of the class are PNG, 3 % of the
    others", and if chance does so in at most `p_max` of `rounds` orders of the labels, adjusted
    for the number of properties (Holm). Classes below `class_count` samples are not judged.
    The facts hold every property with its clearest class.

    Not every such property is a fault: night scenes are dark, and a sky is bright. Ask whether
    new data will have it too. If not, the network learns the camera, the scanner or the folder:
    encode all files alike, crop borders, resize from one size, or collect the class anew. Nothing
    is taken out, since all samples of the class have it.

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
    parts, facts = [pl.DataFrame(schema=FOUND | {"rank": pl.Int64})], []
    for each, chance in zip(seen, chances, strict=True):
        scale = chance / min(one.p for one in each["found"])
        sure = [one for one in each["found"] if one.gap >= gap_min and one.p * scale <= p_max]
        parts += [_flag(frame, each, one, classes, gap_min) for one in sure]
        facts.append(_describe(each, classes, chance, flagged=len(sure)))
    facts.sort(key=lambda fact: (-fact["gap"], fact["property"]))
    return Judged(_choose(pl.concat(parts)), facts=_tell(facts, frame.height))


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
    """The samples of the class that lie in the range."""
    at = pl.Series(each["bins"].place(frame[each["name"]]))
    inside = at.is_between(one.low, one.high)
    hit = frame.filter((pl.col("label") == classes[one.label]) & inside)
    return hit.select(
        "sample_id", value=pl.lit(round(one.gap, SHARE_DIGITS)), threshold=pl.lit(gap_min),
        evidence=pl.lit(_say(each["name"], each["bins"], one, classes)),
        rank=pl.lit(PROPERTIES.index(each["name"]), pl.Int64),
    )  # fmt: skip


def _choose(found: pl.DataFrame) -> pl.DataFrame:
    """One finding for each sample: the property that betrays its class best, how many more."""
    ranked = found.sort("sample_id", "value", "rank", descending=[False, True, False])
    more = pl.len().over("sample_id") - 1
    told = pl.when(more > 0).then(pl.format("{}; {} more of its properties do", "evidence", more))
    ranked = ranked.with_columns(evidence=told.otherwise("evidence"))
    return ranked.unique("sample_id", keep="first", maintain_order=True).select(list(FOUND))


def _say(name: str, bins: Bins, one: Betrayal, classes: list[str]) -> str:
    shares = f"{100 * one.inside_frac:.0f} % of the class and {100 * one.others_frac:.0f} %"
    where = _name_range(name, bins, one.low, one.high)
    return f"'{classes[one.label]}' is given away by {name}: {shares} of the others {where}"


def _name_range(name: str, bins: Bins, low: int, high: int) -> str:
    if low == bins.size - 1:
        return f"have no {name}"
    if bins.kind == "category":
        value = bins.labels[low]
        return "have a rare value" if value == OTHER else f"are {value}"
    lower = bins.edges[low - 1] if low > 0 else None
    upper = bins.edges[high] if high < len(bins.edges) else None
    if lower is not None and upper is not None:
        exact = f"{lower:.4g}" == f"{upper:.4g}"
        return f"have {upper:.4g}" if exact else f"lie in {lower:.4g} to {upper:.4g}"
    if lower is not None:
        return f"are above {lower:.4g}"
    return f"have a {name}" if upper is None else f"are at most {upper:.4g}"


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
