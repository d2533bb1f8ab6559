"""What a file says about itself before a pixel is decoded: format, size, depth, EXIF, quality."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from checks.metrics.image_container import count_gif_frames, find_png_chunk
from checks.metrics.image_schema import Metrics

# EPS starts Ghostscript, WMF Windows' renderer; the others read through optional libraries.
_REFUSED = {"EPS", "WMF", "FPX", "MIC", "BUFR", "GRIB", "HDF5", "MPEG"}
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"),
    (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"RIFF", "WEBP"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"), (b"\xff\x4f\xff\x51", "JPEG2000"),
)  # fmt: skip
_UNREAD = (  # where the mark stands, the mark, what it is
    (4, b"ftyphei", "HEIC"), (4, b"ftyphev", "HEIC"), (4, b"ftypmif1", "HEIF"),
    (0, b"\xff\x0a", "JPEG XL"), (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
)  # fmt: skip
_OTHER = (
    (b"%PDF", "a PDF document"), (b"PK\3\4", "a ZIP archive"), (b"\x1f\x8b", "gzip"),
    (b"<", "a web page, XML or SVG"), (b"version https://git-lfs", "a Git LFS pointer"),
    (b"{", "JSON"),
)  # fmt: skip
_SAME = {"MPO": "JPEG", "DIB": "BMP"}
_DEPTH_OF_MODE = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32}
_MULTI_FRAME = {"GIF", "WEBP", "PNG", "TIFF", "AVIF"}
ALPHA_MODES = {"RGBA", "LA", "PA", "La", "RGBa"}
_EXIF_IN_INFO = {"JPEG", "MPO", "PNG", "GIF", "BMP", "WEBP", "AVIF"}
_EXIF_KEYS = {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"}
_ORIENTATION, _BITS_PER_SAMPLE = 0x0112, 258
# ISO/IEC 10918-1 Annex K.1, the luminance table that the IJG quality scale multiplies.
_STANDARD = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip
_QUALITIES = np.arange(1, 101)
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)  # noqa: PLR2004 - IJG
_TABLES = np.clip((_STANDARD * _SCALES[:, None] + 50) // 100, 1, 255)


class UnreadableError(Exception):
    """An image cannot be measured. kind: one of ERROR_KINDS."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


def _known_formats() -> tuple[list[str], dict[str, str]]:
    """Return the formats that are tried, common ones first, and the format of each extension."""
    Image.init()
    common = ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"]
    others = sorted(set(Image.OPEN) - set(common) - _REFUSED)
    extensions = {
        ending[1:]: _SAME.get(name, name) for ending, name in Image.registered_extensions().items()
    }
    return common + others, extensions


_FORMATS, _EXTENSIONS = _known_formats()
_PLUGINS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "JPEG": JpegImagePlugin.JpegImageFile, "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile, "BMP": BmpImagePlugin.BmpImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile, "TIFF": TiffImagePlugin.TiffImageFile,
}  # fmt: skip


def open_image(data: bytes) -> Image.Image:
    """Return the image with its header read, pixels not yet.

    Raises:
        UnreadableError: empty, not_an_image, or undecodable (a known signature, a broken header).
    """
    if not data:
        raise UnreadableError("empty", "the file has 0 bytes")
    named = next((name for mark, name in _SIGNATURES if data.startswith(mark)), None)
    try:
        image = _open_as(named, data)
        return image or Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:  # only where Pillow's own limit still holds
        raise UnreadableError("too_many_pixels", tell(error)) from error
    except UnidentifiedImageError:
        if named is None:
            raise _refuse(data) from None
        raise UnreadableError(
            "undecodable", f"{named} signature, but the header is broken"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # hostile headers raise anything at all
        raise UnreadableError("undecodable", tell(error)) from error


def _open_as(name: str | None, data: bytes) -> Image.Image | None:
    """Return the image as the one plugin reads it that the signature names, None if it cannot.

    Image.open tries one plugin after another and takes twice the time. A JPEG's plugin stands
    for MPO, several pictures in a row, as well: the first one counts.
    """
    if name is None or name not in _PLUGINS:
        return None
    try:
        return _PLUGINS[name](io.BytesIO(data))
    except (SyntaxError, IndexError, TypeError, KeyError, EOFError, struct.error):
        return None  # what Image.open takes for "not of this format": it may be of another


def _refuse(data: bytes) -> UnreadableError:
    """Return why nothing here reads these bytes: as an image of another kind, or as no image."""
    unread = next((name for at, mark, name in _UNREAD if data.startswith(mark, at)), None)
    if unread is not None:
        return UnreadableError("unsupported_mode", f"{unread} is a format that is not read here")
    if not any(data):
        return UnreadableError("not_an_image", f"all {len(data)} bytes are zero")
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:32]
    other = next((name for mark, name in _OTHER if start.startswith(mark)), None)
    told = f"no format that is read here begins with {data[:8].hex(' ')}"
    return UnreadableError("not_an_image", f"it looks like {other}" if other else told)


