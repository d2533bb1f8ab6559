import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from checks.metrics.image_measure import measure_image, measure_images
from checks.metrics.image_schema import ERROR_KINDS, IMAGE_METRICS, Limits

LIMITS = Limits(max_pixels=1_000_000)


def scene(width: int = 160, height: int = 120, seed: int = 0) -> Image.Image:
    """Return a picture with large shapes and a little noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(-12, 12, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Return the image as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def measure(content: bytes | OSError, name: str | None = "x.jpg") -> dict[str, Any]:
    """Return the metrics and hold their names and types."""
    row = measure_image(content, name, LIMITS)
    assert set(row) == {"byte_size", "xxh3_128", *IMAGE_METRICS}
    assert row["error_kind"] in (None, *ERROR_KINDS)
    return row


JPEG = encode(scene(), quality=90)
PNG = encode(scene(), "PNG")


def with_chunk_broken(data: bytes, name: bytes) -> bytes:
    """Return the PNG with one bit of a chunk's checksum turned over."""
    place = data.index(name)
    end = place + 4 + struct.unpack_from(">I", data, place - 4)[0]
    return data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]


PLANTED: dict[str, bytes | OSError] = {
    "empty": b"",
    "not_an_image": b"<html>404</html>",
    "undecodable": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "truncated": JPEG[: len(JPEG) // 2],
    "too_many_pixels": encode(Image.new("1", (2000, 1000)), "PNG"),
    "unreadable_file": PermissionError(13, "Permission denied"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_each_planted_fault_has_its_kind(kind: str) -> None:
    """One planted file for each kind of failure gets that kind, a reason and a digest."""
    row = measure(PLANTED[kind])
    assert row["error_kind"] == kind
    assert row["error"]
    assert len(row["xxh3_128"]) == 32
    assert row["luma_mean"] is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_jpegs_and_pngs_are_truncated(share: float) -> None:
    """A file that ends early is truncated wherever it was cut."""
    for data in (JPEG, PNG):
        assert measure(data[: int(len(data) * share)])["error_kind"] == "truncated"


def test_silent_jpeg_damage_is_told() -> None:
    """Zeros in the middle and a cut with a pasted end decode in Pillow, but carry a warning."""
    middle = len(JPEG) // 2
    zeroed = JPEG[:middle] + bytes(400) + JPEG[middle + 400 :]
    mended = JPEG[:middle] + b"\xff\xd9"
    for data in (zeroed, mended):
        Image.open(io.BytesIO(data)).load()
        row = measure(data)
        assert row["error_kind"] is None
        assert "JPEG data" in row["decode_warning"]
        assert row["luma_mean"] is not None


def test_junk_behind_the_end_is_no_damage() -> None:
    """Intact files, also with a tail of junk, carry no warning."""
    for data in (JPEG, JPEG + b"junk" * 500, PNG, PNG + bytes(50)):
        assert measure(data)["decode_warning"] is None


def test_silent_png_damage_is_told() -> None:
    """A wrong checksum and a missing end decode in Pillow, but carry a warning."""
    row = measure(with_chunk_broken(PNG, b"IDAT"))
    assert row["decode_warning"].startswith("PNG: wrong checksum in chunk 'IDAT'")
    row = measure(PNG[:-12])
    assert (row["error_kind"], row["decode_warning"]) == (
        None, "PNG: no IEND chunk, the file's end is missing",
    )  # fmt: skip


def test_header_facts() -> None:
    """Format, extension, size, depth, quality, EXIF, ICC, frames and alpha are what was planted."""
    exif = Image.Exif()
    exif[0x0112] = 6
    row = measure(encode(scene(), quality=71, progressive=True, exif=exif, icc_profile=b"x" * 200))
    expected = {
        "format": "JPEG", "extension": "jpg", "extension_matches": True, "mode": "RGB",
        "bit_depth": 8, "width_px": 160, "height_px": 120, "area_px": 19_200, "frame_count": 1,
        "aspect_ratio": 0.75, "exif_orientation": 6, "has_icc": True, "progressive": True,
        "has_alpha": False, "jpeg_quality": 71, "decode_warning": None,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    frames = [scene(seed=i) for i in range(3)]
    row = measure(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), "a.PNG")
    assert (row["format"], row["frame_count"], row["extension"]) == ("GIF", 3, "png")
    assert row["extension_matches"] is False
    assert measure(PNG, None)["extension_matches"] is None


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 95])
def test_jpeg_quality_is_found(quality: int) -> None:
    """The quality that a file was written with is read back from its tables."""
    assert measure(encode(scene(), quality=quality))["jpeg_quality"] == quality


@pytest.mark.parametrize(
    ("mode", "depth"),
    [("1", 1), ("L", 8), ("P", 8), ("RGB", 8), ("RGBA", 8), ("LA", 8), ("I;16", 16)],
)
def test_modes_are_converted_before_measuring(mode: str, depth: int) -> None:
    """The same flat grey gives the same brightness in every mode that can hold it."""
    level = 255 if mode == "1" else 128
    if mode == "I;16":
        image = Image.fromarray(np.full((40, 40), 128 << 8, np.uint16))
    else:
        image = Image.new("L", (40, 40), level).convert(mode)
    row = measure(encode(image, "PNG"), "a.png")
    assert row["error_kind"] is None
    assert row["bit_depth"] == (depth if mode != "P" else 8)
    assert row["luma_p50"] == pytest.approx(level / 255, abs=0.005)
    assert row["is_grey"]


def test_transparent_ground_is_white() -> None:
    """A fully transparent picture measures as white, whatever lies under it."""
    row = measure(encode(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), "PNG"), "a.png")
    assert (row["luma_mean"], row["has_alpha"], row["ac_std"]) == (1.0, True, 0.0)


