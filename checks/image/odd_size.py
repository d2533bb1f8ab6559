"""Flag an image whose area lies more than `iqr_factor` interquartile ranges outside the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured


@row_check(
    needs=("area_px",),
    dimension="low_quality",
    severity="info",
    action="review",
    relative=True,
    iqr_factor=3.0,
    examples=(
        Example(
            {"area_px": 64},
            flagged=True,
            among={"area_px": [10000, 12000, 11000, 10500]},
        ),
        Example(
            {"area_px": 11500},
            flagged=False,
            among={"area_px": [10000, 12000, 11000, 10500]},
        ),
    ),
)
def odd_size(*, iqr_factor: float) -> pl.Expr:
    """Flag an image whose area lies more than `iqr_factor` interquartile ranges outside the set.

    Why: thumbnails among photos, or scans among thumbnails, are resized far more than the rest.
    Source: cleanvision 0.3.7, odd_size (Tukey fences; here on log area, range at least .1).
    """
    size = measured("area_px").clip(lower_bound=1.0).log()
    low, high = size.quantile(0.25), size.quantile(0.75)
    room = iqr_factor * pl.max_horizontal(high - low, pl.lit(0.1))
    return ((size < low - room) | (size > high + room)).fill_null(value=False)
