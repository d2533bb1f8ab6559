"""Ways to slice the set beside its classes: who labelled a sample, where it comes from."""

from __future__ import annotations

import polars as pl

from checks.core.errors import TableError
from checks.core.policy_caps import SLICE_MARK, Slice

MISSING = "(missing)"


def join_slices(
    base: pl.DataFrame, slices: pl.DataFrame | None
) -> tuple[pl.DataFrame, list[str], dict[Slice, int]]:
    """Return `base` with a column for each slice, their names, and how large each slice is.

    "(missing)" is no group that a cleaning could wrong: it has a rate, but no size and no cap.

    Args:
        base: one row for each sample with `counted` (readable train sample).
        slices: sample_id (unique) and a String column for each way to slice; None: no slices. A
            sample that is not there, or has a null, belongs to the slice "(missing)".

    Raises:
        TableError: no sample_id, or one twice.

    >>> base = pl.DataFrame({"sample_id": ["x", "y"], "counted": [True, True]})
    >>> who = pl.DataFrame({"sample_id": ["x"], "who": ["ada"]})
    >>> join_slices(base, who)[2]
    {('slice:who', 'ada'): 1}
    """
    if slices is None:
        return base, [], {}
    if "sample_id" not in slices.columns or slices["sample_id"].is_duplicated().any():
        advice = "One row for each sample, and a column of text for each way to slice."
        raise TableError("slices", "no table of slices", got=slices.columns, advice=advice)
    own = sorted(name for name in slices.columns if name != "sample_id")
    told = slices.select(
        "sample_id", *(pl.col(n).cast(pl.String).alias(f"{SLICE_MARK}{n}") for n in own)
    )
    names = [f"{SLICE_MARK}{name}" for name in own]
    joined = base.join(told, on="sample_id", how="left").sort("sample_id")
    joined = joined.with_columns(pl.col(names).fill_null(MISSING))
    counted = joined.filter("counted")
    sizes = {
        (name, value): count
        for name in names
        for value, count in counted[name].value_counts().sort(name).iter_rows()
        if value != MISSING
    }
    return joined, names, sizes


def name_slice(column: str) -> str:
    """Return the name that the user knows.

    >>> name_slice("slice:annotator")
    'annotator'
    """
    return column.removeprefix(SLICE_MARK)
