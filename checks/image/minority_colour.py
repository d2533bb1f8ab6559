"""Flag a grey image among coloured ones, or a coloured one among grey ones."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import share_of_value


@row_check(
    needs=("is_grey",),
    dimension="low_quality",
    severity="info",
    action="keep",
    relative=True,
    share_max=0.1,
    examples=(
        Example(
            {"is_grey": True},
            flagged=True,
            among={"is_grey": [False] * 30},
        ),
        Example(
            {"is_grey": False},
            flagged=False,
            among={"is_grey": [False] * 30},
        ),
    ),
)
def minority_colour(*, share_max: float) -> pl.Expr:
    """Flag a grey image among coloured ones, or a coloured one among grey ones.

    Why: colour then tells the rare source apart, and a network may learn the source.
    Source: cleanvision, grayscale; here by content, so that grey stored as RGB is found too.
    """
    return (share_of_value("is_grey") < share_max).fill_null(value=False)
