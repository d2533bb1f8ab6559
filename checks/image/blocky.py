"""Flag an image in whose pixels JPEG's grid of blocks shows, whatever its header says."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("blockiness",),
    dimension="low_quality",
    severity="info",
    action="review",
    relative=True,
    blockiness_min=1.8,
    z_min=3.0,
    examples=(
        Example({"blockiness": 2.6}, flagged=True, among={"blockiness": [1.1, 1.3, 1.4]}),
        Example({"blockiness": 1.6}, flagged=False, among={"blockiness": [1.1, 1.3, 1.4]}),
        Example({"blockiness": None}, flagged=False, among={"blockiness": [1.1, 1.3, 1.4]}),
    ),
)
def blocky(*, blockiness_min: float, z_min: float) -> pl.Expr:
    """Flag an image in whose pixels JPEG's grid of blocks shows, whatever its header says.

    It finds a picture that was compressed hard and saved again at high quality or as PNG. Measured
    from 64 px a side, on pictures that are not reduced for measuring (short side below 512 px).

    Why: blocks become features, and a quality that goes with a class is a shortcut.
    Source: Wang, Sheikh and Bovik 2002 (steps at block borders); bounds: own trial (bench/blur.py).
    """
    blocks = measured("blockiness")
    far = robust_z(blocks, scale_min=0.05) >= z_min
    return ((blocks > blockiness_min) & far).fill_null(value=False)
