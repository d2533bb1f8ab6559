"""Flag an image whose 99th brightness percentile is below `luma_p99_max`, far below the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("luma_p99", "midtone_frac"),
    dimension="low_quality",
    severity="warning",
    action="down_weight",
    relative=True,
    luma_p99_max=0.32,
    midtone_frac_max=0.1,
    z_max=-3.5,
    examples=(
        Example(
            {"luma_p99": 0.1, "midtone_frac": 0.0},
            flagged=True,
            among={"luma_p99": [0.9, 0.95, 1.0], "midtone_frac": [0.3, 0.4, 0.5]},
        ),
        Example(
            {"luma_p99": 0.32, "midtone_frac": 0.0},
            flagged=False,
            among={"luma_p99": [0.9, 0.95, 1.0], "midtone_frac": [0.3, 0.4, 0.5]},
        ),
        Example(
            {"luma_p99": 0.1, "midtone_frac": 0.0},
            flagged=False,
            among={"luma_p99": [0.1, 0.12, 0.2], "midtone_frac": [0.0, 0.0, 0.0]},
        ),
    ),
)
def too_dark(*, luma_p99_max: float, midtone_frac_max: float, z_max: float) -> pl.Expr:
    """Flag an image whose 99th brightness percentile is below `luma_p99_max`, far below the set.

    Images with midtones are spared, and so are sets that are dark throughout.

    Why: an underexposed frame carries almost no gradient signal.
    Source: cleanvision 0.3.7, dark, threshold .32; relative to the set because of cleanvision #129.
    """
    low = measured("luma_p99") < luma_p99_max
    far = robust_z(measured("luma_p99"), scale_min=0.05) <= z_max
    return (low & far & (measured("midtone_frac") < midtone_frac_max)).fill_null(value=False)
