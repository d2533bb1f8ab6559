"""Flag an image whose grey histogram has below `entropy_bits_max` bits, far below the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("entropy_bits",),
    dimension="low_quality",
    severity="warning",
    action="down_weight",
    relative=True,
    entropy_bits_max=3.0,
    z_max=-3.5,
    examples=(
        Example(
            {"entropy_bits": 0.2},
            flagged=True,
            among={"entropy_bits": [6.8, 7.1, 7.4]},
        ),
        Example(
            {"entropy_bits": 1.2},
            flagged=False,
            among={"entropy_bits": [1.5, 1.7, 1.9]},
        ),
    ),
)
def low_information(*, entropy_bits_max: float, z_max: float) -> pl.Expr:
    """Flag an image whose grey histogram has below `entropy_bits_max` bits, far below the set.

    Why: blank scans, placeholders and "no image" tiles teach only that they exist.
    Source: cleanvision 0.3.7, low_information (entropy below 3 bits); relative: own.
    """
    bits = measured("entropy_bits")
    far = robust_z(bits, scale_min=0.1) <= z_max
    return ((bits < entropy_bits_max) & far).fill_null(value=False)
