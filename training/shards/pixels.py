"""Encoded images to pixels: simplejpeg for JPEG (bit-identical to Pillow), Pillow for the rest."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

_JPEG = b"\xff\xd8\xff"
_COLOUR = 3


def decode_image(data: bytes | memoryview, image_size: int, channels: int) -> NDArray[np.uint8]:
    """Return an image as uint8 (channels, image_size, image_size), 0..255, as `decode_into` does.

    Raises:
        ValueError: if no decoder can read it, or channels is neither 1 nor 3.
    """
    pixels = np.empty((image_size, image_size, channels), np.uint8)
    decode_into(data, pixels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decode_into(data: bytes | memoryview, pixels: NDArray[np.uint8]) -> None:
    """Fill `pixels`, uint8 (size, size, channels) and contiguous, with an image, 0..255.

    Its largest centred square is resized (bilinear with antialiasing); a square of the right size
    is left as it is. channels: 1 (luma) or 3 (RGB). JPEGs are decoded strictly, and leniently if
    that fails, since raw data may hold silent damage.

    Raises:
        ValueError: if no decoder can read it, or channels is neither 1 nor 3.
    """
    size, _, channels = pixels.shape
    if channels not in (1, _COLOUR):
        raise ValueError(f"channels must be 1 or 3, got {channels}")
    if bytes(data[:3]) == _JPEG and _decode_jpeg(data, pixels):
        return
    found = _decode_other(data, channels)
    pixels[...] = _fit(found, size).reshape(pixels.shape)


def _decode_jpeg(data: bytes | memoryview, pixels: NDArray[np.uint8]) -> bool:
    """Fill `pixels` with a JPEG; False if simplejpeg cannot read it."""
    for strict in (True, False):
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=strict)
            _decode_sized(data, pixels, (height, width), strict=strict)
        except (ValueError, KeyError):  # the latter for a header without a known colour space
            continue
        return True
    return False


def _decode_sized(
    data: bytes | memoryview, pixels: NDArray[np.uint8], shape: tuple[int, int], *, strict: bool
) -> None:
    """Decode straight into `pixels` if the JPEG fits; else beside it, and crop or resize."""
    size, _, channels = pixels.shape
    space = "RGB" if channels == _COLOUR else "GRAY"
    if shape == (size, size):
        simplejpeg.decode_jpeg(data, space, strict=strict, buffer=pixels)
    elif min(shape) == size and sum(shape) % 2 == 0:  # the square lies between whole pixels
        top, left = (shape[0] - size) // 2, (shape[1] - size) // 2
        found = simplejpeg.decode_jpeg(data, space, strict=strict)
        pixels[...] = found[top : top + size, left : left + size]
    elif channels == _COLOUR:
        from training.shards.resize_kernel import resize_square  # noqa: PLC0415 - starts numba

        resize_square(simplejpeg.decode_jpeg(data, "RGBX", strict=strict), pixels)
    else:
        found = simplejpeg.decode_jpeg(data, space, strict=strict)
        pixels[...] = _fit(found, size).reshape(pixels.shape)


def _decode_other(data: bytes | memoryview, channels: int) -> NDArray[np.uint8]:
    try:
        with Image.open(BytesIO(data)) as image:
            return np.asarray(_flatten(image, "RGB" if channels == _COLOUR else "L"))
    except Exception as broken:
        raise ValueError(f"no decoder can read it ({type(broken).__name__}: {broken})") from broken


def _flatten(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits and more: keep the upper 8 of 16
        deep = np.asarray(image).astype(np.int64).clip(0, 65_535) >> 8
        image = Image.fromarray(deep.astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # else Pillow guesses, and says so
    return image.convert(mode)


def _fit(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    box: Any = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))
