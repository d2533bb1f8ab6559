"""Columns with their histograms: a table's own columns, or the metrics of images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

COLUMNS_MAX = 60
BINS = 24
TOP_MAX = 6
GAPS = ("null", "nan", "inf", "empty", "blank", "placeholder")
METRICS_LEFT_OUT = ("row", "phash", "xxh3")


def describe_columns(
    profile: dict[str, Any] | None, metrics: pl.DataFrame | None
) -> dict[str, Any]:
    """Return the columns of a table from its profile, else the numeric metrics of its images.

    Returns:
        kind ("columns" or "metrics"), rows [{name, kind, dtype, count, gaps {null, nan, ...},
        distinct, min, p50, max, top [{value, count}], edges, counts}], more.
    """
    listed = (profile or {}).get("columns")
    if isinstance(listed, list) and listed:
        rows = [_from_profile(column) for column in listed if isinstance(column, dict)]
        return {"kind": "columns", "rows": rows[:COLUMNS_MAX], "more": len(rows[COLUMNS_MAX:])}
    rows = [] if metrics is None else _from_metrics(metrics)
    return {"kind": "metrics", "rows": rows[:COLUMNS_MAX], "more": len(rows[COLUMNS_MAX:])}


def _from_profile(column: dict[str, Any]) -> dict[str, Any]:
    gaps = {gap: int(column.get(f"{gap}_count") or 0) for gap in GAPS}
    edges, counts = _read_histogram(column)
    quantiles = column.get("quantiles") or {}
    kind = str(column.get("kind") or "")
    ends = (column.get("min"), quantiles.get("p50"), column.get("max"))
    low, middle, high = (_date(end) for end in ends) if kind == "datetime" else ends
    return {
        "name": str(column.get("name")),
        "kind": kind,
        "dtype": str(column.get("dtype") or ""),
        "count": int(column.get("row_count") or 0),
        "gaps": {gap: count for gap, count in gaps.items() if count},
        "distinct": column.get("distinct_count"),
        "min": low, "p50": middle, "max": high,
        "top": [
            {"value": pair[0], "count": pair[1]} for pair in (column.get("top") or [])[:TOP_MAX]
        ],
        "edges": [_date(edge) for edge in edges] if kind == "datetime" else edges,
        "counts": counts,
    }  # fmt: skip


def _date(seconds: Any) -> Any:
    """Return seconds since 1970 as a date, with the time of day where it is not midnight."""
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (TypeError, ValueError, OverflowError, OSError):
        return seconds
    return text.removesuffix(" 00:00")


def _read_histogram(column: dict[str, Any]) -> tuple[list[float], list[int]]:
    edges = list(column.get("histogram_edges") or [])
    counts = list(column.get("histogram_counts") or [])
    return (edges, counts) if counts and len(edges) == len(counts) + 1 else ([], [])


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
