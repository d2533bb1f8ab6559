"""Plain JPEG and small PNG files, read without Pillow: the same facts and pixels, in less time.

Plain means: 8 bits a channel, grey or colour, no alpha, no EXIF, no profile, nothing damaged.
Everything else is left to Pillow: these functions then return None, and never raise.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import zigzag_index

from checks.metrics.compiled import compiled
from checks.metrics.image_decode import Decoded, Pixels, decode_strictly, reduction
from checks.metrics.image_header import jpeg_quality
from checks.metrics.image_schema import Metrics

PNG_PX = 16_384  # larger ones are decoded as fast by Pillow
_SOI, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_SOF = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive; the others are rare
_DQT, _SOS, _PROGRESSIVE, _TABLE_BYTES = 0xDB, 0xDA, 0xC2, 65
_SKIPPED = {0xC4, 0xDD, 0xE0, 0xEE, 0xFE}  # Huffman tables, restarts, JFIF, Adobe, comment
_IDLE = {b"gAMA", b"sRGB", b"cHRM", b"pHYs", b"tIME", b"sBIT"}  # chunks that change no pixel
_MODES = {1: "L", 3: "RGB"}


class Plain(NamedTuple):
    """Header facts of a file, and what decodes it (to None where it is not plain after all)."""

    facts: Metrics
    decode: Callable[[], Decoded | None]


def read_plain(data: bytes) -> Plain | None:
    """Return what `image_header.read_header` would, and how to decode; None where not plain.

    >>> read_plain(b"GIF89a") is None
    True
    """
    try:
        if data.startswith(_SOI):
            return _read_jpeg(data)
        return _read_png(data) if data.startswith(_PNG) else None
    except (struct.error, IndexError):
        return None


def _facts(kind: str, channels: int, width: int, height: int) -> Metrics:
    return {
        "format": kind, "mode": _MODES[channels], "bit_depth": 8, "width_px": width,
        "height_px": height, "area_px": width * height,
        "aspect_ratio": min(width, height) / max(width, height), "exif_orientation": 1,
        "has_icc": False, "progressive": False, "has_alpha": False, "jpeg_quality": None,
    }  # fmt: skip


def _read_jpeg(data: bytes) -> Plain | None:
    tables: dict[int, bytes] = {}
    frame: tuple[int, int, int, int, int] | None = None
    for marker, start, size in _segments(data):
        if marker in _SOF and frame is None:
            frame = (marker, *struct.unpack_from(">BHHB", data, start))
        elif marker == _DQT and size % _TABLE_BYTES == 0:
            for place in range(start, start + size, _TABLE_BYTES):
                tables[data[place]] = data[place + 1 : place + _TABLE_BYTES]
        elif marker == _SOS:
            break
        elif marker not in _SKIPPED:
            return None
    if frame is None or not tables or max(tables) > 3:  # noqa: PLR2004 - 16-bit tables have 16 more
        return None
    marker, depth, height, width, channels = frame
    if depth != 8 or channels not in _MODES or not width or not height:  # noqa: PLR2004 - bits
        return None
    facts = _facts("JPEG", channels, width, height)
    facts["progressive"] = marker == _PROGRESSIVE
    facts["jpeg_quality"] = _quality(tables[min(tables)])
    colours = "GRAY" if channels == 1 else "RGBA"
    return Plain(facts, lambda: _decode_jpeg(data, colours, width, height))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, place and size of each segment up to the end of the bytes."""
    place = 2
    while True:
        if data[place] != 0xFF:  # noqa: PLR2004 - a marker's first byte
            raise IndexError(place)
        size = struct.unpack_from(">H", data, place + 2)[0]
        yield data[place + 1], place + 4, size - 2
        place += size + 2


@lru_cache(maxsize=1024)
def _quality(table: bytes) -> int | None:
    return jpeg_quality({0: [table[place] for place in zigzag_index]})


def _decode_jpeg(data: bytes, colours: str, width: int, height: int) -> Decoded | None:
    scale = reduction(width, height)
    try:
        return Decoded(decode_strictly(data, colours, (width, height), scale), scale, None)
    except ValueError:
        return None


