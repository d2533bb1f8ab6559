"""Metrics as expressions, and how far one lies from the rest of its set."""

from __future__ import annotations

import polars as pl

MAD_TO_SIGMA = 1.4826


def measured(name: str) -> pl.Expr:
    """Return a metric as Float64 in which NaN counts as not measured."""
    return pl.col(name).cast(pl.Float64).fill_nan(None)


def robust_z(value: pl.Expr, scale_min: float) -> pl.Expr:
    """Return (value - median) / sigma, sigma from the median absolute deviation.

    Args:
        value: Float64, null where it was not measured.
        scale_min: least sigma, in the unit of `value`, so that a set without spread does not
            turn a rounding error into an outlier.

    Source: Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers (modified z-score).

    >>> table = pl.DataFrame({"x": [1.0, 2.0, 3.0, 100.0]})
    >>> table.select(robust_z(pl.col("x"), 0.1).round(1))["x"].to_list()
    [-1.0, -0.3, 0.3, 65.8]
    """
    gap = value - value.median()
    sigma = pl.max_horizontal(gap.abs().median() * MAD_TO_SIGMA, pl.lit(scale_min))
    return gap / sigma


def double_z(value: pl.Expr, scale_min: float) -> pl.Expr:
    """Return the distance from the median in sigmas of that side: for skewed metrics.

    Source: Rosenmai 2013, Using the Median Absolute Deviation to Find Outliers; DataEval.

    >>> table = pl.DataFrame({"x": [9.0, 10.0, 10.0, 10.0, 30.0]})
    >>> table.select(double_z(pl.col("x"), 1.0).round(1))["x"].to_list()
    [1.0, 0.0, 0.0, 0.0, 20.0]
    """
    gap = value - value.median()
    below = gap.filter(gap <= 0).abs().median() * MAD_TO_SIGMA
    above = gap.filter(gap >= 0).median() * MAD_TO_SIGMA
    sigma = pl.when(gap < 0).then(below).otherwise(above)
    return gap.abs() / pl.max_horizontal(sigma, pl.lit(scale_min))


def within_class(rule: pl.Expr, class_count: int) -> pl.Expr:
    """Return `rule` judged among the samples of the same `label` in place of the whole set.

    A sample without a label, or of a class below `class_count`, is judged among all: a median of
    a few says nothing.

    >>> table = pl.DataFrame({"label": ["night"] * 3 + ["day"] * 3, "x": [1, 1, 2, 8, 8, 9]})
    >>> table.select(within_class(pl.col("x") > pl.col("x").median(), 3))["x"].to_list()
    [False, False, True, False, False, True]
    """
    label = pl.col("label")
    apart = label.is_not_null() & (pl.len().over(label) >= class_count)
    return pl.when(apart).then(rule.over(label)).otherwise(rule)


def share_of_value(name: str) -> pl.Expr:
    """Return the share of the measured samples that have the same value, 0..1.

    >>> pl.DataFrame({"mode": ["L", "L", "RGB", None]}).select(
    ...     share_of_value("mode").round(2))["mode"].to_list()
    [0.67, 0.67, 0.33, None]
    """
    value = pl.col(name)
    share = value.count().over(value) / value.count().replace(0, None)
    return pl.when(value.is_not_null()).then(share)
