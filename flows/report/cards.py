"""The main metrics of pictures, each with its distribution in every split."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.words import SPLITS
from flows.report.axes import fit_axis
from flows.report.measures import describe_axis

BINS = 24
MAIN = {
    "luma_mean": "brightness, 0 black to 1 white",
    "luma_std": "contrast, standard deviation of brightness, 0 to 0.5",
    "sharpness_p90": "sharpness, variance of the Laplacian, grey levels squared",
    "area_px": "size, pixels",
    "aspect_ratio": "width over height",
    "jpeg_quality": "JPEG quality, 1 to 100",
    "byte_size": "file size, bytes",
    "entropy_bits": "information, bits",
    "colourfulness": "colourfulness, 0 grey",
}


def describe_cards(
    samples: pl.DataFrame | None, metrics: pl.DataFrame | None
) -> list[dict[str, Any]]:
    """Return the main metrics that vary, with their distribution per split.

    Returns:
        name, says (what it is, with its unit), axis, splits [{split, count, p05, p50, p95, shares}]
        where shares are over 24 bins that are the same for all splits.
    """
    if samples is None or metrics is None:
        return []
    frame = metrics.join(samples.select("sample_id", "split", "byte_size"), on="sample_id")
    cards = []
    for name, says in MAIN.items():
        if name not in frame.columns or not frame.schema[name].is_numeric():
            continue
        values = frame.select("split", value=pl.col(name).cast(pl.Float64))
        known = values.filter(pl.col("value").is_finite())
        axis = fit_axis(known["value"].to_numpy())
        if axis is None:
            continue
        parts = ((split, known.filter(pl.col("split") == split)["value"]) for split in SPLITS)
        splits = [
            {"split": split, **_describe(part.to_numpy()), "shares": _shares(part, axis)}
            for split, part in parts
            if len(part)
        ]
        cards.append({"name": name, "says": says, "axis": describe_axis(axis), "splits": splits})
    return cards


def _describe(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], method="nearest")
    return {"count": len(values), "p05": low, "p50": middle, "p95": high}


def _shares(values: pl.Series, axis: Any) -> list[float]:
    counts = axis.count(values.to_numpy(), BINS)
    return [round(count / len(values), 4) for count in counts]


def draw_steps(shares: list[float], top: float, height: int = 48, width: int = 10) -> str:
    """Return a histogram's outline as a path, `height` high where a share equals `top`.

    >>> draw_steps([0.5, 0.25], top=0.5, height=8)
    'M0 8V0h10V4h10V8'
    """
    tall = [round(height * (1 - share / (top or 1.0)), 1) for share in shares]
    return f"M0 {height}" + "".join(f"V{one:g}h{width}" for one in tall) + f"V{height}"
