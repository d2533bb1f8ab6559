"""How often each part of the set is flagged and taken out: cleaning that is biased shows here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.corrections import adjust_benjamini

ROWS_MAX = 50
LEVEL = 0.95
DIFFERS = 0.05
TINY = 1e-7  # two tables are as likely if their chances differ by less, relatively
DIGITS = 6
Floats = npt.NDArray[np.float64]


def tell_slices(marked: pl.DataFrame, names: list[str]) -> dict[str, Any]:
    """Return what share of each slice is flagged and dropped, those that differ most first.

    Args:
        marked: one row for each train sample that the policy counts: flagged, dropped (Boolean;
            dropped or relabelled by the policy) and a String column for each of `names`.
        names: columns that slice the set; a null is a slice of its own.

    Returns:
        samples, flagged, dropped: counts of the whole. slices: how many there are. differ: how many
        of them have a rate unlike the rest's. rows: at most 50, each with slice, value, samples,
        flagged, dropped, rate (0..1, of flagged), low and high (Clopper and Pearson's 95 %
        interval), ratio (to the overall rate; None without any flag), q_flagged and q_dropped.

    q: Fisher's exact test of the slice against the rest, corrected over all slices and both rates
    (Benjamini and Hochberg 1995). `differ` counts those at or below .05.

    >>> frame = pl.DataFrame({"flagged": [True] * 9 + [False] * 91, "dropped": [False] * 100,
    ...                       "who": ["ada"] * 10 + ["bob"] * 90})
    >>> told = tell_slices(frame, ["who"])
    >>> told["differ"], told["rows"][0]["value"], told["rows"][0]["ratio"]
    (2, 'ada', 10.0)
    """
    whole = {"samples": marked.height, "flagged": int(marked["flagged"].sum()),
             "dropped": int(marked["dropped"].sum())}  # fmt: skip
    counted = [_count(marked, name) for name in names]
    rows: list[dict[str, Any]] = [row for part in counted for row in part.iter_rows(named=True)]
    if not rows:
        return {**whole, "slices": 0, "differ": 0, "rows": []}
    tests = [exact_test(row["samples"], row[kind], whole["samples"], whole[kind])
             for kind in ("flagged", "dropped") for row in rows]  # fmt: skip
    corrected = [round(q, DIGITS) for q in adjust_benjamini(tests)]
    overall = whole["flagged"] / whole["samples"]
    for at, row in enumerate(rows):
        low, high = exact_interval(row["flagged"], row["samples"])
        rate = row["flagged"] / row["samples"]
        row |= {"rate": round(rate, DIGITS), "low": low, "high": high,
                "ratio": round(rate / overall, 4) if overall else None,
                "q_flagged": corrected[at], "q_dropped": corrected[len(rows) + at]}  # fmt: skip
    rows.sort(key=lambda row: (_worst(row), -(row["ratio"] or 0), row["slice"], row["value"] or ""))
    differ = sum(_worst(row) <= DIFFERS for row in rows)
    return {**whole, "slices": len(rows), "differ": differ, "rows": rows[:ROWS_MAX]}


def _worst(row: dict[str, Any]) -> float:
    return float(min(row["q_flagged"], row["q_dropped"]))


def _count(marked: pl.DataFrame, name: str) -> pl.DataFrame:
    """Counts of one column's slices, by value."""
    counted = marked.group_by(pl.col(name).alias("value")).agg(
        samples=pl.len().cast(pl.Int64),
        flagged=pl.col("flagged").sum().cast(pl.Int64),
        dropped=pl.col("dropped").sum().cast(pl.Int64),
    )
    return counted.select(pl.lit(name).alias("slice"), pl.all()).sort("value")


def exact_interval(hits: float, total: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the two-sided interval of a share, 0..1; (0, 1) of nothing.

    Counts may be fractions, as an effective sample size is.

    Source: Clopper and Pearson 1934; fractions: Korn and Graubard 1998.

    >>> exact_interval(0, 10), exact_interval(9, 10)
    ((0.0, 0.308497), (0.554984, 0.997471))
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - slow to import

    if total <= 0:
        return 0.0, 1.0
    tail, missed = (1 - level) / 2, total - hits
    low = float(betaincinv(hits, missed + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, missed, 1 - tail)) if missed > 0 else 1.0
    return round(low, DIGITS), round(high, DIGITS)


def exact_test(size: int, hits: int, whole: int, whole_hits: int) -> float:
    """Return Fisher's two-sided p of `hits` in a slice of `size`, against the rest of the set.

    The chance of every table that is no likelier than the one seen.

    >>> round(exact_test(10, 8, 20, 10), 6), exact_test(10, 5, 10, 5)
    (0.023014, 1.0)
    """
    from scipy.special import gammaln  # noqa: PLC0415 - slow to import

    if size == whole or whole_hits in (0, whole):
        return 1.0
    seen = np.arange(max(0, size + whole_hits - whole), min(size, whole_hits) + 1)

    def ways(of: int, some: Floats | npt.NDArray[np.int64]) -> Floats:
        told: Floats = gammaln(of + 1) - gammaln(some + 1) - gammaln(of - some + 1)
        return told

    chance = ways(whole_hits, seen) + ways(whole - whole_hits, size - seen)
    chance = np.exp(chance - chance.max())
    limit = chance[hits - int(seen[0])] * (1 + TINY)
    return round(min(1.0, float(chance[chance <= limit].sum() / chance.sum())), 9)
