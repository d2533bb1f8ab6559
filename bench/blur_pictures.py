"""Photos made blurred, smeared, noisy and blocky in known ways, as JPEG bytes. Measuring only."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import convolve

from bench.real_data import find_shared_data

INTACT = ("original", "bokeh", "low_key")
Alteration = Callable[[Image.Image, np.random.Generator], Image.Image]


def encode(image: Image.Image, quality: int = 90) -> bytes:
    """Return the picture as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def blur(sigma: float) -> Alteration:
    """Return a Gaussian blur of `sigma` px."""
    return lambda image, _: image.filter(ImageFilter.GaussianBlur(sigma))


def smear(length_px: int) -> Alteration:
    """Return motion along a straight line of `length_px` at an angle that differs by picture."""

    def alter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        line = _line(length_px, rng.uniform(0, math.pi))
        levels = np.asarray(image, np.float32)
        moved = [convolve(levels[..., c], line, mode="reflect") for c in range(3)]
        return Image.fromarray(np.rint(np.stack(moved, -1)).astype(np.uint8))

    return alter


def bokeh(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Lay the sharp centre on the same picture blurred by 3 to 6 px, with a soft edge."""
    width, height = image.size
    mask = Image.new("L", image.size, 0)
    box = (width * 0.3, height * 0.3, width * 0.7, height * 0.7)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(width / 30))
    soft = image.filter(ImageFilter.GaussianBlur(rng.uniform(3, 6)))
    return Image.composite(image, soft, mask)


def low_key(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Darken to three tenths of the contrast."""
    return image.point([round(level * 0.3 + 8) for level in range(256)] * 3)


def grain(sigma: float) -> Alteration:
    """Return Gaussian noise of `sigma` grey levels in each channel."""

    def alter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        levels = np.asarray(image, np.float64)
        noisy = np.rint(levels + rng.normal(0, sigma, levels.shape))
        return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))

    return alter


def compress(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Save at quality 20 and read back."""
    return Image.open(io.BytesIO(encode(image, 20))).convert("RGB")


ALTERATIONS: dict[str, tuple[Alteration, int]] = {  # and the quality at which it is saved
    "original": (lambda image, _: image, 90), "bokeh": (bokeh, 90), "low_key": (low_key, 90),
    **{f"sigma_{sigma:g}_px": (blur(sigma), 90) for sigma in (1, 1.5, 2, 3)},
    "motion_9_px": (smear(9), 90), "motion_5_px": (smear(5), 90),
    "original_q95": (lambda image, _: image, 95), "noise_10": (grain(10), 95),
    "quality_20_saved_at_95": (compress, 95),
}  # fmt: skip


def make_photos(count: int) -> dict[str, list[bytes]]:
    """Return `count` shared photos (most 400 x 533 px) altered in each way."""
    rng = np.random.default_rng(20261125)
    contents = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet")["image"]
    out: dict[str, list[bytes]] = {name: [] for name in ALTERATIONS}
    for at in rng.permutation(contents.len())[:count].tolist():
        image = Image.open(io.BytesIO(contents[at])).convert("RGB")
        for name, (alter, quality) in ALTERATIONS.items():
            out[name].append(encode(alter(image, rng), quality))
    return out


def make_small(images: list[Image.Image]) -> dict[str, list[bytes]]:
    """Return small pictures as PNG: as they are, and blurred by 1 px."""
    rng = np.random.default_rng(0)
    ways = {"original": ALTERATIONS["original"][0], "sigma_1_px": blur(1)}
    return {name: [_png(alter(i, rng)) for i in images] for name, alter in ways.items()}


def make_mosaics(photos: list[bytes]) -> dict[str, list[bytes]]:
    """Return four photos side by side, so that decoding reduces them by 2; blurred by 4 px too."""
    rng = np.random.default_rng(0)
    out: dict[str, list[bytes]] = {"original": [], "sigma_4_px": []}
    for at in range(0, len(photos) - 3, 4):
        whole = Image.new("RGB", (800, 1066))
        for k, content in enumerate(photos[at : at + 4]):
            whole.paste(Image.open(io.BytesIO(content)), (k % 2 * 400, k // 2 * 533))
        out["original"].append(encode(whole))
        out["sigma_4_px"].append(encode(blur(4)(whole, rng)))
    return out


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _line(length_px: int, angle: float) -> NDArray[np.float64]:
    """Return a line through the middle of a square, laid down bilinearly; it sums to 1."""
    side = length_px + 2 | 1
    out = np.zeros((side, side))
    for along in np.linspace(-(length_px - 1) / 2, (length_px - 1) / 2, length_px * 8):
        x, y = side // 2 + along * math.cos(angle), side // 2 + along * math.sin(angle)
        left, top = math.floor(x), math.floor(y)
        for u, v in ((0, 0), (0, 1), (1, 0), (1, 1)):
            weight = (1 - abs(x - left - u)) * (1 - abs(y - top - v))
            if weight > 0:
                out[top + v, left + u] += weight
    return out / out.sum()
