"""Flag an image whose 5th brightness percentile is above `luma_p05_min`, far above the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("luma_p05",),
    dimension="low_quality",
    severity="warning",
    action="down_weight",
    relative=True,
    luma_p05_min=0.95,
    z_min=3.5,
    examples=(
        Example(
            {"luma_p05": 0.99},
            flagged=True,
            among={"luma_p05": [0.1, 0.2, 0.1]},
        ),
        Example(
            {"luma_p05": 0.95},
            flagged=False,
            among={"luma_p05": [0.1, 0.2, 0.1]},
        ),
        Example(
            {"luma_p05": 0.99},
            flagged=False,
            among={"luma_p05": [0.99, 0.98, 1.0]},
        ),
    ),
)
def too_light(*, luma_p05_min: float, z_min: float) -> pl.Expr:
    """Flag an image whose 5th brightness percentile is above `luma_p05_min`, far above the set.

    Why: a burnt-out or empty white frame carries almost no gradient signal.
    Source: cleanvision 0.3.7, light, threshold .05 below white.
    """
    high = measured("luma_p05") > luma_p05_min
    far = robust_z(measured("luma_p05"), scale_min=0.05) >= z_min
    return (high & far).fill_null(value=False)
