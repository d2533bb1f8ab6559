"""One image, one decode, one row of metrics. Runs inside the worker processes."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from checks.metrics import kernels
from checks.metrics.image_decode import Decoded, Pixels, decode
from checks.metrics.image_header import (
    UnreadableError,
    count_frames,
    open_image,
    read_extension,
    read_header,
    tell,
)
from checks.metrics.image_schema import IMAGE_METRICS, Limits, Metrics

_CLIP_LOW, _CLIP_HIGH = 2, 253  # brightness levels up to / from which a pixel counts as clipped
_MIDTONES = slice(64, 192)
_SAMPLED_FROM_PX = 65_536  # larger pictures give every second pixel and row to the histogram
_BORDER_TOLERANCE = 2  # grey levels: JPEG noise on a flat margin
_GREY_FRAC = 0.001  # share of coloured pixels up to which the content counts as grey
_TILES, _TILE_MIN_PX = 8, 4
_WEIGHTS = np.array([[0, 8, 4, 2], [5, 3, 2, 1], [3, 2, 1, 1], [2, 1, 1, 1]], np.int64)
# EXIF orientation -> (transpose, flip rows, flip columns) that turn the picture upright
_UPRIGHT = {
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True),
    4: (False, True, False), 5: (True, False, False), 6: (True, False, True),
    7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


def measure_image(content: bytes | OSError, name: str | None, limits: Limits) -> Metrics:
    """Return one row: byte_size, xxh3_128 and IMAGE_METRICS. Never raises for what data does.

    Args:
        content: the file's bytes, or the error that hid them.
        name: the file's name, for comparing its extension with the content.
        limits: only max_pixels is held here; time and memory are the worker process's.
    """
    row: Metrics = dict.fromkeys(IMAGE_METRICS)
    if isinstance(content, OSError):
        return failed_row("unreadable_file", tell(content), None, name)
    row["byte_size"], row["xxh3_128"] = len(content), xxhash.xxh3_128_hexdigest(content)
    row.update(read_extension(name, None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on metadata; damage is told by decode
        try:
            _measure(content, name, limits, row)
        except UnreadableError as failure:
            row["error_kind"], row["error"] = failure.kind, str(failure)
        except MemoryError:
            row["error_kind"] = "undecodable"
            row["error"] = f"needs more than {limits.max_memory_mb} MB of memory"
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost one file, not the run
            row["error_kind"], row["error"] = "undecodable", tell(error)
    return row


def failed_row(
    kind: str, message: str, content: bytes | None, name: str | None, address: str = ""
) -> Metrics:
    """Return the row of an image that could not be measured.

    Content that nobody could read is named by its address, so that two such files are no copies.
    """
    row: Metrics = dict.fromkeys(IMAGE_METRICS)
    known = content if content is not None else f"unreadable:{address or name}".encode()
    row["byte_size"] = None if content is None else len(content)
    row["xxh3_128"] = xxhash.xxh3_128_hexdigest(known)
    row.update(read_extension(name, None))
    row["error_kind"], row["error"] = kind, message
    return row


def _measure(data: bytes, name: str | None, limits: Limits, row: Metrics) -> None:
    """Fill `row` as far as the file allows."""
    with open_image(data) as image:
        row.update(read_header(image, data))
        row.update(read_extension(name, row["format"]))
        if row["area_px"] > limits.max_pixels:
            text = f"{image.width} x {image.height} px, the limit is {limits.max_pixels} px"
            raise UnreadableError("too_many_pixels", text)
        decoded = decode(image, data)
        row["decode_warning"] = decoded.warning
        row["frame_count"] = count_frames(image)
    row.update(measure_pixels(decoded, row["exif_orientation"]))
    row["pixel_digest"] = _digest_pixels(decoded, row)


def measure_pixels(decoded: Decoded, orientation: int) -> Metrics:
    """Return the metrics of brightness, colour, sharpness and likeness."""
    pixels = decoded.pixels
    step = 2 if pixels.shape[0] * pixels.shape[1] >= _SAMPLED_FROM_PX else 1
    if pixels.ndim == 2:  # noqa: PLR2004 - H x W
        grey: Pixels = pixels
        counts, sums = kernels.grey_histogram(grey, step), np.zeros(5, np.int64)
    else:
        grey = kernels.to_grey(pixels)
        counts, sums = kernels.colour_sums(pixels, step)
    return {
        **_describe_brightness(counts), **_describe_colour(sums, int(counts.sum())),
        **_describe_sharpness(grey), **_describe_likeness(grey, orientation),
        "border_frac": _border_frac(grey),
    }  # fmt: skip


def _describe_brightness(counts: NDArray[np.int64]) -> Metrics:
    levels = np.arange(256)
    n = int(counts.sum())
    total, squares = int(counts @ levels), int(counts @ (levels * levels))
    below = np.cumsum(counts)
    ranks = {p: int(np.searchsorted(below * 100, p * n)) / 255 for p in (1, 5, 50, 95, 99)}
    shares = [int(count) / n for count in counts if count]
    return {
        "luma_mean": total / n / 255,
        "luma_std": math.sqrt(n * squares - total * total) / n / 255,
        **{f"luma_p{p:02d}": level for p, level in ranks.items()},
        "clip_low_frac": int(counts[: _CLIP_LOW + 1].sum()) / n,
        "clip_high_frac": int(counts[_CLIP_HIGH:].sum()) / n,
        "midtone_frac": int(counts[_MIDTONES].sum()) / n,
        "entropy_bits": abs(math.fsum(share * math.log2(share) for share in shares)),
    }


def _describe_colour(sums: NDArray[np.int64], n: int) -> Metrics:
    """Return Hasler and Suesstrunk's colourfulness (2003, M3) and whether the content is grey."""
    rg, rg2, yb, yb2, coloured = (int(value) for value in sums)
    spread = (n * rg2 - rg * rg) / n**2 + (n * yb2 - yb * yb) / n**2 / 4
    shift = (rg / n) ** 2 + (yb / n / 2) ** 2
    return {
        "colourfulness": math.sqrt(spread) + 0.3 * math.sqrt(shift),
        "is_grey": coloured <= _GREY_FRAC * n,
    }


