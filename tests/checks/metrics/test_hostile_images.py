import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.spoilt_files import FORMATS, draw_picture, encode, mutate
from checks.metrics.image import profile_images
from checks.metrics.image_measure import measure_image
from checks.metrics.image_schema import ERROR_KINDS, IMAGE_METRICS, Limits, Metrics
from checks.sources.source import open_source

LIMITS = Limits(max_pixels=40_000)
SOUND = {name: encode(draw_picture(7, 20), name) for name in FORMATS}
MEASURED = ("width_px", "luma_mean", "phash64", "pixel_digest", "frame_count")


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a PNG chunk with its length and checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png_with(chunk: bytes, size: tuple[int, int] | None = None) -> bytes:
    """Return a small PNG with `chunk` before its pixels, and another size in its header."""
    data = SOUND["PNG"]
    width, height = size or (20, 20)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return data[:8] + header + chunk + data[33:]


def zip_bomb() -> bytes:
    """Return 200 MB of zeros, deflated."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(200)]
    return b"".join([*parts, packer.flush()])


def gif_of_many_frames(count: int) -> bytes:
    """Return a GIF that repeats its one picture."""
    data = SOUND["GIF"]
    start = 13 + (3 << ((data[10] & 7) + 1))
    return data[:start] + data[start:-1] * count + b";"


def tiff_that_loops() -> bytes:
    """Return a TIFF whose directory names itself as the next one."""
    data = bytearray(SOUND["TIFF"])
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    struct.pack_into("<I", data, place + 2 + 12 * count, place)
    return bytes(data)


def check_row(row: Metrics) -> None:
    """Hold that a row has either its metrics or an error kind with a reason of one line."""
    assert row.keys() == {"byte_size", "xxh3_128", *IMAGE_METRICS}
    if row["error_kind"] is None:
        assert row["error"] is None
        assert all(row[name] is not None for name in MEASURED)
        return
    assert row["error_kind"] in ERROR_KINDS
    assert row["error"].strip()
    assert "\n" not in row["error"]
    assert len(row["error"]) < 500
    assert row["phash64"] is None


BOMBS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "a huge size in the header": (lambda: png_with(b"", (60_000, 60_000)), "too_many_pixels"),
    "a zip bomb as text": (
        lambda: png_with(png_chunk(b"zTXt", b"key\0\0" + zip_bomb())), "undecodable"),
    "a zip bomb as colour profile": (
        lambda: png_with(png_chunk(b"iCCP", b"name\0\0" + zip_bomb())), "undecodable"),
    "a GIF of 20,000 frames": (lambda: gif_of_many_frames(20_000), None),
    "a TIFF that loops": (tiff_that_loops, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_rows(name: str) -> None:
    """Each bomb gives its row at once: stopped by its header, or measured without unpacking it."""
    make, kind = BOMBS[name]
    row = measure_image(make(), "bomb.png", LIMITS)
    check_row(row)
    assert row["error_kind"] == kind
    if name.startswith("a GIF"):
        assert row["frame_count"] == 20_000


UNREADABLE: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "empty", "the file has 0 bytes"),
    "words": (b"no picture", "not_an_image", "no format that is read here begins with"),
    "zeros": (bytes(5000), "not_an_image", "all 5000 bytes are zero"),
    "web page": (b"\n<!doctype html><p>404", "not_an_image", "it looks like a web page"),
    "archive": (b"PK\3\4" + bytes(40), "not_an_image", "it looks like a ZIP archive"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "not_an_image", "Git LFS"),
    "header only": (SOUND["JPEG"][:4], "undecodable", "JPEG signature, but the header is broken"),
    "half": (SOUND["JPEG"][:-40], "truncated", "truncated"),
    "large": (encode(Image.new("L", (201, 200)), "PNG"), "too_many_pixels", "201 x 200 px"),
    "phone": (b"\0\0\0\x18ftypheic" + bytes(60), "unsupported_mode", "HEIC is a format that is"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_every_kind_of_failure_has_a_file_and_a_reason(name: str) -> None:
    """What cannot be measured says of which kind it is, and why, in one line."""
    data, kind, told = UNREADABLE[name]
    row = measure_image(data, "a.jpg", LIMITS)
    check_row(row)
    assert row["error_kind"] == kind
    assert told in row["error"]


def test_the_kinds_that_only_a_disk_or_a_process_has() -> None:
    """The other kinds come from reading and from workers; no kind is without a test."""
    row = measure_image(PermissionError(13, "denied"), "a.jpg", LIMITS)
    check_row(row)
    assert row["error_kind"] == "unreadable_file"
    made = {kind for _, kind, _ in UNREADABLE.values()}
    by_workers = {"timeout", "worker_died", "unreadable_file"}  # test_workers, and above
    assert made | by_workers == set(ERROR_KINDS)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMATS), st.sampled_from(FORMATS), st.integers(0, 1 << 32),
    st.integers(1, 3),
)  # fmt: skip
def test_no_mutated_file_raises(name: str, other: str, seed: int, rounds: int) -> None:
    """Whatever happens to a file's bytes, it gives a row with metrics or a kind and a reason."""
    rng = random.Random(seed)  # noqa: S311 - hypothesis chooses the seed
    data = SOUND[name]
    for _ in range(rounds):
        data = mutate(data, SOUND[other], rng)
    check_row(measure_image(data, f"a.{name.lower()}", LIMITS))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", *(data[:12] for data in SOUND.values())]))
def test_no_bytes_raise(data: bytes, start: bytes) -> None:
    """Any bytes at all, behind any format's signature, give such a row."""
    check_row(measure_image(start + data, None, LIMITS))


def test_a_bomb_costs_its_worker_no_more_than_the_limit(tmp_path: Path) -> None:
    """Pictures that need more memory than a worker may hold are findings; the rest is measured."""
    folder = tmp_path / "data" / "a"
    folder.mkdir(parents=True)
    Image.new("RGB", (6000, 6000)).save(folder / "large.png")
    (folder / "small.png").write_bytes(SOUND["PNG"])
    source = open_source(tmp_path / "data")
    limits = Limits(max_memory_mb=80)
    found = profile_images(source, source.entries(), workers=1, limits=limits)
    told = found.sort("uri").select("error_kind", "error")
    assert told["error"].to_list() == ["needs more than 80 MB of memory", None]
    assert found.filter(pl.col("error_kind").is_null()).height == 1
