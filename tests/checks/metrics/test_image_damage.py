import io
from collections.abc import Callable

import pytest
from PIL import Image

from bench.spoilt_files import (
    CUTS,
    FORMATS,
    HARMLESS,
    SECTORS,
    Damage,
    append_junk,
    break_checksum,
    cut,
    cut_tail,
    draw_picture,
    encode,
    zero_sector,
)
from checks.metrics.image_container import count_gif_frames, drop_stray_bytes, find_png_chunk
from checks.metrics.image_header import count_frames, open_image, read_extension, read_header
from checks.metrics.image_measure import measure_image
from checks.metrics.image_schema import Limits, Metrics

COUNT, RECALL_MIN = 40, 0.9
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")


def measure(data: bytes) -> Metrics:
    """Return the row of a file without a name."""
    return measure_image(data, None, Limits(max_pixels=4_000_000))


def is_flagged(data: bytes) -> bool:
    """Return whether the row tells a failure or damage, and check that the reason is one line."""
    row = measure(data)
    reason = row["error"] or row["decode_warning"]
    assert row["error_kind"] is None or row["error"]
    assert reason is None or "\n" not in reason
    return reason is not None


def make_jpegs(side_px: int, **options: object) -> list[bytes]:
    """Return COUNT different JPEGs of side_px x side_px."""
    files = []
    for seed in range(COUNT):
        stream = io.BytesIO()
        draw_picture(seed, side_px).save(stream, "JPEG", quality=90, **options)
        files.append(stream.getvalue())
    return files


def share_flagged(files: list[bytes], damage: Damage) -> float:
    """Return the share of the files that are flagged after `damage`."""
    pairs = zip(files, files[1:] + files[:1], strict=True)
    return sum(is_flagged(damage(data, other)) for data, other in pairs) / len(files)


@pytest.fixture(scope="module", params=[(300, False), (560, False), (300, True)],
                ids=["full", "reduced", "progressive"])  # fmt: skip
def jpegs(request: pytest.FixtureRequest) -> list[bytes]:
    """Return JPEGs decoded in full, decoded reduced, and progressive ones."""
    side_px, progressive = request.param
    return make_jpegs(side_px, progressive=progressive)


@pytest.mark.parametrize("kind", [*SECTORS, *CUTS])
def test_damaged_jpegs_are_flagged(jpegs: list[bytes], kind: str) -> None:
    """Lost or swapped sectors, halves with an end marker and cuts are flagged.

    A swapped sector may by chance hold as many blocks as the lost one: then nothing tells.
    """
    minimum = RECALL_MIN if kind in SECTORS else 1
    assert share_flagged(jpegs, {**SECTORS, **CUTS}[kind]) >= minimum


@pytest.mark.parametrize("kind", HARMLESS)
def test_sound_jpegs_are_not_flagged(jpegs: list[bytes], kind: str) -> None:
    """Whole files, and whole files with zeros or junk behind their end, are not flagged."""
    assert share_flagged(jpegs, HARMLESS[kind]) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_cut_files_of_every_format_are_flagged(name: str) -> None:
    """Every format tells that its second half, or last tenth, is missing; whole files pass."""
    files = [encode(draw_picture(seed, 64), name) for seed in range(4)]
    assert share_flagged(files, cut(0.5)) == 1
    assert share_flagged(files, cut(0.9)) == 1
    assert share_flagged(files, append_junk) == 0
    assert not any(map(is_flagged, files))


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("PNG", break_checksum, "PNG: wrong checksum in chunk 'IDAT'"),
        ("PNG", cut_tail(12), "PNG: no IEND chunk"),
        ("GIF", cut_tail(1), "GIF: no trailer"),
        ("WEBP", zero_sector, "WebP: zeros instead of pixel data"),
        ("ICO", cut_tail(3), "ICO: picture 2 of 2 is cut off"),
    ],
)
def test_structure_tells_what_decoders_pass_over(name: str, damage: Damage, told: str) -> None:
    """Each of these files decodes without an error; its structure gives the warning."""
    image = draw_picture(3, 256)
    options = {"sizes": [(16, 16), (48, 48)]} if name == "ICO" else {"quality": 95}
    stream = io.BytesIO()
    image.save(stream, name, **(options if name in {"ICO", "WEBP"} else {}))
    row = measure(damage(stream.getvalue(), b""))
    assert row["error_kind"] is None
    assert row["decode_warning"].startswith(told)


def test_a_flat_webp_is_not_taken_for_zeroed() -> None:
    """Flat colour codes to long runs of zeros; the bound grows with the picture."""
    row = measure(encode(Image.new("RGB", (2000, 2000), "white"), "WEBP"))
    assert (row["error_kind"], row["decode_warning"]) == (None, None)


@pytest.mark.parametrize("first", [True, False], ids=["first strip", "last strip"])
def test_deflated_tiff_strips_are_read_to_their_end(first: bool) -> None:
    """A flipped bit in a strip's checksum, which libtiff reads past, is told."""
    stream = io.BytesIO()
    draw_picture(1, 200).save(stream, "TIFF", compression="tiff_adobe_deflate")
    data = bytearray(stream.getvalue())
    with open_image(bytes(data)) as image:
        starts, sizes = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    place = 0 if first else -1
    data[starts[place] + sizes[place] - 1] ^= 1
    assert is_flagged(bytes(data))


