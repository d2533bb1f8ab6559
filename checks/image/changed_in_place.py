"""Flag a file whose bytes changed though its size and modification time did not."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check


@row_check(
    needs=("changed_in_place", "error_kind"),
    dimension="low_quality",
    severity="error",
    action="review",
    examples=(
        Example({"changed_in_place": True, "error_kind": None}, flagged=True),
        Example({"changed_in_place": True, "error_kind": "truncated"}, flagged=True),
        Example({"changed_in_place": True, "error_kind": "unreadable_file"}, flagged=False),
        Example({"changed_in_place": False, "error_kind": "truncated"}, flagged=False),
        Example({"changed_in_place": None, "error_kind": None}, flagged=False),
    ),
)
def changed_in_place() -> pl.Expr:
    """Flag a file whose bytes changed though its size and modification time did not.

    Found when a known file is read again: a hundredth of them in each run, all of them with
    [profile] verify = "all". The finding stays until the old content is back. A later
    modification time accepts the new content: the file then counts as changed. Of a file that
    cannot be read at all nothing is said here.

    Why: nobody edits a file and keeps its time; failing disks, memory and copies do, and outside
    JPEG and PNG no decoder notices.
    Source: own trial: bit flips in WebP, TIFF and BMP pass every decoder; only digests tell.
    """
    seen = pl.col("error_kind").ne_missing("unreadable_file")
    return pl.col("changed_in_place").fill_null(value=False) & seen
