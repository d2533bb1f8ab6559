"""Order statistics and a histogram of numbers with their counts."""

from __future__ import annotations

import polars as pl


def quantiles(numbers: pl.DataFrame, *, nonzero: bool = False) -> dict[str, float]:
    """Return the order statistics p01 to p99 of `numbers` (key, count); empty if there are none."""
    kept = numbers.filter(pl.col("key") != 0) if nonzero else numbers
    if kept.is_empty():
        return {}
    ranked = kept.sort("key").with_columns(upto=pl.col("count").cum_sum())
    total = int(ranked.get_column("upto")[-1])
    shares = {"p01": 1, "p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99}
    upto, keys = ranked.get_column("upto"), ranked.get_column("key")
    # rank = ceil(share * total), in integers
    ranks = {name: max(-(-share * total // 100), 1) for name, share in shares.items()}
    return {
        name: float(keys[int(upto.search_sorted(rank, "left"))]) for name, rank in ranks.items()
    }


def histogram(
    numbers: pl.DataFrame, bounds: dict[str, float], bins: int = 20
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return (edges, counts) over p01..p99; the outer bins also hold what lies beyond."""
    if numbers.is_empty():
        return (), ()
    low, high = bounds["p01"], bounds["p99"]
    if low == high:
        low, high = float(numbers["key"].min()), float(numbers["key"].max())  # type: ignore[arg-type]
    if not 0 < high - low < float("inf"):
        return (low, high), (int(numbers["count"].sum()),)
    place = ((pl.col("key") - low) / (high - low) * bins).floor().clip(0, bins - 1)
    filled = numbers.group_by(place.cast(pl.Int64).alias("bin")).agg(pl.col("count").sum())
    by_bin = dict(filled.iter_rows())
    edges = tuple(low + (high - low) * i / bins for i in range(bins + 1))
    return edges, tuple(int(by_bin.get(i, 0)) for i in range(bins))
