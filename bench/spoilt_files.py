"""Files with damage of known kinds: what disks, transfers and repair tools leave, and mutations."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SECTOR_BYTES = 4096
JUNK_BYTES = 5 * 1024
Damage = Callable[[bytes, bytes], bytes]  # a sound file, another sound file -> the damaged one
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "ICO", "JPEG2000")


def _sector(data: bytes) -> slice:
    """Return the 4 KB in the middle of a file; of a short file, the middle third."""
    size = min(SECTOR_BYTES, len(data) // 3)
    start = (len(data) - size) // 2
    return slice(start, start + size)


def zero_sector(data: bytes, _other: bytes) -> bytes:
    """Return `data` with the 4 KB in its middle zeroed."""
    place = _sector(data)
    return data[: place.start] + bytes(place.stop - place.start) + data[place.stop :]


def swap_sector(data: bytes, other: bytes) -> bytes:
    """Return `data` with the 4 KB in its middle taken from the middle of `other`."""
    place = _sector(data)
    foreign = other[_sector(other)]
    return data[: place.start] + foreign + data[place.start + len(foreign) :]


def repair_half(data: bytes, _other: bytes) -> bytes:
    """Return the first half of a JPEG with an end marker, as repair tools write it."""
    return data[: len(data) // 2] + b"\xff\xd9"


def cut(share: float) -> Damage:
    """Return a damage that keeps the first `share` (0..1) of a file.

    >>> cut(0.5)(b"abcd", b"")
    b'ab'
    """
    return lambda data, _other: data[: int(len(data) * share)]


def cut_tail(count: int) -> Damage:
    """Return a damage that takes the last `count` bytes off."""
    return lambda data, _other: data[:-count]


def zero_half(data: bytes, _other: bytes) -> bytes:
    """Return `data` with its second half zeroed, as an interrupted copy leaves it."""
    half = len(data) // 2
    return data[:half] + bytes(len(data) - half)


def break_checksum(data: bytes, _other: bytes) -> bytes:
    """Return a PNG whose first pixel chunk has another checksum."""
    place = data.index(b"IDAT")
    end = place + 4 + int.from_bytes(data[place - 4 : place], "big")
    return data[:end] + bytes([data[end] ^ 0x55]) + data[end + 1 :]


def flip_bit(data: bytes, _other: bytes) -> bytes:
    """Return `data` with one bit flipped in its middle."""
    half = len(data) // 2
    return data[:half] + bytes([data[half] ^ 0x10]) + data[half + 1 :]


def append_zeros(data: bytes, _other: bytes) -> bytes:
    """Return `data` with 5 KB of zeros behind its end: harmless."""
    return data + bytes(JUNK_BYTES)


def append_junk(data: bytes, other: bytes) -> bytes:
    """Return `data` with 5 KB of random bytes behind its end: harmless."""
    return data + random.Random(len(other)).randbytes(JUNK_BYTES)  # noqa: S311 - seeded on purpose


CUTS: dict[str, Damage] = {
    "cut at 10 %": cut(0.1), "cut at 50 %": cut(0.5), "cut at 90 %": cut(0.9),
    "last 200 bytes cut": cut_tail(200), "second half zeros": zero_half,
}  # fmt: skip
SECTORS: dict[str, Damage] = {
    "4 KB zeroed": zero_sector, "4 KB of another file": swap_sector, "half and EOI": repair_half,
}  # fmt: skip
HARMLESS: dict[str, Damage] = {
    "intact": lambda data, _other: data, "5 KB of zeros behind": append_zeros,
    "5 KB of junk behind": append_junk,
}  # fmt: skip


def encode(image: Image.Image, kind: str) -> bytes:
    """Return `image` as a file of the format `kind`, one of FORMATS."""
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def draw_picture(seed: int, side_px: int = 48) -> Image.Image:
    """Return an RGB picture of waves, noisy on their crests: the same for the same seed.

    Detail lies unevenly, as in a photo: 4 KB of one picture hold other blocks than of another.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side_px, :side_px]
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(-0.3, 0.3, (3, 3))]
    levels: NDArray[np.float64] = np.stack(waves, axis=2) * 90 + 128
    levels += rng.normal(0, 12, levels.shape) * np.maximum(0, waves[0])[:, :, None] ** 2
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return `data` after one to four random changes: flips, cuts, inserts, splices, header bytes.

    Args:
        data: a file.
        other: a file whose parts may be spliced in.
        rng: its state decides everything.
    """
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        _change(changed, other, rng)
    return bytes(changed)


def _change(data: bytearray, other: bytes, rng: random.Random) -> None:
    kind = rng.choice(("flip", "cut", "insert", "splice", "header", "number"))
    place = rng.randrange(len(data) + 1)
    if kind == "flip":
        for _ in range(rng.randint(1, 20)):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[place : place + rng.randint(1, 400)]
    elif kind == "insert":
        data[place:place] = rng.randbytes(rng.randint(1, 64))
    elif kind == "splice":
        start = rng.randrange(len(other))
        data[place : place + 100] = other[start : start + rng.randint(1, 400)]
    elif kind == "header":
        for _ in range(rng.randint(1, 6)):
            if data:
                data[rng.randrange(min(64, len(data)))] = rng.randrange(256)
    else:  # a length or a count that is as large, or as small, as can be
        size = rng.choice((2, 4))
        data[place : place + size] = rng.choice(
            (bytes(size), b"\xff" * size, b"\x7f" + bytes(size - 1))
        )
