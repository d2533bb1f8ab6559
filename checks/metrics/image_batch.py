"""Pixels to rows of metrics, for one picture or for many of one shape: the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash

from checks.metrics import kernels
from checks.metrics.blockiness import measure_blockiness
from checks.metrics.image_decode import Decoded
from checks.metrics.image_schema import Metrics
from checks.metrics.levels import LEVEL_METRICS, describe_levels
from checks.metrics.likeness import HASH_METRICS, hash_pictures
from checks.metrics.sharpness import SHARPNESS_METRICS, measure_many

_SAMPLES_PX, _STEP_MAX = 16_384, 4  # at least so many pixels, in even steps, for the histogram
_BORDER_TOLERANCE = 2  # grey levels: JPEG noise on a flat margin
_GREY_FRAC = 0.001  # share of coloured pixels up to which the content counts as grey
FINE_METRICS = (*SHARPNESS_METRICS, "blockiness")  # null where there are too few pixels
_NAMES = (*LEVEL_METRICS, *HASH_METRICS, "ac_std", "border_frac", *FINE_METRICS)


def describe_pictures(pictures: Sequence[Decoded], orientations: Sequence[int]) -> list[Metrics]:
    """Return the metrics of brightness, colour, sharpness and likeness of each picture.

    Args:
        pictures: at least one; all of one shape, all grey or all in colour.
        orientations: their EXIF orientations, 1..8.

    Cost: for 400 x 533 px a quarter of Pillow's decoding of a JPEG; for 32 x 32 px about 60 us
    a picture (bench/images.py).
    """
    alone = len(pictures) == 1  # no copy then
    pixels: Any = pictures[0].pixels[None] if alone else np.stack([one.pixels for one in pictures])
    count, height, width = pixels.shape
    step = max(1, min(_STEP_MAX, math.isqrt(height * width // _SAMPLES_PX)))
    scanned = np.empty((count, kernels.SCANNED), np.int64)
    if pixels.dtype == np.uint8:
        grey_NHW = pixels
        kernels.scan_grey(grey_NHW, step, _BORDER_TOLERANCE, scanned)
    else:
        grey_NHW = np.empty(pixels.shape, np.uint8)
        kernels.scan_colour(pixels, step, _BORDER_TOLERANCE, grey_NHW, scanned)
    levels, contrast = np.empty((count, len(LEVEL_METRICS))), np.empty(count)
    words = np.empty((count, len(HASH_METRICS)), np.uint64)
    sharpness = np.empty((count, len(SHARPNESS_METRICS)))
    describe_levels(scanned, levels)
    hash_pictures(grey_NHW, np.array(orientations, np.int64), words, contrast)
    measure_many(grey_NHW, sharpness)
    blockiness = [
        measure_blockiness(grey_HW, picture.scale)
        for grey_HW, picture in zip(grey_NHW, pictures, strict=True)
    ]
    columns = [column.tolist() for column in (levels, words, contrast, scanned[:, -4:], sharpness)]
    return [
        _as_row((*told, *hashes, deviation, _border_frac(borders, height, width), *sharp, blocky))
        for told, hashes, deviation, borders, sharp, blocky in zip(
            *columns, blockiness, strict=True
        )
    ]


def _as_row(values: tuple[float, ...]) -> Metrics:
    row: Metrics = dict(zip(_NAMES, values, strict=True))
    for name in FINE_METRICS:
        if math.isnan(row[name]):
            row[name] = None
    row["is_grey"] = row.pop("coloured_frac") <= _GREY_FRAC
    return row


def _border_frac(borders: list[int], height: int, width: int) -> float:
    top, bottom, left, right = borders
    return (min(height, top + bottom) + min(width, left + right)) / (height + width)


def digest_pixels(decoded: Decoded, row: Metrics) -> str:
    """Return the digest of shape, mode and pixels; of more frames than one, of the whole file."""
    pixels = decoded.pixels
    whole = row["xxh3_128"] if row["frame_count"] > 1 else ""
    form = f"{row['width_px']}x{row['height_px']}/{decoded.scale}:{pixels.itemsize}"
    digest = xxhash.xxh3_128(f"{form}:{row['has_alpha']}:{whole}:".encode())
    digest.update(pixels.data)
    return digest.hexdigest()