def test_padding_in_a_jpeg_is_no_damage() -> None:
    """Bytes between header segments and zeros before the end marker raise no alarm."""
    (data, *_), other = make_jpegs(300), b""
    inside = data.index(b"\xff\xdb")
    padded = data[:inside] + b"\0\x17\x55" + data[inside:-2] + bytes(40) + data[-2:]
    assert not is_flagged(padded)
    assert drop_stray_bytes(padded) == data
    assert is_flagged(zero_sector(padded, other))


def test_padding_does_not_change_the_picture() -> None:
    """The padded file has the pixels of the plain one."""
    data = make_jpegs(300)[0]
    padded = data[:-2] + bytes(9) + data[-2:]
    assert measure(padded)["pixel_digest"] == measure(data)["pixel_digest"]


@pytest.mark.parametrize("name", ANIMATED)
def test_frames_are_counted(name: str) -> None:
    """Three frames are three in every format that can hold them, and one picture is one."""
    stream = io.BytesIO()
    rest = [draw_picture(seed) for seed in (2, 3)]
    draw_picture(1).save(stream, name, save_all=True, append_images=rest)
    data = stream.getvalue()
    with open_image(data) as image:
        assert count_frames(image, data) == 3
    with open_image(encode(draw_picture(1), name)) as image:
        assert count_frames(image) == 1
    assert not is_flagged(data)


def test_a_cut_animation_is_flagged() -> None:
    """The first frame of half a GIF decodes; its blocks end too early."""
    stream = io.BytesIO()
    rest = [draw_picture(seed) for seed in (2, 3, 4)]
    draw_picture(1).save(stream, "GIF", save_all=True, append_images=rest)
    data = stream.getvalue()
    row = measure(data[: len(data) // 2])
    assert row["error_kind"] is None
    assert row["decode_warning"] == "GIF: no trailer, the file's end is missing"
    assert count_gif_frames(data[:-200]) in {3, 4}


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_read_from_every_container(name: str) -> None:
    """EXIF tag 0x0112 is found in JPEG, PNG's eXIf chunk, WebP, TIFF and AVIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    draw_picture(1).save(stream, name, exif=exif)
    data = stream.getvalue()
    with open_image(data) as image:
        assert read_header(image, data)["exif_orientation"] == 6


def test_an_exif_chunk_behind_the_pixels_needs_no_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG's eXIf chunk after IDAT is found without loading pixels: bombs stay closed."""
    exif = Image.Exif()
    exif[0x0112] = 8
    stream = io.BytesIO()
    draw_picture(1).save(stream, "PNG", exif=exif)
    data = stream.getvalue()
    start = data.index(b"eXIf") - 4
    stop = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[stop:-12] + data[start:stop] + data[-12:]

    def refuse(*_: object) -> None:
        raise AssertionError

    with open_image(moved) as image:
        monkeypatch.setattr(type(image), "load", refuse)
        assert read_header(image, moved)["exif_orientation"] == 8
    assert find_png_chunk(moved, b"abcd") is None


@pytest.mark.parametrize(
    ("extension", "name", "matches"),
    [
        ("jpg", "JPEG", True), ("jpeg", "PNG", False), ("jfif", "JPEG", True),
        ("png", "PNG", True), ("apng", "PNG", True), ("webp", "AVIF", False),
        ("avif", "AVIF", True), ("tif", "TIFF", True), ("jp2", "JPEG2000", True),
        ("heic", "JPEG", False), ("ppm", "PPM", True), ("gif", "WEBP", False),
    ],
)  # fmt: skip
def test_the_content_is_held_against_the_extension(
    extension: str, name: str, matches: bool
) -> None:
    """The format is that of the bytes; whether the name agrees is told beside it."""
    with open_image(encode(draw_picture(1), name)) as image:
        kind = read_header(image, b"")["format"]
    assert read_extension(f"a/b.{extension}", kind)["extension_matches"] is matches


@pytest.mark.parametrize("make", [lambda: {"progressive": True}, dict])
def test_header_facts_of_a_jpeg(make: Callable[[], dict[str, object]]) -> None:
    """Quality, progressive and ICC come from the header alone."""
    options = make()
    stream = io.BytesIO()
    draw_picture(1).save(stream, "JPEG", quality=83, icc_profile=b"a profile", **options)
    with open_image(stream.getvalue()) as image:
        facts = read_header(image, stream.getvalue())
    assert facts["jpeg_quality"] == 83
    assert facts["progressive"] is bool(options)
    assert facts["has_icc"]


def test_sixteen_bits_of_either_byte_order_keep_their_brightness() -> None:
    """A mid-grey 16-bit TIFF is mid-grey, whichever byte comes first."""
    for mode in ("I;16", "I;16B"):
        image = Image.new(mode, (40, 40), 32_768)
        row = measure(encode(image, "TIFF"))
        assert row["luma_mean"] == pytest.approx(0.5, abs=0.01)


def test_bands_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture that is reduced band by band has the digest of one that is not."""
    image = draw_picture(4, 700)
    image.putalpha(draw_picture(5, 700).convert("L"))
    data = encode(image, "PNG")
    whole = measure(data)
    monkeypatch.setattr("checks.metrics.image_decode._BAND_PX", 50_000)
    assert measure(data)["pixel_digest"] == whole["pixel_digest"]
