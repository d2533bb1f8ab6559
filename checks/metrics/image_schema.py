"""What is measured on an image: names, types, kinds of failure, limits. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

METRICS_VERSION = 2  # raise it whenever a metric's value may change: cached pieces are then redone
ERROR_KINDS = (
    "empty", "not_an_image", "undecodable", "truncated", "too_many_pixels", "unsupported_mode",
    "timeout", "worker_died", "unreadable_file",
)  # fmt: skip
PASSING_KINDS = ("unreadable_file", "worker_died")  # worth another try in the next run

_STRING, _INT, _FLOAT, _BOOL, _HASH = (
    pl.String(), pl.Int64(), pl.Float64(), pl.Boolean(), pl.UInt64()
)  # fmt: skip
_LUMA = ("luma_mean", "luma_std", "luma_p01", "luma_p05", "luma_p50", "luma_p95", "luma_p99")
_SHARPNESS = (
    "sharpness_p90", "sharpness", "detail_ratio", "weakest_detail_ratio", "strongest_detail_ratio",
    "noise_sigma", "blockiness",
)  # fmt: skip
IMAGE_METRICS = pl.Schema({
    **dict.fromkeys(("error_kind", "error", "decode_warning", "format", "extension"), _STRING),
    "extension_matches": _BOOL, "mode": _STRING,
    **dict.fromkeys(("bit_depth", "width_px", "height_px", "area_px"), _INT),
    "aspect_ratio": _FLOAT, "frame_count": _INT, "exif_orientation": _INT,
    **dict.fromkeys(("has_icc", "progressive", "has_alpha"), _BOOL), "jpeg_quality": _INT,
    **dict.fromkeys(_LUMA, _FLOAT),
    **dict.fromkeys(("clip_low_frac", "clip_high_frac", "midtone_frac", "border_frac"), _FLOAT),
    "entropy_bits": _FLOAT, "colourfulness": _FLOAT, "is_grey": _BOOL,
    **dict.fromkeys((*_SHARPNESS, "ac_std"), _FLOAT), "phash64": _HASH,
    **dict.fromkeys((f"phash256_{word}" for word in range(4)), _HASH), "phash64_d4": _HASH,
    "pixel_digest": _STRING,
})  # fmt: skip
PROFILE_SCHEMA = pl.Schema({
    "uri": pl.String(), "row": pl.Int64(), "byte_size": pl.Int64(), "xxh3_128": pl.String(),
    **IMAGE_METRICS, "changed_in_place": _BOOL,  # by the cache's history, not by the bytes
})  # fmt: skip
Metrics = dict[str, Any]  # one row of PROFILE_SCHEMA without uri and row


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost before it becomes a finding.

    max_pixels: width * height. max_seconds: CPU seconds; a file may wait ten times as long.
    max_memory_mb: megabytes that a worker may hold beyond what it starts with.
    """

    max_pixels: int = 100_000_000
    max_seconds: float = 20.0
    max_memory_mb: int = 700