@pytest.mark.parametrize(
    ("colour", "brightness"),
    [((255, 0, 0), 0.49092), ((0, 255, 0), 0.83126), ((0, 0, 255), 0.26077)],
)
def test_brightness_is_cleanvisions(colour: tuple[int, int, int], brightness: float) -> None:
    """Pure colours have cleanvision's brightness to half a level."""
    row = measure(encode(Image.new("RGB", (32, 32), colour), "PNG"), "a.png")
    assert row["luma_mean"] == pytest.approx(brightness, abs=0.5 / 255)
    assert not row["is_grey"]


def test_a_known_picture_has_its_numbers() -> None:
    """Half black, half white: mean, deviation, percentiles, entropy and clipping are exact."""
    half = np.zeros((64, 64), np.uint8)
    half[:, 32:] = 255
    row = measure(encode(Image.fromarray(half), "PNG"), "a.png")
    expected = {
        "luma_mean": 0.5, "luma_std": 0.5, "luma_p01": 0.0, "luma_p50": 0.0, "luma_p99": 1.0,
        "clip_low_frac": 0.5, "clip_high_frac": 0.5, "midtone_frac": 0.0, "entropy_bits": 1.0,
        "colourfulness": 0.0, "is_grey": True, "border_frac": 0.5,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected


def test_blur_lowers_sharpness() -> None:
    """A blurred copy is less sharp by both measures."""
    from PIL import ImageFilter  # noqa: PLC0415 - used here alone

    sharp = measure(PNG)
    soft = measure(encode(scene().filter(ImageFilter.GaussianBlur(2)), "PNG"))
    for name in ("sharpness", "sharpness_p90"):
        assert soft[name] < sharp[name] / 10


def distance(a: dict[str, Any], b: dict[str, Any], name: str = "phash64") -> int:
    """Return how many bits two hashes differ by."""
    return (a[name] ^ b[name]).bit_count()


def test_hash_survives_reencoding_and_tells_pictures_apart() -> None:
    """Quality 30 and half the size stay within 6 bits; another picture is far away."""
    first = measure(PNG)
    small = scene().resize((80, 60), Image.Resampling.BOX)
    for copy in (encode(scene(), quality=30), encode(small, "PNG")):
        assert distance(first, measure(copy)) <= 6
    assert distance(first, measure(encode(scene(seed=1)))) > 12


def test_mirrored_and_turned_copies_share_one_hash() -> None:
    """All 8 variants of a picture have the same phash64_d4, and mostly other plain hashes."""
    rows = [measure(encode(scene().transpose(how), "PNG")) for how in Image.Transpose]
    rows.append(measure(PNG))
    assert len({row["phash64_d4"] for row in rows}) == 1
    assert len({row["phash64"] for row in rows}) == 8


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_turned_copies_hash_as_they_are_seen(orientation: int) -> None:
    """A picture stored turned with its EXIF note has the hash of the upright one."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encode(scene().transpose(undo[orientation]), "PNG", exif=exif)
    assert measure(stored)["phash64"] == measure(PNG)["phash64"]


def test_pixel_digest_sees_pixels_shape_and_nothing_else() -> None:
    """Equal pixels in another file share it; another shape or pixel does not."""
    pixels = np.asarray(scene())
    again = measure(encode(scene(), "PNG", compress_level=1))
    assert again["pixel_digest"] == measure(PNG)["pixel_digest"]
    assert again["xxh3_128"] != measure(PNG)["xxh3_128"]
    flat: NDArray[np.uint8] = np.full((10, 20, 3), 9, np.uint8)
    digests = {measure(encode(Image.fromarray(a), "PNG"))["pixel_digest"]
               for a in (flat, flat.reshape(20, 10, 3), flat + 1)}  # fmt: skip
    assert len(digests) == 3
    reread = Image.open(io.BytesIO(JPEG))
    assert measure(encode(reread, "PNG"))["pixel_digest"] == measure(JPEG)["pixel_digest"]
    assert pixels.shape == (120, 160, 3)


def test_large_pictures_are_reduced_alike() -> None:
    """A JPEG and a PNG of one large picture give nearly the same numbers."""
    big = scene(1100, 800)
    jpeg, png = measure(encode(big, quality=95)), measure(encode(big, "PNG"))
    assert jpeg["luma_mean"] == pytest.approx(png["luma_mean"], abs=0.004)
    assert jpeg["sharpness_p90"] == pytest.approx(png["sharpness_p90"], rel=0.25)
    assert distance(jpeg, png) <= 2


def test_tiny_pictures_have_no_sharpness() -> None:
    """A picture of one pixel is measured as far as that goes."""
    row = measure(encode(Image.new("RGB", (1, 1)), "PNG"))
    assert (row["error_kind"], row["sharpness"], row["luma_mean"]) == (None, None, 0.0)


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from([JPEG, PNG, encode(scene(), "GIF"), encode(scene(), "WEBP")]),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), max_size=6),
    keep=st.floats(0.01, 1),
)
def test_mutated_files_never_raise(
    start: bytes, changes: list[tuple[float, bytes]], keep: float
) -> None:
    """Whatever is written over a file, and wherever it is cut, one row comes back."""
    data = bytearray(start)
    for place, patch in changes:
        at = int(place * len(data))
        data[at : at + len(patch)] = patch
    measure(bytes(data[: max(1, int(keep * len(data)))]))


def test_png_bomb_is_not_inflated() -> None:
    """A PNG whose header claims a huge size is stopped by its header."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    body = PNG[:8] + chunk + PNG[33:]
    assert measure(body)["error_kind"] == "too_many_pixels"


def test_together_is_as_alone() -> None:
    """Small and large, grey and coloured, sound and broken files: the same rows, in order."""
    small = [encode(scene(40, 30 + i % 2, seed=i), "PNG") for i in range(6)]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(scene(40, 30, seed=9), "JPEG", exif=exif)
    grey = encode(scene(40, 30, seed=8).convert("L"), "PNG")
    files: list[bytes | OSError] = [
        *small, b"", turned, grey, JPEG, small[0][:60], small[1],
        PermissionError(13, "no"), PNG, grey,
    ]  # fmt: skip
    named = [(content, "a.png", str(i)) for i, content in enumerate(files)]
    expected = [measure_image(content, "a.png", LIMITS) for content in files]
    found = list(measure_images(named, LIMITS))
    for one, other in zip(expected, found, strict=True):
        told = one["error_kind"] == "unreadable_file"  # its digest is that of its address
        assert {**one, "xxh3_128": other["xxh3_128"] if told else one["xxh3_128"]} == other


def test_rows_come_before_a_large_picture_is_touched() -> None:
    """All rows before a large picture are out when its bytes are still to be decoded."""
    big = encode(scene(400, 300), "PNG")
    rows = measure_images([(PNG, "a.png", ""), (big, "b.png", "")], LIMITS)
    assert next(rows)["width_px"] == 160
    assert next(rows)["width_px"] == 400


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.booleans()), max_size=8))
def test_any_mix_of_shapes_is_measured_as_alone(shapes: list[tuple[int, int, bool]]) -> None:
    """Whatever shapes come together, every row is the one that its file gets alone."""
    contents = []
    for i, (width, height, is_grey) in enumerate(shapes):
        noise = np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        contents.append(encode(image.convert("L") if is_grey else image, "PNG"))
    files = [(content, None, "") for content in contents]
    expected = [measure_image(content, None, LIMITS) for content in contents]
    assert expected == list(measure_images(files, LIMITS))
