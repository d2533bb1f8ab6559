"""Flag an image whose colour mode is rare in the set, such as CMYK or palette among RGB."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import share_of_value


@row_check(
    needs=("mode",),
    dimension="low_quality",
    severity="info",
    action="review",
    relative=True,
    share_max=0.1,
    examples=(
        Example(
            {"mode": "CMYK"},
            flagged=True,
            among={"mode": ["RGB"] * 30},
        ),
        Example(
            {"mode": "RGB"},
            flagged=False,
            among={"mode": ["RGB"] * 30},
        ),
    ),
)
def minority_mode(*, share_max: float) -> pl.Expr:
    """Flag an image whose colour mode is rare in the set, such as CMYK or palette among RGB.

    Why: loaders convert such files each in their own way, and colours shift.
    Source: cleanvision finds only mode L; here the minority mode is the issue.
    """
    return (share_of_value("mode") < share_max).fill_null(value=False)
