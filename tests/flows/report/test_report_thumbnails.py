"""Thumbnails of hostile and odd pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from flows.report import build_report
from flows.report.thumbnails import EDGE_PX, draw_thumbnail, draw_thumbnails


def encode(image: Image.Image, kind: str) -> bytes:
    """Return the bytes of an image file."""
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def decode(uri: str) -> Image.Image:
    """Return the picture in a data: URI."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("1", "PNG"), ("I;16", "PNG"),
     ("CMYK", "JPEG"), ("F", "TIFF"), ("LA", "PNG")],
)  # fmt: skip
def test_every_mode_becomes_a_small_picture(mode: str, kind: str) -> None:
    """Whatever the mode, the thumbnail is grey or RGB, at most 96 px, without metadata."""
    image = Image.new(mode, (200, 120))
    uri = draw_thumbnail(encode(image, kind))
    assert uri is not None
    drawn = decode(uri)
    assert max(drawn.size) == EDGE_PX
    assert drawn.mode in ("L", "RGB")
    assert not drawn.getexif()


def test_small_pictures_stay_exact() -> None:
    """A digit of 28 px is shown pixel by pixel, without loss."""
    pixels = np.arange(784, dtype=np.uint8).reshape(28, 28)
    uri = draw_thumbnail(encode(Image.fromarray(pixels), "PNG"))
    assert uri is not None
    assert np.array_equal(np.asarray(decode(uri)), pixels)


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 60, b"<svg onload='x()'/>", b"%PDF-1.4"],
)
def test_what_is_no_picture_is_not_drawn(content: bytes) -> None:
    """Bytes that no allowed decoder reads give None, never an exception."""
    assert draw_thumbnail(content) is None


def test_a_bomb_is_not_decoded() -> None:
    """A picture that claims more than 40 million pixels is not decoded."""
    assert draw_thumbnail(encode(Image.new("1", (9000, 9000)), "PNG")) is None


def test_only_what_was_profiled_is_decoded(image_run: Any) -> None:
    """Bytes that changed since the profile, or that it could not decode, are not touched."""
    samples = pl.read_parquet(image_run.path / "samples.parquet")
    metrics = pl.read_parquet(image_run.path / "metrics.parquet")
    ids, content = samples["sample_id"].to_list(), image_run.source.content
    assert len(draw_thumbnails(image_run.source, samples, metrics, ids)) == 119
    for uri in content:
        content[uri] = b"another content"
    assert draw_thumbnails(image_run.source, samples, metrics, ids) == {}
    assert draw_thumbnails(image_run.source, samples, None, ids) == {}


@pytest.mark.parametrize("limit", [0, 7])
def test_their_number_is_limited(image_run: Any, limit: int) -> None:
    """No more pictures than asked for, and every shown example has one."""
    report = build_report(image_run.path, **image_run.options(), max_thumbnails=limit)
    assert len(report["thumbnails"]) <= limit
    shown = [e["sample_id"] for section in report["findings"] for e in section["examples"]]
    drawn = [one in report["thumbnails"] for one in shown]
    assert limit == 0 or drawn.count(False) == 1  # the file that does not decode
