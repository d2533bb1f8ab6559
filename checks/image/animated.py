"""Flag a file with more than `frame_count_max` frames."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check


@row_check(
    needs=("frame_count",),
    dimension="low_quality",
    severity="info",
    action="keep",
    frame_count_max=1,
    examples=(
        Example({"frame_count": 24}, flagged=True),
        Example({"frame_count": 1}, flagged=False),
    ),
)
def animated(*, frame_count_max: int) -> pl.Expr:
    """Flag a file with more than `frame_count_max` frames.

    Why: only the first frame is used; the label may belong to another.
    Source: house rule; Pillow's `n_frames`.
    """
    return (pl.col("frame_count") > frame_count_max).fill_null(value=False)
