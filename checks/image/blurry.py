"""Flag an image whose finest detail is missing, by itself and against its set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z

_SHARP = {"detail_ratio": [0.45, 0.5, 0.6], "luma_std": [0.2, 0.2, 0.2]}


@row_check(
    needs=("detail_ratio", "luma_std"),
    dimension="low_quality",
    severity="warning",
    action="down_weight",
    relative=True,
    detail_ratio_max=0.25,
    luma_std_min=0.02,
    z_max=-2.5,
    examples=(
        Example({"detail_ratio": 0.11, "luma_std": 0.2}, flagged=True, among=_SHARP),
        Example({"detail_ratio": 0.0, "luma_std": 0.0}, flagged=False, among=_SHARP),
        Example({"detail_ratio": 0.3, "luma_std": 0.2}, flagged=False, among=_SHARP),
    ),
)
def blurry(*, detail_ratio_max: float, luma_std_min: float, z_max: float) -> pl.Expr:
    """Flag an image whose finest detail is missing, by itself and against its set.

    The detail ratio compares the Laplacian of the pixels with that at half the size, in the
    sharpest tiles: a sharp subject on a soft ground and a dark picture count as sharp. All three
    conditions must hold; a blank picture is not blurred.

    Why: a network learns to ignore edges; labels of blurred pictures are guesses more often.
    Source: Laplacian: Pech-Pacheco et al. 2000; tiles: dataset-doctor #1090; the ratio and its
    bounds: own trial on photos, CIFAR and MNIST (bench/blur.py).
    """
    ratio = measured("detail_ratio")
    far = robust_z(ratio.clip(lower_bound=0.01).log(), scale_min=0.1) <= z_max
    soft = (ratio < detail_ratio_max) & far
    return (soft & (measured("luma_std") >= luma_std_min)).fill_null(value=False)
