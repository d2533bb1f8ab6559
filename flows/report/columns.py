"""The numeric metrics of pictures with their histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

COLUMNS_MAX = 60
BINS = 24
METRICS_LEFT_OUT = ("row", "phash", "xxh3")


def describe_metrics(metrics: pl.DataFrame | None) -> dict[str, Any]:
    """Return the numeric metrics of pictures that vary.

    Returns:
        kind ("metrics"), rows [{name, kind, dtype, count, gaps {null}, distinct, min, p50, max,
        top, edges, counts}], more.
    """
    rows = [] if metrics is None else _from_metrics(metrics)
    return {"kind": "metrics", "rows": rows[:COLUMNS_MAX], "more": len(rows[COLUMNS_MAX:])}


def _from_metrics(metrics: pl.DataFrame) -> list[dict[str, Any]]:
    numeric = metrics.select(cs.numeric())
    names = [name for name in numeric.columns if not name.startswith(METRICS_LEFT_OUT)]
    described = (_describe_metric(numeric[name]) for name in names)
    return [row for row in described if row is not None]


def _describe_metric(values: pl.Series) -> dict[str, Any] | None:
    """Return a metric's histogram over its middle 99 %; None for one that never varies."""
    floats = values.cast(pl.Float64)
    known = np.sort(floats.filter(floats.is_finite()).drop_nulls().to_numpy())
    if known.size == 0 or known[0] == known[-1]:
        return None
    low, middle, high = (float(known[round(q * (known.size - 1))]) for q in (0.005, 0.5, 0.995))
    if low == high:
        low, high = float(known[0]), float(known[-1])
    counts, edges = np.histogram(np.clip(known, low, high), bins=BINS, range=(low, high))
    return {
        "name": values.name, "kind": "number", "dtype": str(values.dtype), "count": len(values),
        "gaps": {"null": values.null_count()} if values.null_count() else {},
        "distinct": values.n_unique(),
        "min": float(known[0]), "p50": middle, "max": float(known[-1]), "top": [],
        "edges": edges.tolist(), "counts": counts.tolist(),
    }  # fmt: skip
