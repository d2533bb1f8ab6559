"""Flag numbers far beyond all others."""

from __future__ import annotations

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import expect, suggest
from checks.metrics.tabular_profile import ColumnProfile, TableProfile

_FEW = 10


@cell_check(
    dimension="incorrect", severity="warning", action="review", tail_ratio_max=3.0,
    examples=(
        CellExample({"temp": [50.0 + i % 40 for i in range(200)] + [900.0]},
                    frozenset({(200, "temp")})),
        CellExample({"income": [float(2**i) for i in range(12)] * 5}, frozenset()),
    ),
)  # fmt: skip
def numeric_outlier(profile: TableProfile, tail_ratio_max: float) -> list[CellRule]:
    """Flag a number further past the 99th (1st) percentile than that is from the median, much so.

    Much: `tail_ratio_max` times that distance, both in the numbers and, if all are above zero, in
    their logarithms. On a normal distribution that is 9.3 standard deviations; a lognormal or
    exponential tail stays unflagged. Zeros are left out where they are more than a tenth.

    Why: one such value can own a column's mean, its scaling and the gradient.
    Source: ours; percentile distances as in Hampel's identifier, which breaks on skewed columns.
    """
    expected = expect(profile)
    rules = []
    for column in profile.features:
        score = _score(column)
        if score is not None:
            rules.append(
                CellRule(column.name, (score > tail_ratio_max).fill_null(value=False),
                         "far beyond all but a few of the column's numbers", column.number,
                         tail_ratio_max, suggest(expected, column.name))
            )  # fmt: skip
    return rules


def _score(column: ColumnProfile) -> pl.Expr | None:
    """How far past the percentiles, in units of their distance from the median."""
    if column.kind != "number" or column.distinct_count < _FEW:
        return None
    zeros = column.zero_count > 0.1 * column.number_count
    shares = column.nonzero_quantiles if zeros else column.quantiles
    low, middle, high = (shares.get(q, 0.0) for q in ("p01", "p50", "p99"))
    if not low < middle < high:
        return None
    number = column.number
    score = pl.max_horizontal(
        (number - high) / (high - middle),
        (low - number) / (middle - low) if not zeros else (low - number) / (high - low),
    )
    if low <= 0:
        return score
    logs = pl.when(number > 0).then(number.log())
    bent = pl.max_horizontal(
        (logs - pl.lit(high).log()) / (pl.lit(high) / middle).log(),
        (pl.lit(low).log() - logs) / (pl.lit(middle) / low).log(),
    )
    return pl.when(number > 0).then(pl.min_horizontal(score, bent)).otherwise(score)
