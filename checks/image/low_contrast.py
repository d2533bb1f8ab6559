"""Flag an image with hardly any range of brightness, or with far less of it than the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("luma_std", "luma_p01", "luma_p05", "luma_p95", "luma_p99"),
    dimension="low_quality",
    severity="warning",
    action="down_weight",
    relative=True,
    luma_std_max=0.031,
    spread_max=0.1,
    span_max=0.5,
    z_max=-3.5,
    examples=(
        Example(
            {
                "luma_std": 0.01,
                "luma_p01": 0.5,
                "luma_p05": 0.5,
                "luma_p95": 0.52,
                "luma_p99": 0.53,
            },
            flagged=True,
            among={
                "luma_std": [0.2],
                "luma_p01": [0.0],
                "luma_p05": [0.1],
                "luma_p95": [0.9],
                "luma_p99": [1.0],
            },
        ),
        Example(
            {"luma_std": 0.08, "luma_p01": 0.5, "luma_p05": 0.5, "luma_p95": 0.7, "luma_p99": 0.8},
            flagged=True,
            among={
                "luma_std": [0.3, 0.3, 0.3],
                "luma_p01": [0.0, 0.0, 0.0],
                "luma_p05": [0.0, 0.0, 0.0],
                "luma_p95": [0.9, 0.9, 0.9],
                "luma_p99": [1.0, 1.0, 0.9],
            },
        ),
        Example(
            {"luma_std": 0.2, "luma_p01": 0.0, "luma_p05": 0.1, "luma_p95": 0.8, "luma_p99": 0.9},
            flagged=False,
            among={
                "luma_std": [0.3],
                "luma_p01": [0.0],
                "luma_p05": [0.0],
                "luma_p95": [0.9],
                "luma_p99": [1.0],
            },
        ),
    ),
)
def low_contrast(
    *, luma_std_max: float, spread_max: float, span_max: float, z_max: float
) -> pl.Expr:
    """Flag an image with hardly any range of brightness, or with far less of it than the set.

    Why: haze, veils and washed-out copies shrink every gradient that a network learns from.
    Source: house rule: std below 8 of 255 and p95 - p5 below .1; the span is own too.
    """
    narrow = measured("luma_p95") - measured("luma_p05") < spread_max
    flat = (measured("luma_std") < luma_std_max) & narrow
    span = measured("luma_p99") - measured("luma_p01")
    washed = (span < span_max) & (robust_z(span, scale_min=0.05) <= z_max)
    return flat.fill_null(value=False) | washed.fill_null(value=False)