def _describe_sharpness(grey: Pixels) -> Metrics:
    short = min(grey.shape) - 2
    if short < 1:
        return {"sharpness": None, "sharpness_p90": None}
    grid = max(1, min(_TILES, short // _TILE_MIN_PX))
    n, total, squares = kernels.laplacian_tiles(grey, grid).reshape(3, -1)
    tiles = np.sort((n * squares - total * total) / (n * n))
    place = -(-len(tiles) * 9 // 10) - 1
    whole, whole_n = int(total.sum()), int(n.sum())
    variance = (whole_n * int(squares.sum()) - whole * whole) / whole_n**2
    return {"sharpness": variance, "sharpness_p90": float(tiles[place])}


def _border_frac(grey: Pixels) -> float:
    top, bottom, left, right = (int(n) for n in kernels.flat_borders(grey, _BORDER_TOLERANCE))
    height, width = grey.shape
    flat = min(height, top + bottom) + min(width, left + right)
    return float(flat / (height + width))


def _describe_likeness(grey: Pixels, orientation: int) -> Metrics:
    """Return the hashes of the upright picture and the contrast of its low frequencies."""
    height, width = grey.shape
    block = kernels.low_frequencies(kernels.area_cells(grey), height * width)
    block = turn(block, *_UPRIGHT[orientation])
    low = np.ascontiguousarray(block[:8, :8])
    scaled = low / (256 * 4096**2)  # per grey level; orthonormal factors are 1/64 and sqrt(2)
    scaled[0, :] /= math.sqrt(2)
    scaled[:, 0] /= math.sqrt(2)
    power = [float(c) ** 2 for c in scaled.ravel()[1:]]
    words = kernels.hash_words(np.ascontiguousarray(block))
    return {
        "phash64": int(kernels.hash_words(low)[0]),
        **{f"phash256_{i}": int(word) for i, word in enumerate(words)},
        "phash64_d4": int(kernels.hash_words(steady_variant(low))[0]),
        "ac_std": math.sqrt(math.fsum(power)) * 2 / 64 / 64,
    }


def turn(block: NDArray[np.int64], transpose: bool, rows: bool, columns: bool) -> NDArray[np.int64]:
    """Return the DCT block of the picture that is transposed, then flipped in rows or columns.

    A flip changes the sign of every odd coefficient of its axis: nothing is computed again.
    """
    out = block.T.copy() if transpose else block.copy()
    if rows:
        out[1::2, :] *= -1
    if columns:
        out[:, 1::2] *= -1
    return out


def steady_variant(low: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same one of a block's 8 mirror and rotation variants, whichever is given.

    It is the variant with the largest weighted sum of its lowest coefficients: continuous in the
    pixels, so that a re-encoded mirror image seldom ends at another variant.
    """
    flags = (False, True)
    variants = [turn(low, t, r, c) for t in flags for r in flags for c in flags]
    return max(variants, key=lambda v: (int((v[:4, :4] * _WEIGHTS).sum()), v.tolist()))


def _digest_pixels(decoded: Decoded, row: Metrics) -> str:
    """Return the digest of shape, mode and pixels; of more frames than one, of the whole file."""
    form: dict[str, Any] = {key: row[key] for key in ("width_px", "height_px", "has_alpha")}
    whole = row["xxh3_128"] if row["frame_count"] > 1 else ""
    channels = decoded.pixels.ndim
    head = f"{sorted(form.items())}:{channels}:{decoded.scale}:{whole}:".encode()
    digest = xxhash.xxh3_128(head)
    digest.update(np.ascontiguousarray(decoded.pixels).data)
    return digest.hexdigest()
