import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from checks.metrics import image_measure
from checks.metrics.image_decode import decode
from checks.metrics.image_header import open_image, read_header
from checks.metrics.image_plain import read_plain
from checks.metrics.image_schema import Limits

LIMITS = Limits(max_pixels=1_000_000)


def scene(width: int = 60, height: int = 45) -> Image.Image:
    """Return a picture with shapes and noise."""
    rng = np.random.default_rng(width)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int64)
    return Image.fromarray(np.clip(smooth + rng.integers(-9, 9, smooth.shape), 0, 255).astype("u1"))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the image as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def build_png(
    lines: NDArray[np.uint8], kind: int, extra: bytes = b"", *, channels: int = 3
) -> bytes:
    """Return a PNG whose raw lines, filter bytes included, are `lines`."""
    width = (lines.shape[1] - 1) // channels
    head = struct.pack(">IIBBBBB", width, len(lines), 8, kind, 0, 0, 0)
    parts = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(lines.tobytes()))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def raw_lines(filters: list[int], width: int = 20) -> NDArray[np.uint8]:
    """Return random raw lines of an RGB picture, one for each filter."""
    lines = np.random.default_rng(0).integers(0, 256, (len(filters), 3 * width + 1), dtype=np.uint8)
    lines[:, 0] = filters
    return lines


PLAIN = {
    "quality 10": encode(scene(), "JPEG", quality=10),
    "progressive": encode(scene(), "JPEG", progressive=True),
    "grey JPEG": encode(scene().convert("L"), "JPEG"),
    "4:4:4, restarts, comment": encode(
        scene(), "JPEG", subsampling=0, restart_marker_rows=1, comment=b"hello"
    ),
    "reduced": encode(scene(700, 600), "JPEG"),
    "colour PNG": encode(scene(), "PNG"),
    "grey PNG": encode(scene().convert("L"), "PNG"),
    "PNG with density": encode(scene(), "PNG", dpi=(72, 72)),
    "junk behind": encode(scene(), "PNG") + b"junk",
    **{f"filter {kind}": build_png(raw_lines([kind] * 9), 2) for kind in range(5)},
    "all filters": build_png(raw_lines([4, 3, 2, 1, 0, 4, 2, 3]), 2),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_files_are_read_as_pillow_reads_them(name: str) -> None:
    """Header facts and pixels equal those of the way through Pillow."""
    data = PLAIN[name]
    plain = read_plain(data)
    assert plain is not None
    image = open_image(data)
    assert read_header(image, data) == plain.facts
    expected, found = decode(image, data), plain.decode()
    assert found is not None
    assert (expected.scale, None) == (found.scale, found.warning)
    assert expected.pixels.dtype == found.pixels.dtype
    np.testing.assert_array_equal(expected.pixels, found.pixels)


def others() -> dict[str, bytes]:
    """Return files that are not plain, by what they have."""
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112] = 6
    text.add_text("XML:com.adobe.xmp", "<x/>")
    png = encode(scene(), "PNG")
    wrong = png[:-20] + bytes([png[-20] ^ 1]) + png[-19:]
    frames = [scene(), scene().transpose(Image.Transpose.ROTATE_180)]
    return {
        "EXIF in JPEG": encode(scene(), "JPEG", exif=exif),
        "EXIF in PNG": encode(scene(), "PNG", exif=exif),
        "ICC": encode(scene(), "JPEG", icc_profile=b"x" * 200),
        "CMYK": encode(scene().convert("CMYK"), "JPEG"),
        "text": encode(scene(), "PNG", pnginfo=text),
        "alpha": encode(scene().convert("RGBA"), "PNG"),
        "palette": encode(scene().convert("P"), "PNG"),
        "one bit": encode(scene().convert("1"), "PNG"), "GIF": encode(scene(), "GIF"), "empty": b"",
        "animated": encode(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "transparent colour": encode(scene(), "PNG", transparency=(1, 2, 3)),
        "large PNG": encode(scene(200, 200), "PNG"), "cut PNG": png[:-12], "wrong checksum": wrong,
        "cut JPEG header": encode(scene(), "JPEG")[:200],
        "no size": build_png(np.zeros((0, 4), np.uint8), 2),
    }  # fmt: skip


@pytest.mark.parametrize("name", others())
def test_other_files_are_left_to_pillow(name: str) -> None:
    """Whatever could turn, replace or add pixels is not read here."""
    assert read_plain(others()[name]) is None


def test_damaged_pixels_are_left_to_pillow() -> None:
    """An unknown filter, too few and too many bytes, and a bomb decode to None."""
    lines = raw_lines([0] * 9)
    short = build_png(lines, 2).replace(struct.pack(">II", 20, 9), struct.pack(">II", 20, 10))
    bomb = build_png(np.zeros((1, 100_000_000), np.uint8), 2)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 9, 8, 2, 0, 0, 0))
    bomb = bomb[:8] + head + bomb[8 + len(head) :]
    for data in (build_png(raw_lines([0, 5, 0]), 2), bomb, short[:8] + mended(short[8:])):
        plain = read_plain(data)
        assert plain is not None
        assert plain.decode() is None
    jpeg = PLAIN["quality 10"]
    plain = read_plain(jpeg[:-40])
    assert plain is not None
    assert plain.decode() is None


def mended(chunks: bytes) -> bytes:
    """Return chunks whose first has its checksum put right."""
    return chunk(chunks[4:8], chunks[8:21]) + chunks[25:]


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(sorted(PLAIN)),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=3)), max_size=3),
    keep=st.floats(0.1, 1),
)
@example(start="quality 10", changes=[], keep=0.765625)  # ends inside the header of the scan
def test_mutated_files_give_the_same_row_either_way(
    start: str, changes: list[tuple[float, bytes]], keep: float
) -> None:
    """Whatever is broken, the row is the one that Pillow alone would have led to."""
    data = bytearray(PLAIN[start])
    for place, patch in changes:
        at = int(place * len(data))
        data[at : at + len(patch)] = patch
    content = bytes(data[: max(1, int(keep * len(data)))])
    found = image_measure.measure_image(content, None, LIMITS)
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(image_measure, "read_plain", lambda _: None)
        expected = image_measure.measure_image(content, None, LIMITS)
    assert expected == found
