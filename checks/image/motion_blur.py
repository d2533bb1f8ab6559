"""Flag an image whose detail is missing along one direction: camera or subject moved."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z

_STEADY = {
    "weakest_detail_ratio": [0.2, 0.25, 0.4],
    "strongest_detail_ratio": [0.3, 0.5, 0.6],
    "luma_std": [0.2, 0.2, 0.2],
}


@row_check(
    needs=("weakest_detail_ratio", "strongest_detail_ratio", "luma_std"),
    dimension="low_quality",
    severity="warning",
    action="down_weight",
    relative=True,
    weakest_detail_ratio_max=0.05,
    direction_share_max=0.3,
    luma_std_min=0.02,
    z_max=-1.5,
    examples=(
        Example(
            {"weakest_detail_ratio": 0.02, "strongest_detail_ratio": 0.2, "luma_std": 0.2},
            flagged=True,
            among=_STEADY,
        ),
        Example(
            {"weakest_detail_ratio": 0.02, "strongest_detail_ratio": 0.03, "luma_std": 0.2},
            flagged=False,
            among=_STEADY,
        ),
        Example(
            {"weakest_detail_ratio": 0.2, "strongest_detail_ratio": 0.9, "luma_std": 0.2},
            flagged=False,
            among=_STEADY,
        ),
    ),
)
def motion_blur(
    *,
    weakest_detail_ratio_max: float,
    direction_share_max: float,
    luma_std_min: float,
    z_max: float,
) -> pl.Expr:
    """Flag an image whose detail is missing along one direction: camera or subject moved.

    The weakest of four directions must lie below `weakest_detail_ratio_max`, below
    `direction_share_max` of the strongest, and below the set's. Measured from 64 px a side.

    Why: smeared edges teach wrong shapes, and the smear's direction may go with the class.
    Source: own trial (bench/blur.py): 9 px of motion ranks at AUC .97 to .99 against sharp photos;
    the flag is set for fewer, so that soft grounds are spared.
    """
    weakest, strongest = measured("weakest_detail_ratio"), measured("strongest_detail_ratio")
    far = robust_z(weakest.clip(lower_bound=0.001).log(), scale_min=0.1) <= z_max
    smeared = (weakest < weakest_detail_ratio_max) & (weakest < direction_share_max * strongest)
    return (smeared & far & (measured("luma_std") >= luma_std_min)).fill_null(value=False)
