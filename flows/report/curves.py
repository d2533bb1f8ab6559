"""Learning curves of all seeds as a mean with a band, and as the lead over the raw arm."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.report.effects import DRAWN, rank_arm
from flows.report.figures import t_quantile

POINTS_MAX = 48


def band_curves(curves: pl.DataFrame | None) -> list[dict[str, Any]]:
    """Return per tier and arm the mean validation accuracy over steps with a 95 % t band.

    Returns:
        tier, arm, seeds, points [{step, n, mean, low, high}] with accuracies 0..1, gaps (the same
        minus the raw arm of the same seed, in points; empty for raw). With one seed the band is
        the line itself. At most 48 points, the first and the last always among them.
        Pilots and ablations are not among the arms.
    """
    if curves is None or curves.is_empty():
        return []
    keys = curves.filter(pl.col("arm").is_in(DRAWN)).select("tier", "arm").unique().rows()
    order = sorted(keys, key=lambda key: (key[0] == "probe", key[0], rank_arm(key[1])))
    return [_describe(curves.filter(pl.col("tier") == tier), tier, arm) for tier, arm in order]


def _describe(curves: pl.DataFrame, tier: str, arm: str) -> dict[str, Any]:
    mine = curves.filter(pl.col("arm") == arm).select("seed", "step", "val_acc")
    raw = curves.filter(pl.col("arm") == "raw").select("seed", "step", raw_acc="val_acc")
    gaps = [] if arm == "raw" else _band(
        mine.join(raw, on=["seed", "step"]).with_columns(
            val_acc=100 * (pl.col("val_acc") - pl.col("raw_acc"))
        )
    )  # fmt: skip
    points = _band(mine)
    for point in points:
        point["low"], point["high"] = max(0.0, point["low"]), min(1.0, point["high"])
    return {"tier": tier, "arm": arm, "seeds": mine["seed"].n_unique(),
            "points": points, "gaps": gaps}  # fmt: skip


def _band(values: pl.DataFrame) -> list[dict[str, Any]]:
    steps = values.sort("step", "seed").group_by("step", maintain_order=True).agg("val_acc").rows()
    return [
        {"step": step, "n": len(seen), **_interval(np.asarray(seen, dtype=np.float64))}
        for step, seen in _thin(steps)
    ]


def _interval(values: NDArray[np.float64]) -> dict[str, float]:
    mean, n = float(values.mean()), values.size
    half = t_quantile(n - 1) * float(values.std(ddof=1)) / n**0.5 if n > 1 else 0.0
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _thin(rows: list[Any]) -> list[Any]:
    if len(rows) <= POINTS_MAX:
        return rows
    last = len(rows) - 1
    chosen = {round(i * last / (POINTS_MAX - 1)) for i in range(POINTS_MAX)}
    return [row for i, row in enumerate(rows) if i in chosen]
