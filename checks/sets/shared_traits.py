"""What the samples of a group have in common that others have not: a metric, or a value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.metrics.column_table import read_columns
from checks.sets.drawn import ROWS_MAX, draw_rows

METRICS = (
    "luma_mean", "luma_std", "colourfulness", "sharpness", "entropy_bits", "border_frac",
    "aspect_ratio", "area_px", "jpeg_quality",
)  # fmt: skip
APART_MIN = 0.8  # standard deviations between the means: a large effect (Cohen 1988)
SHARE_MIN = 0.3  # between the shares of a value
TOLD = 2
Flags = npt.NDArray[np.bool_]


def name_traits(
    ids: pl.Series, inside: Flags, tables: Mapping[str, pl.LazyFrame], leave_out: str | None
) -> str:
    """Return the clearest traits of a group as the end of a sentence; empty where there is none.

    Args:
        ids: sample_id of the N samples, sorted.
        inside: shape (N,), which of them the group holds.
        tables: metrics, or rows and columns, as far as there are any.
        leave_out: a column that defines the group.
    """
    marked = pl.DataFrame({"sample_id": ids, "inside": inside})
    traits = [*_compare_metrics(marked, tables), *_compare_values(marked, tables, leave_out)]
    clearest = sorted(traits, key=lambda one: (-one[0], one[1]))[:TOLD]
    return "".join(f"; {told}" for _, told in clearest)


def _compare_metrics(
    marked: pl.DataFrame, tables: Mapping[str, pl.LazyFrame]
) -> list[tuple[float, str]]:
    """Metrics whose means lie apart, by how far of what is looked for."""
    if "metrics" not in tables:
        return []
    known = tables["metrics"].collect_schema()
    names = [name for name in METRICS if name in known and known[name].is_numeric()]
    metrics = tables["metrics"].select("sample_id", *names).collect()
    both = marked.join(metrics, on="sample_id", how="left", maintain_order="left")
    flags, traits = both["inside"].to_numpy(), []
    for name in names:
        values = both[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        known_here = np.isfinite(values)
        own, others = values[flags & known_here], values[~flags & known_here]
        if min(own.size, others.size) < 2:  # noqa: PLR2004 - no spread
            continue
        spread = float(np.sqrt((own.var() + others.var()) / 2))
        apart = (own.mean() - others.mean()) / spread if spread > 0 else 0.0
        if abs(apart) >= APART_MIN:
            side = "higher" if apart > 0 else "lower"
            told = f"{side} {name} ({own.mean():.3g} against {others.mean():.3g})"
            traits.append((round(abs(apart) / APART_MIN, 6), told))
    return traits


def _compare_values(
    marked: pl.DataFrame, tables: Mapping[str, pl.LazyFrame], leave_out: str | None
) -> list[tuple[float, str]]:
    """Values of columns that the group holds oftener, by how much of what is looked for."""
    if not {"rows", "columns"} <= tables.keys():
        return []
    drawn, traits = draw_rows(tables, ROWS_MAX), []
    for column in read_columns(tables["columns"]):
        if column.kind not in ("category", "boolean") or column.name == leave_out:
            continue
        texts = drawn.rows.select(column.text.alias("text"))["text"]
        named = pl.DataFrame({"sample_id": drawn.samples["sample_id"], "text": texts})
        both = marked.join(named, on="sample_id")
        sizes = dict(both.group_by("inside").len().iter_rows())
        counts = both.drop_nulls("text").group_by("text").agg(
            own=pl.col("inside").sum(), others=(~pl.col("inside")).sum()
        )  # fmt: skip
        for text, own, others in counts.sort("text").iter_rows():
            share = own / max(sizes.get(True, 0), 1)
            rest = others / max(sizes.get(False, 0), 1)
            if share - rest >= SHARE_MIN:
                told = f"{column.name} = {text} ({share:.0%} against {rest:.0%})"
                traits.append((round((share - rest) / SHARE_MIN, 6), told))
    return traits
