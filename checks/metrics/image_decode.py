"""Bytes to pixels: strict for JPEG, tolerant where strict fails, and silent damage told apart."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from checks.metrics.image_container import check_container, drop_stray_bytes
from checks.metrics.image_header import ALPHA_MODES, UnreadableError, tell

# H x W: uint8 grey, or uint32 words of colour, R in the lowest byte, then G, B and 255.
Pixels = NDArray[np.uint8] | NDArray[np.uint32]
_FULL = np.uint32(0xFF000000)

SHORT_SIDE_PX = 256  # images are reduced by 2, 4 or 8 while their short side stays this long
_TRUNCATED = re.compile(
    r"truncat|premature|unexpected end|end of (file|stream|data)|not enough|incomplete|\beof\b",
    re.IGNORECASE,
)  # fmt: skip
_DAMAGE = re.compile(r"corrupt|premature|inconsistent|invalid|bad |extraneous", re.IGNORECASE)
_BAND_PX = 4_194_304
_WIDE_MODES = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}


class Decoded(NamedTuple):
    """Pixels at 1/`scale` of their size, and what a strict decoder complained about."""

    pixels: Pixels
    scale: int
    warning: str | None


def decode(image: Image.Image, data: bytes) -> Decoded:
    """Return the first frame's pixels.

    JPEG is decoded by libjpeg-turbo with warnings as errors; where it objects and Pillow does
    not, the objection becomes the warning. PNG and WebP are read by Pillow, and their chunks are
    checked. Large images come reduced (in the frequency domain for JPEG, by box mean otherwise).

    Raises:
        UnreadableError: undecodable, truncated or unsupported_mode.
    """
    scale = reduction(*image.size)
    if image.format in {"JPEG", "MPO"}:
        return _decode_jpeg(image, data, scale)
    warning = check_container(image, data)
    return Decoded(_decode_tolerant(image, scale), scale, warning)


def reduction(width: int, height: int) -> int:
    """Return 1, 2, 4 or 8: the largest that leaves the short side at least 256 px.

    >>> [reduction(500, 375), reduction(512, 512), reduction(4000, 3000)]
    [1, 2, 8]
    """
    short = min(width, height)
    return next((scale for scale in (8, 4, 2) if short >= SHORT_SIDE_PX * scale), 1)


def decode_strictly(data: bytes, colours: str, size: tuple[int, int], scale: int) -> Pixels:
    """Return a JPEG's pixels as libjpeg-turbo decodes them; what it warns of is a ValueError.

    Args:
        data: the file.
        colours: GRAY or RGBA.
        size: the picture's width and height.
        scale: 1, 2, 4 or 8.
    """
    width, height = size
    pixels = simplejpeg.decode_jpeg(
        data, colours, min_factor=scale, min_height=-(-height // scale),
        min_width=-(-width // scale),
    )  # fmt: skip
    words: Pixels = pixels.view(np.uint8 if colours == "GRAY" else "<u4")[:, :, 0]
    return words


def _decode_jpeg(image: Image.Image, data: bytes, scale: int) -> Decoded:
    colours = {"L": "GRAY", "CMYK": "CMYK"}.get(image.mode, "RGBA")
    width, height = image.size
    try:
        pixels = decode_strictly(data, colours, image.size, scale)
    except ValueError as error:
        warning = " ".join(str(error).split())[:200]
        if "extraneous" in warning and (tidy := drop_stray_bytes(data)) != data:
            return _decode_jpeg(image, tidy, scale)  # padding is no damage; what is left may be
        image.draft(None, (width // scale, height // scale))
        try:
            tolerant = _decode_tolerant(image, scale if image.size == (width, height) else 1)
        except UnreadableError as failure:
            if _TRUNCATED.search(warning):
                raise UnreadableError("truncated", f"{failure}; {warning}") from failure
            raise
        return Decoded(tolerant, scale, warning if _DAMAGE.search(warning) else None)
    if colours == "CMYK":  # inks to light is Pillow's business: Adobe stores them inverted
        return Decoded(_decode_tolerant(image, scale), scale, None)
    return Decoded(pixels, scale, None)


def _decode_tolerant(image: Image.Image, scale: int) -> Pixels:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # hostile data raises anything at all
        told = tell(error)
        kind = "truncated" if _TRUNCATED.search(told) else "undecodable"
        raise UnreadableError(kind, told) from error
    try:
        return _reduce_plain(image, scale)
    except MemoryError:
        raise
    except Exception as error:  # a mode that Pillow decodes but cannot convert
        raise UnreadableError("unsupported_mode", f"mode {image.mode}: {tell(error)}") from error


def _reduce_plain(image: Image.Image, scale: int) -> Pixels:
    """Return grey or RGB pixels; large pictures go in bands, so that no copy is as large."""
    width, height = image.size
    if width * height <= _BAND_PX:
        plain = to_plain(image)
        return to_pixels(plain.reduce(scale) if scale > 1 else plain)
    if image.mode in {"I", "F"}:  # their range is that of the whole picture
        return to_pixels(to_plain(image.reduce(scale)))
    rows = max(scale, _BAND_PX // width // scale * scale)
    parts: list[NDArray[Any]] = []
    for top in range(0, height, rows):
        band = to_plain(image.crop((0, top, width, min(height, top + rows))))
        parts.append(to_pixels(band.reduce(scale) if scale > 1 else band))
    return np.concatenate(parts)


def to_pixels(plain: Image.Image) -> Pixels:
    """Return the pixels of an image of mode L or RGB, in memory of their own.

    The copy is writable on purpose: read-only arrays would compile every kernel again.

    >>> hex(to_pixels(Image.new("RGB", (1, 1), (1, 2, 3)))[0, 0])
    '0xff030201'
    """
    shape = plain.height, plain.width
    if plain.mode == "L":
        return np.frombuffer(plain.tobytes(), np.uint8).reshape(shape).copy()
    return np.frombuffer(plain.tobytes("raw", "RGBX"), "<u4").reshape(shape) | _FULL


def to_plain(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit grey (L) or RGB.

    Alpha is laid on white. 16 bits keep their upper 8; a float image in 0..1 or 0..255 keeps its
    levels; any wider range is stretched to 0..255, so its brightness says nothing.
    """
    if image.mode in {"L", "RGB"} and "transparency" not in image.info:
        return image
    if image.mode in _WIDE_MODES:
        return Image.fromarray(_narrow(np.asarray(image)))
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        laid = Image.alpha_composite(white, clear)
        return laid.convert("L" if image.mode in {"LA", "La", "L"} else "RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def _narrow(levels: NDArray[np.generic]) -> Pixels:
    if levels.dtype.kind == "u" and levels.dtype.itemsize == 2:  # noqa: PLR2004 - either byte order
        return (levels.astype(np.uint16) >> 8).astype(np.uint8)
    values = np.nan_to_num(levels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if levels.dtype == np.int32 and low >= 0 and high < 1 << 16:
        return (values.astype(np.uint32) >> 8).astype(np.uint8)
    if low >= 0 and high <= 1:
        values = values * 255
    elif low < 0 or high > 255:  # noqa: PLR2004 - a grey level's range
        values = (values - low) * (255 / (high - low))
    return np.rint(values).astype(np.uint8)
