"""Damage that a file's own structure tells and its decoder passes over without a word.

Pillow compares no checksum of pixel chunks, misses no missing end, and reads the first frame of
an animation whose rest is gone. Each function here returns one line that says what is wrong, or
None. Bytes behind a file's end are no damage in any format.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

# Entropy-coded data look random, but flat areas code to zeros: measured on flat WebP pictures of
# 0.3 to 48 megapixels, 96 zero bytes in a row a megapixel at most; 4 on 120 photos. A lost sector
# has 512 or 4,096. The bound is twice what flatness explains, and a sector.
_ZERO_RUN, _PX_PER_ZERO = 512, 5_000
_STRIPS, _TILES = (273, 279), (324, 325)  # TIFF tags: offsets, byte counts
_COMPRESSION, _DEFLATE = 259, {8, 32946}
_SCAN = 0xDA
_GIF_EXTENSION, _GIF_IMAGE, _GIF_TRAILER = 0x21, 0x2C, 0x3B
_OUTPUT_BYTES = 1 << 20


def check_container(image: Image.Image, data: bytes) -> str | None:
    """Return what is wrong with the structure of the file `data`, None if nothing is.

    Args:
        image: the opened file; its format chooses the rules.
        data: the whole file.
    """
    check = _CHECKS.get(image.format or "")
    try:
        return check(image, data) if check else None
    except (struct.error, IndexError) as error:
        return f"{image.format}: the structure ends in the middle ({error})"


def _check_png(_image: Image.Image, data: bytes) -> str | None:
    return check_png(data)


def check_png(data: bytes | memoryview) -> str | None:
    """Return what is wrong with a PNG's chunks: a wrong checksum, a cut, no end.

    >>> check_png(bytes.fromhex("89504e470d0a1a0a"))
    "PNG: no IEND chunk, the file's end is missing"
    """
    place, view = 8, memoryview(data)
    while place + 12 <= len(view):
        length, name = struct.unpack_from(">I4s", view, place)
        end = place + 12 + length
        shown = name.decode("latin-1")
        if end > len(view):
            return f"PNG: chunk {shown!r} at byte {place} is cut off"
        if zlib.crc32(view[place + 4 : end - 4]) != struct.unpack_from(">I", view, end - 4)[0]:
            return f"PNG: wrong checksum in chunk {shown!r} at byte {place}"
        if name == b"IEND":
            return None
        place = end
    return "PNG: no IEND chunk, the file's end is missing"


def find_png_chunk(data: bytes, name: bytes) -> bytes | None:
    """Return the content of a PNG's first chunk of that name, None where there is none.

    >>> find_png_chunk(bytes(8) + bytes.fromhex("00000001 65584966 4d 00000000"), b"eXIf")
    b'M'
    """
    place = 8
    while data.find(name, place) >= 0 and place + 12 <= len(data):
        length, found = struct.unpack_from(">I4s", data, place)
        if found == name:
            return data[place + 8 : place + 8 + length]
        place += 12 + length
    return None


def drop_stray_bytes(data: bytes) -> bytes:
    """Return a JPEG without bytes between its header segments and zeros before its end marker.

    Some cameras and editors leave such padding; libjpeg warns of it as it does of lost pixels.

    >>> drop_stray_bytes(bytes.fromhex("ffd8 0000 ffda0002 5555 0000 ffd9")).hex()
    'ffd8ffda00025555ffd9'
    """
    parts, place = [data[:2]], 2
    while (mark := data.find(0xFF, place)) >= 0 and mark + 4 <= len(data):
        code, length = data[mark + 1], int.from_bytes(data[mark + 2 : mark + 4], "big")
        if code == 0xFF:  # noqa: PLR2004 - a fill byte
            place = mark + 1
            continue
        if code == _SCAN:
            end = max(mark, data.rfind(b"\xff\xd9"))
            body = data[mark:end].rstrip(b"\0")
            stuffed = b"\0" if body.endswith(b"\xff") else b""
            return b"".join([*parts, body, stuffed, data[end:]])
        parts.append(data[mark : mark + 2 + length])
        place = mark + 2 + length
    return data


def _check_gif(_image: Image.Image, data: bytes) -> str | None:
    return _walk_gif(data)[1]


def count_gif_frames(data: bytes) -> int:
    """Return how many pictures a GIF holds, as far as its blocks can be followed."""
    return _walk_gif(data)[0]


def _walk_gif(data: bytes) -> tuple[int, str | None]:
    """Return the count of pictures and what is wrong; zeros between blocks are an old habit."""
    frames, place = 0, 13
    try:
        place += _colour_table(data[10])
        while (kind := data[place]) != _GIF_TRAILER:
            if kind == _GIF_EXTENSION:
                place = _skip_blocks(data, place + 2)
            elif kind == _GIF_IMAGE:
                frames += 1
                place = _skip_blocks(data, place + 11 + _colour_table(data[place + 9]))
            elif kind == 0:
                place += 1
            else:
                return frames, f"GIF: byte {place} begins no block"
    except IndexError:
        return frames, "GIF: no trailer, the file's end is missing"
    return frames, None


def _colour_table(flags: int) -> int:
    """Return the bytes of the colour table that packed flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(data: bytes, place: int) -> int:
    while size := data[place]:
        place += size + 1
    return place + 1


