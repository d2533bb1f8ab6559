"""Flag an image with wide plain borders, unlike its set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("border_frac",),
    dimension="low_quality",
    severity="info",
    action="review",
    relative=True,
    border_frac_min=0.1,
    z_min=3.5,
    examples=(
        Example(
            {"border_frac": 0.3},
            flagged=True,
            among={"border_frac": [0.0, 0.0, 0.01]},
        ),
        Example(
            {"border_frac": 0.4},
            flagged=False,
            among={"border_frac": [0.35, 0.4, 0.45]},
        ),
    ),
)
def constant_border(*, border_frac_min: float, z_min: float) -> pl.Expr:
    """Flag an image with wide plain borders, unlike its set.

    Why: letterbox bars and padding take area from the subject and differ by source.
    Source: own; the set decides, since digits and product shots have plain borders by design.
    """
    border = measured("border_frac")
    far = robust_z(border, scale_min=0.03) >= z_min
    return ((border > border_frac_min) & far).fill_null(value=False)