def _read_png(data: bytes) -> Plain | None:
    parts: list[bytes] = []
    head: tuple[Any, ...] = ()
    place, name = 8, b""
    while name != b"IEND":
        size, name = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + size]
        if (
            zlib.crc32(body, zlib.crc32(name))
            != struct.unpack_from(">I", data, place + 8 + size)[0]
        ):
            return None
        if place == 8:  # noqa: PLR2004 - behind the signature
            head = struct.unpack(">IIBBBBB", body) if name == b"IHDR" else ()
        elif name == b"IDAT":
            parts.append(body)
        elif name not in _IDLE and name != b"IEND":
            return None
        place += size + 12
    if not head or head[2] != 8 or head[3] not in (0, 2) or any(head[4:]):  # noqa: PLR2004 - bits
        return None
    width, height, channels = head[0], head[1], 1 + head[3]
    if not 0 < width * height <= PNG_PX:
        return None
    facts = _facts("PNG", channels, width, height)
    return Plain(facts, lambda: _decode_png(b"".join(parts), channels, width, height))


def _decode_png(packed: bytes, channels: int, width: int, height: int) -> Decoded | None:
    told = height * (width * channels + 1)
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(packed, told + 1)
    except zlib.error:
        return None
    if len(raw) != told or not stream.eof:
        return None
    lines = np.empty((height, width * channels), np.uint8)
    if not _unfilter(np.frombuffer(raw, np.uint8).reshape(height, -1), channels, lines):
        return None
    pixels: Pixels = lines
    if channels == 3:  # noqa: PLR2004 - R, G, B
        pixels = np.empty((height, width), np.uint32)
        _pack(lines, pixels)
    return Decoded(pixels, 1, None)


@compiled
def _paeth(left: np.int64, above: np.int64, corner: np.int64) -> np.int64:
    by_left, by_above = abs(above - corner), abs(left - corner)
    by_corner = abs(left + above - 2 * corner)
    if by_left <= by_above and by_left <= by_corner:
        return left
    return above if by_above <= by_corner else corner


@compiled
def _unfilter(raw: NDArray[np.uint8], step: int, out: NDArray[np.uint8]) -> bool:
    """Undo PNG's filters (W3C PNG, section 9) row by row; False where one is unknown."""
    height, width = out.shape
    above = np.zeros(width, np.uint8)
    for y in range(height):
        kind, line, here = raw[y, 0], raw[y, 1:], out[y]
        if kind > 4:  # noqa: PLR2004 - the last of five
            return False
        if kind == 0 or kind == 2:  # noqa: PLR1714, PLR2004 - none, up; numba is slow with sets
            for x in range(width):
                here[x] = line[x] + (above[x] if kind else 0)
        else:
            for x in range(step):  # nothing to the left: Paeth guesses what is above
                over = np.int64(above[x])
                guess = 0 if kind == 1 else over // 2 if kind == 3 else over  # noqa: PLR2004
                here[x] = np.uint8((np.int64(line[x]) + guess) & 255)
            for x in range(step, width):
                left, over = np.int64(here[x - step]), np.int64(above[x])
                if kind == 1:
                    guess = left
                elif kind == 3:  # noqa: PLR2004 - average
                    guess = (left + over) // 2
                else:
                    guess = _paeth(left, over, np.int64(above[x - step]))
                here[x] = np.uint8((np.int64(line[x]) + guess) & 255)
        above = here
    return True


@compiled
def _pack(lines: NDArray[np.uint8], out: NDArray[np.uint32]) -> None:
    """Write R, G and B of each pixel as one word, 255 in its highest byte."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            red, green, blue = lines[y, 3 * x], lines[y, 3 * x + 1], lines[y, 3 * x + 2]
            word = np.uint32(red) | np.uint32(green) << np.uint32(8)
            out[y, x] = word | np.uint32(blue) << np.uint32(16) | np.uint32(0xFF000000)
