"""Flag an image that its EXIF tag turns or mirrors when it is shown."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check


@row_check(
    needs=("exif_orientation",),
    dimension="low_quality",
    severity="info",
    action="keep",
    examples=(
        Example({"exif_orientation": 6}, flagged=True),
        Example({"exif_orientation": 1}, flagged=False),
    ),
)
def exif_rotated() -> pl.Expr:
    """Flag an image that its EXIF tag turns or mirrors when it is shown.

    Why: viewers turn it and most training loaders do not: people label what the network never sees.
    Source: czkawka #1540, rotated duplicates; EXIF 2.32 tag 0x0112.
    """
    return (pl.col("exif_orientation") != 1).fill_null(value=False)
