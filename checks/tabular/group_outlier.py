"""Flag numbers far beyond those of their group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.column_table import read_columns
from checks.metrics.tabular_profile import ColumnProfile
from checks.metrics.tabular_tails import find_tails

FOUND = {"sample_id": pl.String, "column": pl.String, "value": pl.Float64, "threshold": pl.Float64,
         "evidence": pl.String}  # fmt: skip
_ROWS = 20_000  # of the sample that groups are chosen and measured on
_GROUPS, _SIZE = (2, 200), 30  # values of a group column; rows of a group
_FEW = 10  # distinct numbers below which a column has no tails
_OUTSIDE_MAX = 0.05  # of the sampled rows: bounds that leave out more are none
_SHARES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


def _example(wrong: float | None) -> SetExample:
    """Times of two events that lie far apart; one row may have the time of the other event."""
    ids = [f"{at:032x}-0" for at in range(240)]
    times = [(10.0 if at % 2 else 1700.0) * (1 + at % 17 / 100) for at in range(240)]
    if wrong is not None:
        times[7] = wrong
    columns: dict[str, list[object]] = {
        "name": ["event", "seconds"], "dtype": ["String", "Float64"],
        "kind": ["category", "number"], "distinct_count": [2, 34],
    }  # fmt: skip
    tables: dict[str, dict[str, list[object]]] = {
        "samples": {"sample_id": list(ids)},
        "rows": {"sample_id": list(ids), "event": ["100 m", "10 km"] * 120,
                 "seconds": list(times)},
        "columns": columns,
    }  # fmt: skip
    return SetExample(tables, frozenset() if wrong is None else frozenset({ids[7]}))


@set_check(
    modality="table", needs=("rows", "columns"), dimension="incorrect", severity="warning",
    action="review", explained_min=0.5, tail_ratio_max=3.0,
    examples=(_example(1650.0), _example(None)),
)  # fmt: skip
def group_outlier(
    tables: Mapping[str, pl.LazyFrame], explained_min: float, tail_ratio_max: float
) -> Judged:
    """Flag a number that is usual in its column, but far beyond the numbers of its group.

    The group is the column of words that explains most of the numbers' ranks, at least
    `explained_min` (0..1) of their variance. Beyond: as in `numeric_outlier`, with
    `tail_ratio_max`, in groups of at least 30 of 20,000 sampled rows.

    Why: half an hour is no strange time, but it is for 100 metres.
    Source: ours; the share explained is the correlation ratio (Pearson 1905) of the ranks.
    """
    columns = read_columns(tables["columns"])
    # the smallest digests: a sample that knows no order of the rows
    sample = tables["rows"].bottom_k(_ROWS, by="sample_id").sort("sample_id").collect()
    parts = [pl.LazyFrame(schema=FOUND)]
    chosen: dict[str, str] = {}
    for number, group in _explained(sample, columns, explained_min):
        bounds = _bounds(sample, number, group, tail_ratio_max)
        if bounds.height:
            chosen[number.name] = group.name
            parts.append(_outside(tables["rows"], number, group, bounds, tail_ratio_max))
    found = pl.concat(pl.collect_all(parts, engine="streaming"))
    return Judged(found, facts={"groups": chosen})


def _explained(
    sample: pl.DataFrame, columns: Sequence[ColumnProfile], explained_min: float
) -> list[tuple[ColumnProfile, ColumnProfile]]:
    """Each column of numbers with the column of words that explains it best, if well enough."""
    words = [c for c in columns if c.kind in ("category", "boolean")
             and _GROUPS[0] <= c.distinct_count <= _GROUPS[1]]  # fmt: skip
    codes = {c.name: sample.select(c.text.rank("dense")).to_series() for c in words}
    found = []
    for number in columns:
        if number.kind != "number" or number.distinct_count < _FEW:
            continue
        ranks = sample.select(number.number.rank("average")).to_series()
        told = [(_ratio(ranks, codes[group.name]), group.name, group) for group in words]
        best, _, group = max(told, key=lambda one: one[:2], default=(0.0, "", number))
        if best >= explained_min:
            found.append((number, group))
    return found


def _ratio(ranks: pl.Series, codes: pl.Series) -> float:
    """The correlation ratio of ranks by group: 0 where groups are alike, 1 where they say all."""
    known = (ranks.is_not_null() & codes.is_not_null()).to_numpy()
    if known.sum() < _SIZE:
        return 0.0
    values: NDArray[np.float64] = ranks.to_numpy()[known].astype(float)
    groups = codes.to_numpy()[known].astype(np.int64)
    sizes = np.maximum(np.bincount(groups), 1)
    means = np.bincount(groups, weights=values) / sizes
    total = float(((values - values.mean()) ** 2).sum())
    between = float((np.bincount(groups) * (means - values.mean()) ** 2).sum())
    return round(between / total, 6) if total > 0 else 0.0


def _bounds(
    sample: pl.DataFrame, number: ColumnProfile, group: ColumnProfile, ratio: float
) -> pl.DataFrame:
    """Return key, low and high of each group; none where they leave out too many rows."""
    told = sample.select(key=group.text, number=number.number).drop_nulls().group_by("key").agg(
        pl.len().alias("rows"),
        *(pl.col("number").quantile(q, "nearest").alias(name) for name, q in _SHARES.items()),
    )  # fmt: skip
    rows = []
    for one in told.filter(pl.col("rows") >= _SIZE).sort("key").iter_rows(named=True):
        tails = find_tails({name: one[name] for name in _SHARES}, ratio)
        if tails is not None:
            rows.append((one["key"], tails.low, tails.high))
    schema = {"key": pl.String, "low": pl.Float64, "high": pl.Float64}
    bounds = pl.DataFrame(rows, schema=schema, orient="row")
    beyond = _outside(sample.lazy(), number, group, bounds, ratio).collect().height
    return bounds if beyond <= _OUTSIDE_MAX * sample.height else bounds.head(0)


def _outside(
    rows: pl.LazyFrame, number: ColumnProfile, group: ColumnProfile, bounds: pl.DataFrame,
    ratio: float,
) -> pl.LazyFrame:  # fmt: skip
    """Return the findings among `rows`, lazily."""
    placed = rows.select("sample_id", key=group.text, value=number.number).join(
        bounds.lazy(), on="key", how="inner"
    )
    told = f"far beyond the numbers of its {group.name}"
    return placed.filter(~pl.col("value").is_between("low", "high")).select(
        "sample_id", column=pl.lit(number.name), value="value", threshold=pl.lit(ratio),
        evidence=pl.lit(told),
    )  # fmt: skip
