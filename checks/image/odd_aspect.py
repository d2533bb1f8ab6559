"""Flag an image whose short side is below `aspect_ratio_max` of its long side."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured


@row_check(
    needs=("aspect_ratio", "width_px", "height_px"),
    dimension="low_quality",
    severity="info",
    action="review",
    aspect_ratio_max=0.35,
    examples=(
        Example({"aspect_ratio": 0.1, "width_px": 900, "height_px": 90}, flagged=True),
        Example({"aspect_ratio": 0.35, "width_px": 1000, "height_px": 350}, flagged=False),
    ),
)
def odd_aspect(*, aspect_ratio_max: float) -> pl.Expr:
    """Flag an image whose short side is below `aspect_ratio_max` of its long side.

    Why: resizing to a square squeezes it beyond recognition; such files are often banners or scans.
    Source: cleanvision 0.3.7, odd_aspect_ratio, threshold .35.
    """
    measurable = pl.col("width_px").is_not_null() & pl.col("height_px").is_not_null()
    return (measurable & (measured("aspect_ratio") < aspect_ratio_max)).fill_null(value=False)
