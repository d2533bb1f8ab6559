"""Flag an image of which more than `clip_low_frac_min` is clipped to black, unlike the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("clip_low_frac", "midtone_frac"),
    dimension="low_quality",
    severity="warning",
    action="down_weight",
    relative=True,
    clip_low_frac_min=0.5,
    midtone_frac_max=0.1,
    z_min=3.5,
    examples=(
        Example(
            {"clip_low_frac": 0.9, "midtone_frac": 0.02},
            flagged=True,
            among={"clip_low_frac": [0.0, 0.1, 0.0], "midtone_frac": [0.5, 0.5, 0.5]},
        ),
        Example(
            {"clip_low_frac": 0.9, "midtone_frac": 0.02},
            flagged=False,
            among={"clip_low_frac": [0.8, 0.9, 0.85], "midtone_frac": [0.0, 0.1, 0.1]},
        ),
    ),
)
def underexposed(*, clip_low_frac_min: float, midtone_frac_max: float, z_min: float) -> pl.Expr:
    """Flag an image of which more than `clip_low_frac_min` is clipped to black, unlike the set.

    Images with midtones are spared, and so are sets on a plain ground, such as digits.

    Why: what is clipped to black is lost; no augmentation brings it back.
    Source: house rule: over half clipped and few midtones.
    """
    clipped = measured("clip_low_frac")
    far = robust_z(clipped, scale_min=0.05) >= z_min
    few = measured("midtone_frac") < midtone_frac_max
    return ((clipped > clip_low_frac_min) & far & few).fill_null(value=False)
