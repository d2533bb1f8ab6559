"""Flag an image whose short side is below `short_side_px_min` pixels."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check


@row_check(
    needs=("width_px", "height_px"),
    dimension="low_quality",
    severity="warning",
    action="review",
    short_side_px_min=16,
    examples=(
        Example({"width_px": 1, "height_px": 1}, flagged=True),
        Example({"width_px": 28, "height_px": 28}, flagged=False),
    ),
)
def too_small(*, short_side_px_min: int) -> pl.Expr:
    """Flag an image whose short side is below `short_side_px_min` pixels.

    Why: icons and tracking pixels in a set of pictures show nothing that could be learnt.
    Source: own floor: the smallest sets in use (MNIST 28 px, CIFAR 32 px, digits 16 px) stay clear.
    """
    short = pl.min_horizontal("width_px", "height_px")
    measurable = pl.col("width_px").is_not_null() & pl.col("height_px").is_not_null()
    return (measurable & (short < short_side_px_min)).fill_null(value=False)
