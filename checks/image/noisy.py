"""Flag an image with far more noise in its flattest parts than its set."""

from __future__ import annotations

import polars as pl

from checks.core.check import Example, row_check
from checks.image.relative import measured, robust_z


@row_check(
    needs=("noise_sigma",),
    dimension="low_quality",
    severity="info",
    action="review",
    relative=True,
    noise_sigma_min=4.0,
    z_min=3.5,
    examples=(
        Example({"noise_sigma": 7.0}, flagged=True, among={"noise_sigma": [0.4, 0.5, 0.9]}),
        Example({"noise_sigma": 3.0}, flagged=False, among={"noise_sigma": [0.4, 0.5, 0.9]}),
        Example({"noise_sigma": 7.0}, flagged=False, among={"noise_sigma": [6.0, 7.0, 8.0]}),
    ),
)
def noisy(*, noise_sigma_min: float, z_min: float) -> pl.Expr:
    """Flag an image with far more noise in its flattest parts than its set.

    Noise is in grey levels; grain of the whole set is left to the prevalence report.

    Why: noise in one class or one camera is a shortcut; strong noise hides small details.
    Source: Immerkaer 1996, Fast Noise Variance Estimation, in the flattest tenth of the tiles;
    bounds: own trial on photos, CIFAR and MNIST (bench/blur.py).
    """
    noise = measured("noise_sigma")
    far = robust_z(noise, scale_min=0.3) >= z_min
    return ((noise > noise_sigma_min) & far).fill_null(value=False)
