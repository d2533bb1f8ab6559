"""Flag an image whose bits a channel are rare in the set, such as 16 among 8."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import share_of_value


@row_check(
    needs=("bit_depth",),
    dimension="low_quality",
    severity="info",
    action="keep",
    relative=True,
    share_max=0.1,
    examples=(
        Example(
            {"bit_depth": 16},
            flagged=True,
            among={"bit_depth": [8] * 30},
        ),
        Example(
            {"bit_depth": 8},
            flagged=False,
            among={"bit_depth": [8] * 30},
        ),
    ),
)
def minority_depth(*, share_max: float) -> pl.Expr:
    """Flag an image whose bits a channel are rare in the set, such as 16 among 8.

    Why: loaders cut 16 bits to 8 in different ways; one turns all bright values white.
    Source: house rule; a 16-bit PNG is a false "light" in cleanvision 0.3.7.
    """
    return (share_of_value("bit_depth") < share_max).fill_null(value=False)
