"""Small pictures of shown samples, as data URIs, made without trusting a byte of the input.

Only bytes whose digest is the one that the profile's limited workers decoded are decoded again;
whatever else is shown as a placeholder tile.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl
import xxhash
from PIL import Image, ImageOps

EDGE_PX = 128  # shown at some 100 px: sharp on dense screens too
PIXELS_MAX = 40_000_000
BYTES_MAX = 32 << 20
SMALL_PX = 48
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")


def draw_thumbnails(
    source: Any,
    samples: pl.DataFrame,
    metrics: pl.DataFrame | None,
    wanted: Iterable[str],
    draw: Callable[[bytes], str | None] | None = None,
) -> dict[str, str]:
    """Return `data:` URIs by sample_id for those of `wanted` that can safely be shown.

    Args:
        source: an image source with `read_bytes(entries)`, or None.
        samples: tables.Samples.
        metrics: tables.Keyed with `error_kind` (null = decoded) and `area_px`.
        wanted: sample ids.
        draw: makes a `data:` URI of a file's bytes, or None; `draw_thumbnail` by default.
    """
    if source is None or getattr(source, "modality", "image") != "image":
        return {}
    ids = _decodable(metrics, sorted(set(wanted)))
    chosen = samples.filter(pl.col("sample_id").is_in(ids)).sort("uri", "row")
    if chosen.is_empty():
        return {}
    entries = chosen.select(
        "uri", "row", "label", "split", "byte_size", pl.lit(None, pl.Int64).alias("mtime_ns")
    )
    drawn = {}
    told = zip(chosen["sample_id"], chosen["xxh3_128"], source.read_bytes(entries), strict=False)
    for sample_id, digest, content in told:
        if isinstance(content, bytes) and xxhash.xxh3_128_hexdigest(content) == digest:
            uri = (draw or draw_thumbnail)(content)
            if uri is not None:
                drawn[sample_id] = uri
    return drawn


def _decodable(metrics: pl.DataFrame | None, wanted: list[str]) -> list[str]:
    if metrics is None or "error_kind" not in metrics.columns:
        return []
    fine = metrics.filter(pl.col("sample_id").is_in(wanted) & pl.col("error_kind").is_null())
    if "area_px" in metrics.columns:
        fine = fine.filter(pl.col("area_px").fill_null(0) <= PIXELS_MAX)
    return fine["sample_id"].to_list()


def draw_thumbnail(content: bytes) -> str | None:
    """Return a picture of at most 128 px a side as a `data:` URI; None if it cannot be drawn.

    >>> draw_thumbnail(b"no picture") is None
    True
    """
    return _draw(content, _shrink)


def draw_detail(content: bytes) -> str | None:
    """Return the middle 128 x 128 px of a picture, pixel by pixel, as a `data:` URI.

    Blur, noise and blocks vanish in a picture made smaller: they can only be judged here. None if
    it cannot be drawn, or where the thumbnail already shows every pixel.

    >>> draw_detail(b"no picture") is None
    True
    """
    return _draw(content, _crop)


def _draw(content: bytes, make: Callable[[Image.Image], Image.Image | None]) -> str | None:
    if len(content) > BYTES_MAX:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _open(content, make)
    except (Exception, Image.DecompressionBombError):  # noqa: BLE001 - a decoder may raise anything
        return None


def _open(content: bytes, make: Callable[[Image.Image], Image.Image | None]) -> str | None:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > PIXELS_MAX:
            raise ValueError(f"too many pixels (got {width * height})")
        made = make(image)
        return None if made is None else _encode(made)


def _shrink(image: Image.Image) -> Image.Image:
    image.draft("RGB", (2 * EDGE_PX, 2 * EDGE_PX))
    upright = _raise_up(image)
    upright.thumbnail((EDGE_PX, EDGE_PX), Image.Resampling.BOX)
    return upright


def _crop(image: Image.Image) -> Image.Image | None:
    if max(image.size) <= EDGE_PX:
        return None
    upright = _raise_up(image)
    left, top = (max(0, (size - EDGE_PX) // 2) for size in upright.size)
    right, bottom = min(left + EDGE_PX, upright.width), min(top + EDGE_PX, upright.height)
    return upright.crop((left, top, right, bottom))


def _raise_up(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    return upright if upright.mode in ("L", "RGB") else _flatten(upright)


def _flatten(image: Image.Image) -> Image.Image:
    """Return any mode as RGB; what is transparent becomes mid grey."""
    if image.mode.startswith(("I", "F")):
        levels = np.nan_to_num(np.asarray(image, dtype=np.float64))
        low, span = levels.min(), float(np.ptp(levels)) or 1.0
        return Image.fromarray(((levels - low) * (255 / span)).astype(np.uint8))
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    ground = Image.new("RGBA", layered.size, (128, 128, 128, 255))
    return Image.alpha_composite(ground, layered).convert("RGB")


def _encode(image: Image.Image) -> str:
    out = io.BytesIO()
    if max(image.size) <= SMALL_PX:
        image.save(out, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(out, "JPEG", quality=70, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
