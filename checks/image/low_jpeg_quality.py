"""Flag a JPEG compressed below `jpeg_quality_min`, or far more than the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("jpeg_quality",),
    dimension="low_quality",
    severity="info",
    action="review",
    relative=True,
    jpeg_quality_min=30.0,
    relative_quality_max=60.0,
    z_max=-3.0,
    examples=(
        Example(
            {"jpeg_quality": 12},
            flagged=True,
            among={"jpeg_quality": [12, 14, 13]},
        ),
        Example(
            {"jpeg_quality": 50},
            flagged=True,
            among={"jpeg_quality": [90, 92, 95]},
        ),
        Example(
            {"jpeg_quality": 75},
            flagged=False,
            among={"jpeg_quality": [90, 92, 95]},
        ),
        Example(
            {"jpeg_quality": None},
            flagged=False,
            among={"jpeg_quality": [90, 92, 95]},
        ),
    ),
)
def low_jpeg_quality(
    *, jpeg_quality_min: float, relative_quality_max: float, z_max: float
) -> pl.Expr:
    """Flag a JPEG compressed below `jpeg_quality_min`, or far more than the set.

    The relative part asks for a quality below `relative_quality_max` besides.

    Why: block artefacts become features; quality that goes with a class is a shortcut.
    Source: house rule: below 30, or 3 deviations below the set.
    """
    quality = measured("jpeg_quality")
    far = robust_z(quality, scale_min=5.0) <= z_max
    poor = (quality < jpeg_quality_min) | (far & (quality < relative_quality_max))
    return poor.fill_null(value=False)
