"""Flag a file whose content is of another format than its name says."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check


@row_check(
    needs=("extension_matches", "extension", "format"),
    dimension="incorrect",
    severity="warning",
    action="keep",
    examples=(
        Example({"extension_matches": False, "extension": "png", "format": "JPEG"}, flagged=True),
        Example({"extension_matches": True, "extension": "jpg", "format": "JPEG"}, flagged=False),
    ),
)
def extension_mismatch() -> pl.Expr:
    """Flag a file whose content is of another format than its name says.

    Why: the pixels are sound, but tools that trust the name refuse or skip the file.
    Source: imagededup ships PNG and BMP files that are JPEGs; czkawka has the same check.
    """
    known = pl.col("extension").is_not_null() & pl.col("format").is_not_null()
    return (known & ~pl.col("extension_matches")).fill_null(value=False)
