"""Flag a file that holds no image that can be decoded whole."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check


@row_check(
    needs=("error_kind", "error"),
    dimension="missing",
    severity="error",
    action="drop",
    examples=(
        Example({"error_kind": "truncated", "error": "cut after 90 bytes"}, flagged=True),
        Example({"error_kind": None, "error": None}, flagged=False),
    ),
)
def unreadable() -> pl.Expr:
    """Flag a file that holds no image that can be decoded whole.

    `error_kind` says what is wrong: empty, not_an_image, truncated, too_many_pixels, timeout, ...

    Why: such a sample crashes a training run, or trains on a grey rest of the picture.
    Source: cleanvision #222, #174: one such file ends its run; here it is a row.
    """
    return pl.col("error_kind").is_not_null() | pl.col("error").is_not_null()