def tell(error: BaseException) -> str:
    """Return an error as one short line with its type."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def read_header(image: Image.Image, data: bytes) -> Metrics:
    """Return the metrics that need no pixels."""
    kind = _SAME.get(image.format or "", image.format)
    width, height = image.size
    jpeg = kind == "JPEG"
    return {
        "format": kind,
        "mode": image.mode,
        "bit_depth": _bit_depth(image, data, kind),
        "width_px": width,
        "height_px": height,
        "area_px": width * height,
        "aspect_ratio": min(width, height) / max(width, height) if width and height else None,
        "exif_orientation": _orientation(image, data),
        "has_icc": bool(image.info.get("icc_profile")),
        "progressive": bool(image.info.get("progressive") or image.info.get("interlace")),
        "has_alpha": "transparency" in image.info or image.mode in ALPHA_MODES,
        "jpeg_quality": jpeg_quality(getattr(image, "quantization", {})) if jpeg else None,
    }  # fmt: skip


def read_extension(name: str | None, kind: str | None) -> Metrics:
    """Return the extension in a file's name, and whether the content is of its format.

    >>> read_extension("a/b.JPG", "PNG")
    {'extension': 'jpg', 'extension_matches': False}
    """
    stem, _, extension = (name or "").rpartition("/")[2].rpartition(".")
    extension = extension.lower()
    if not stem or not extension:
        return {"extension": None, "extension_matches": None}
    matches = None if kind is None else _EXTENSIONS.get(extension) == kind
    return {"extension": extension, "extension_matches": matches}


def jpeg_quality(tables: dict[int, list[int]]) -> int | None:
    """Return the IJG quality 1..100 whose luminance table lies nearest; None without tables.

    Source: libjpeg's jpeg_set_quality; nearest in the sum of absolute differences.
    """
    if not tables or len(tables[min(tables)]) != _STANDARD.size:
        return None
    return _nearest_quality(tuple(tables[min(tables)]))


@lru_cache(maxsize=1024)  # a set has few tables, and the search is a third of a header's time
def _nearest_quality(table: tuple[int, ...]) -> int:
    return int(np.abs(_TABLES - np.asarray(table)).sum(axis=1).argmin()) + 1


def count_frames(image: Image.Image, data: bytes = b"") -> int:
    """Return how many frames the image has, 1 for still formats; a phone's MPO is one picture.

    With its bytes in `data`, a GIF's frames are counted without Pillow, which takes 50 us each.
    """
    if image.format not in _MULTI_FRAME:
        return 1
    if data and image.format == "GIF":
        return max(1, count_gif_frames(data))
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # noqa: BLE001 - a broken later frame does not make the first one unreadable
        return 1


def _orientation(image: Image.Image, data: bytes) -> int:
    info = image.info
    if image.format == "PNG" and "exif" not in info:
        chunk = find_png_chunk(data, b"eXIf")  # Pillow would decode all pixels to look for it
        if chunk is not None:
            info["exif"] = b"Exif\0\0" + chunk
    if image.format in _EXIF_IN_INFO and not _EXIF_KEYS.intersection(info):
        return 1
    try:
        value = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - broken EXIF is common and harmless
        return 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def _bit_depth(image: Image.Image, data: bytes, kind: str | None) -> int:
    if kind == "PNG" and len(data) > 24 and data[12:16] == b"IHDR":  # noqa: PLR2004 - IHDR's layout
        return data[24]
    if kind == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        told = tags.get(_BITS_PER_SAMPLE)
        told = told[0] if isinstance(told, tuple) and told else told
        if isinstance(told, int) and told > 0:
            return told
    return _DEPTH_OF_MODE.get(image.mode, 8)
