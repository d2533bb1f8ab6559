"""Any two of up to eight metrics against each other: the points, and what the page draws of them.

No script: each pair is drawn beforehand as two paths of whole numbers, and a table of radio
buttons, coloured by rank correlation, shows one of them through a style rule. That is some 300 kB
at the worst, within the page's 1.5 MB; the page needs no exception in its policy, and where the
rule is not understood, or on paper, every pair or the first one is simply there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Check
from flows.report.axes import fit_axis
from flows.report.measures import describe_axis

METRICS_MAX = 8
POINTS_MAX = 1500
FLAGGED_MAX = 500
RANKED_MAX = 20_000  # samples that a rank correlation is taken over
SIDE = 320  # the plot's edge in the units of its paths
ALIKE = 0.995  # rank correlation at which a metric says nothing that another has not said
ABSENT = -1
PREFERRED = (
    "luma_mean", "luma_std", "sharpness_p90", "entropy_bits", "colourfulness", "area_px",
    "aspect_ratio", "jpeg_quality", "byte_size", "sharpness", "border_frac", "clip_high_frac",
    "clip_low_frac", "midtone_frac", "luma_p99", "luma_p05", "bit_depth", "frame_count",
)  # fmt: skip
Places = npt.NDArray[np.int64]


def describe_scatter(
    samples: pl.DataFrame | None,
    metrics: pl.DataFrame | None,
    findings: pl.DataFrame | None,
    checks: Mapping[str, Check],
) -> dict[str, Any] | None:
    """Return points and axes of the most telling metrics; None with fewer than two of them.

    Points are chosen by the order of their ids: content digests, so as good as drawn at random,
    and the same ones again in the next run. Up to 500 flagged samples come first, up to 1,500 in
    all.

    Returns:
        metrics [{name, axis}], places [one list of whole numbers 0..320 for each metric, -1 where
        it was not measured], flagged [for each metric the positions of the points that a check
        reading it flags], pairs [{x, y, rho}] (rho: Spearman's, null where it has none), first
        (the pair shown first), shown, total.
    """
    if samples is None or metrics is None:
        return None
    frame = metrics.join(samples.select("sample_id", "byte_size"), on="sample_id").sort("sample_id")
    names = _choose_metrics(frame)
    if len(names) < 2:  # noqa: PLR2004 - a pair needs two
        return None
    flags = _read_flags(findings, checks, names)
    chosen = _choose_points(frame, flags)
    axes = [fit_axis(_known(frame[name])) for name in names]
    at = {sample_id: i for i, sample_id in enumerate(chosen["sample_id"])}
    rho = {pair: _correlate(frame, *pair) for pair in combinations(names, 2)}
    pairs = [
        {"x": names.index(one), "y": names.index(two), "rho": value}
        for (one, two), value in rho.items()
    ]
    flagged = [sorted(at[i] for i in flags.get(name, ()) if i in at) for name in names]
    return {
        "metrics": [
            {"name": name, "axis": axis and describe_axis(axis)}
            for name, axis in zip(names, axes, strict=True)
        ],
        "places": [
            _place(chosen[name], axis).tolist() for name, axis in zip(names, axes, strict=True)
        ],
        "flagged": flagged,
        "pairs": pairs,
        "first": _choose_first(pairs, flagged),
        "shown": chosen.height, "total": frame.height,
    }  # fmt: skip


def _known(values: pl.Series) -> npt.NDArray[np.float64]:
    floats = values.cast(pl.Float64)
    return floats.filter(floats.is_finite()).drop_nulls().to_numpy()


def _choose_metrics(frame: pl.DataFrame) -> list[str]:
    """Return up to eight metrics that vary and do not repeat one another."""
    chosen: list[str] = []
    for name in PREFERRED:
        if name not in frame.columns or fit_axis(_known(frame[name])) is None:
            continue
        if all(abs(_correlate(frame, name, other) or 0.0) < ALIKE for other in chosen):
            chosen.append(name)
        if len(chosen) == METRICS_MAX:
            break
    return chosen


def _correlate(frame: pl.DataFrame, one: str, two: str) -> float | None:
    """Return Spearman's rank correlation over the samples in which both were measured."""
    both = frame.select(pl.col(one, two).cast(pl.Float64)).head(RANKED_MAX)
    known = both.filter(pl.all_horizontal(pl.all().is_finite())).to_numpy()
    if len(known) < 3 or not np.ptp(known, axis=0).all():  # noqa: PLR2004 - two always correlate
        return None
    from scipy.stats import rankdata  # noqa: PLC0415 - two thirds of a second

    ranks = rankdata(known, axis=0)
    return round(float(np.corrcoef(ranks.T)[0, 1]), 2)


def _read_flags(
    findings: pl.DataFrame | None, checks: Mapping[str, Check], names: Sequence[str]
) -> dict[str, set[str]]:
    """Return for each metric the samples flagged by a row check that reads it."""
    if findings is None:
        return {}
    flags: dict[str, set[str]] = {}
    for name in names:
        readers = [c.id for c in checks.values() if c.kind == "row" and name in c.needs]
        mine = findings.filter(pl.col("check_id").is_in(readers))
        flags[name] = set(mine["sample_id"])
    return flags


def _choose_points(frame: pl.DataFrame, flags: Mapping[str, set[str]]) -> pl.DataFrame:
    flagged = sorted(set().union(*flags.values())) if flags else []
    hit = frame.filter(pl.col("sample_id").is_in(flagged))
    rest = frame.filter(~pl.col("sample_id").is_in(flagged))
    first = [hit.head(FLAGGED_MAX), rest, hit.slice(FLAGGED_MAX)]
    return pl.concat(first).head(POINTS_MAX).sort("sample_id")


def _place(values: pl.Series, axis: Any) -> Places:
    floats = values.cast(pl.Float64).fill_nan(None)
    filled = floats.fill_null(axis.low).to_numpy().astype(np.float64)
    placed = np.rint(axis.place(np.nan_to_num(filled)) * SIDE).astype(np.int64)
    return np.asarray(np.where(floats.is_null().to_numpy(), ABSENT, placed), np.int64)


def _choose_first(pairs: list[dict[str, Any]], flagged: list[list[int]]) -> int:
    """Return the pair with the most flagged points that is least of one piece."""
    score = [
        (len({*flagged[pair["x"]], *flagged[pair["y"]]}), -abs(pair["rho"] or 0.0))
        for pair in pairs
    ]
    return max(range(len(pairs)), key=lambda i: score[i])


def draw_pair(scatter: Mapping[str, Any], pair: Mapping[str, Any]) -> tuple[str, str]:
    """Return the paths of the points that are not flagged and of those that are.

    Each point is a line of no length, which a round or square cap makes a dot. Points on the same
    place are drawn once, flagged ones only among the flagged.

    >>> pair = {"x": 0, "y": 1}
    >>> draw_pair({"places": [[5, 5, 9], [1, 1, 0]], "flagged": [[], [2]]}, pair)
    ('m5 319h0', 'm9 320h0')
    """
    x, y = (np.asarray(scatter["places"][pair[end]], np.int64) for end in ("x", "y"))
    hit = np.zeros(len(x), bool)
    hit[sorted({*scatter["flagged"][pair["x"]], *scatter["flagged"][pair["y"]]})] = True
    there = (x != ABSENT) & (y != ABSENT)
    return _path(x[there & ~hit], y[there & ~hit]), _path(x[there & hit], y[there & hit])


def _path(x: Places, y: Places) -> str:
    points = np.unique(np.stack([x, SIDE - y], axis=1), axis=0)
    steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int64))
    return "".join(f"m{dx}{'' if dy < 0 else ' '}{dy}h0" for dx, dy in steps)
