"""Flag an image whose file format is rare in the set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import share_of_value


@row_check(
    needs=("format",),
    dimension="low_quality",
    severity="info",
    action="keep",
    relative=True,
    share_max=0.05,
    examples=(
        Example(
            {"format": "GIF"},
            flagged=True,
            among={"format": ["JPEG"] * 30},
        ),
        Example(
            {"format": "JPEG"},
            flagged=False,
            among={"format": ["JPEG"] * 30},
        ),
    ),
)
def minority_format(*, share_max: float) -> pl.Expr:
    """Flag an image whose file format is rare in the set.

    Why: a format often goes with a source, and its artefacts can give the class away.
    Source: house rule; own threshold.
    """
    return (share_of_value("format") < share_max).fill_null(value=False)
