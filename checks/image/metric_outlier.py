"""Flag an image that lies `z_min` deviations or more outside its set in any metric."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import double_z, measured, within_class

METRICS = ("colourfulness", "luma_mean", "luma_std", "entropy_bits", "sharpness")
AMONG = tuple([middle * (0.9 + 0.02 * at) for at in range(11)] for middle in (21, 0.5, 0.2, 7, 500))


@row_check(
    needs=("colourfulness", "luma_mean", "luma_std", "entropy_bits", "sharpness", "label?"),
    dimension="low_quality",
    severity="info",
    action="review",
    relative=True,
    z_min=5.0,
    by_class=False,
    class_count=30,
    examples=(
        Example(
            dict(zip(METRICS, (90.0, 0.5, 0.2, 7.0, 500.0), strict=True)),
            flagged=True,
            among=dict(zip(METRICS, AMONG, strict=True)),
        ),
        Example(
            dict(zip(METRICS, (21.0, 0.5, 0.2, 7.0, 500.0), strict=True)),
            flagged=False,
            among=dict(zip(METRICS, AMONG, strict=True)),
        ),
    ),
)
def metric_outlier(*, z_min: float, by_class: bool, class_count: int) -> pl.Expr:
    """Flag an image that lies `z_min` deviations or more outside its set in any metric.

    Deviations are taken on the sample's own side of the median, since most metrics are skewed.
    With `by_class` the set is the sample's own class, if it has `class_count` samples or more: a
    dark picture among day scenes is found even where another class is all night.

    Why: what no single rule names, such as a chart among photos, still stands out in a number.
    Source: DataEval 1.1.4 (double MAD, 3.5); 5 here, because five metrics are asked at once.
    """
    strange = [
        double_z(measured("colourfulness"), scale_min=2.0),
        double_z(measured("luma_mean"), scale_min=0.02),
        double_z(measured("luma_std"), scale_min=0.01),
        double_z(measured("entropy_bits"), scale_min=0.1),
        double_z(measured("sharpness").clip(lower_bound=1.0).log(), scale_min=0.1),
    ]
    rule = (pl.max_horizontal(strange) >= z_min).fill_null(value=False)
    return within_class(rule, class_count) if by_class else rule