def _check_webp(image: Image.Image, data: bytes) -> str | None:
    told = struct.unpack_from("<I", data, 4)[0] + 8
    if told > len(data):
        return f"WebP: the header tells {told} bytes, the file has {len(data)}"
    return _check_riff(data, 12, told, _lost_run(image))


def _lost_run(image: Image.Image) -> bytes:
    """Return as many zeros as no sound file of this size has in a row."""
    return bytes(_ZERO_RUN + image.width * image.height // _PX_PER_ZERO)


def _check_riff(data: bytes, place: int, end: int, lost: bytes) -> str | None:
    while place + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, place)
        if not name.isascii() or not name.decode("ascii").isprintable():
            return f"WebP: no chunk begins at byte {place}"
        stop = place + 8 + size
        if stop > end:
            return f"WebP: chunk {name.decode()!r} at byte {place} is cut off"
        if name == b"ANMF":  # a frame: 16 bytes of its place, then chunks of its own
            inner = _check_riff(data, place + 24, stop, lost)
            if inner is not None:
                return inner
        elif name in {b"VP8 ", b"VP8L", b"ALPH"} and (hole := data.find(lost, place, stop)) > 0:
            return f"WebP: zeros instead of pixel data at byte {hole}"
        place = stop + size % 2
    return None


def _check_avif(image: Image.Image, data: bytes) -> str | None:
    place = 0
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        if size == 1:
            size = struct.unpack_from(">Q", data, place + 8)[0]
        stop = place + size if size else len(data)  # 0: up to the end
        if name == b"mdat":
            if stop > len(data):
                return f"AVIF: the pixel data at byte {place} are cut off"
            hole = data.find(_lost_run(image), place, stop)
            if hole > 0:
                return f"AVIF: zeros instead of pixel data at byte {hole}"
        if stop < place + 8:
            return None  # junk behind the last box
        place = stop
    return None


def _check_ico(_image: Image.Image, data: bytes) -> str | None:
    count = struct.unpack_from("<H", data, 4)[0]
    for index in range(count):
        size, start = struct.unpack_from("<II", data, 14 + 16 * index)
        if start + size > len(data):
            return f"ICO: picture {index + 1} of {count} is cut off"
        if data.startswith(b"\x89PNG", start):
            inner = check_png(memoryview(data)[start : start + size])
            if inner is not None:
                return f"ICO: picture {index + 1} of {count}: {inner}"
    return None


def _check_tiff(image: Image.Image, data: bytes) -> str | None:
    """Read deflated strips or tiles once more: libtiff drops what follows the last full row."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_COMPRESSION) not in _DEFLATE:
        return None
    for index, (start, size) in enumerate(_pieces(tags)):
        if start + size > len(data):
            return f"TIFF: strip {index + 1} is cut off"
        told = _inflate(memoryview(data)[start : start + size])
        if told is not None:
            return f"TIFF: strip {index + 1}: {told}"
    return None


def _pieces(tags: dict[int, object]) -> Iterator[tuple[int, int]]:
    for offsets, counts in (_STRIPS, _TILES):
        starts, sizes = tags.get(offsets), tags.get(counts)
        if isinstance(starts, tuple) and isinstance(sizes, tuple):
            yield from zip(starts, sizes, strict=False)


def _inflate(packed: memoryview) -> str | None:
    """Return zlib's complaint about a stream, whose output is thrown away as it comes."""
    stream, rest = zlib.decompressobj(), bytes(packed)
    try:
        while not stream.eof:
            if not stream.decompress(rest, _OUTPUT_BYTES) and not stream.unconsumed_tail:
                return None if stream.eof else "the deflated data end too early"
            rest = stream.unconsumed_tail
    except zlib.error as error:
        return str(error)
    return None


_CHECKS: dict[str, Callable[[Image.Image, bytes], str | None]] = {
    "PNG": _check_png, "GIF": _check_gif, "WEBP": _check_webp, "AVIF": _check_avif,
    "ICO": _check_ico, "TIFF": _check_tiff,
}  # fmt: skip
