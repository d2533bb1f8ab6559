"""The small parts of the shards: digests, order, spill, byte index, pixels."""

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.training.shards.samples import IMAGES, encode, image_batch, table_batch, write_raw
from training.shards.digest import canonical_rows
from training.shards.index import locate_images, read_index
from training.shards.order import EpochOrder
from training.shards.pixels import decode_image
from training.shards.rows import shape_table
from training.shards.spill import Spill

CELLS = st.tuples(
    st.one_of(st.none(), st.text(alphabet="ns1:|-", max_size=6)),
    st.one_of(st.none(), st.text(alphabet="ns1:|-", max_size=6)),
    st.one_of(st.none(), st.integers(-3, 3)),
    st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf])),
)


@given(st.lists(CELLS, min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_canonical_text_tells_rows_apart(rows: list[tuple[Any, ...]]):
    """Two rows have the same canonical text exactly if all their values are the same."""
    schema = {"a": pl.String, "b": pl.String, "c": pl.Int64, "d": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    texts = canonical_rows(frame).to_list()
    assert all(isinstance(text, str) for text in texts)
    assert len(set(texts)) == len({tuple(map(repr, row)) for row in rows})


@given(st.integers(1, 5_000), st.integers(0, 2**31), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_order_is_a_permutation(rows: int, seed: int, epoch: int):
    """An epoch's order holds every row once, and any stretch equals that part of the whole."""
    order = EpochOrder(rows, seed, epoch)
    whole = order.rows(0, rows)
    assert sorted(whole.tolist()) == list(range(rows))
    middle = rows // 3
    assert order.rows(middle, rows).tolist() == whole[middle:].tolist()


def test_order_looks_random():
    """Over 2,000 seeds each row lands on each place of a small epoch about equally often."""
    counts = np.zeros((12, 12))
    for seed in range(2_000):
        counts[np.arange(12), EpochOrder(12, seed, 0).rows(0, 12)] += 1
    expected = 2_000 / 12
    assert ((counts - expected) ** 2 / expected).sum() < 190  # 121 degrees, p = 5e-5
    large = EpochOrder(50_000, 1, 0).rows(0, 50_000)
    assert abs(np.corrcoef(large[:-1], large[1:])[0, 1]) < 0.02


@pytest.mark.parametrize("limit", [1, 3_000, 10**9])
def test_spill_gives_back_every_row(tmp_path: Path, limit: int):
    """Rows come back sorted by key from one run or from many, in few shards or in thousands."""
    table, sizes = shape_table(table_batch())
    with Spill(tmp_path, limit) as spill:
        for start in range(0, 200, 30):
            spill.add(table.slice(start, 30), sizes[start : start + 30])
        runs = spill.finish()
        assert runs.totals == {
            "test": (40, runs.totals["test"][1]),
            "train": (160, runs.totals["train"][1]),
        }
        for bits in (0, 3, 11):
            back = [runs.read(s, n, bits) for s in ("test", "train") for n in range(2**bits)]
            assert all(part["key"].to_pylist() == sorted(part["key"].to_pylist()) for part in back)
            assert pa.concat_tables(back).sort_by("key").equals(table.sort_by("key"))
    assert not list(tmp_path.iterdir())


def test_index_points_at_every_image(tmp_path: Path):
    """Each byte range of the index holds exactly the image of its row."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    for shard in manifest.split("train").shards:
        data = (tmp_path / shard.path).read_bytes()
        images = pl.read_parquet(tmp_path / shard.path)["image"].struct.field("bytes")
        entries = read_index(tmp_path, shard)
        places = zip(entries["offset"], entries["length"], strict=True)
        assert [data[o : o + n] for o, n in places] == images.to_list()


def test_index_needs_plain_images(tmp_path: Path):
    """Packed or absent images have no byte ranges, and an index of other bytes is not used."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    shard = manifest.split("train").shards[0]
    assert read_index(tmp_path, replace(shard, rows=shard.rows + 1)) is None
    sink = io.BytesIO()
    pl.read_parquet(tmp_path / shard.path).write_parquet(sink, compression="zstd")
    assert locate_images(sink.getvalue()) is None
    sink = io.BytesIO()
    pl.DataFrame({"a": [1]}).write_parquet(sink)
    assert locate_images(sink.getvalue()) is None


def test_jpeg_pixels_equal_pillow():
    """JPEG pixels are bit-identical to Pillow's."""
    draw = np.random.default_rng(1)
    smooth = draw.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    data = encode(np.asarray(Image.fromarray(smooth).resize((40, 40))))
    expected = np.asarray(Image.open(io.BytesIO(data))).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode_image(data, 40, 3), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"]
)
def test_every_mode_becomes_the_asked_shape(mode: str, channels: int):
    """Images of any Pillow mode become uint8 of the asked size, mid grey staying mid grey."""
    source = Image.new("L", (20, 10), 128)
    if mode == "I;16":
        source = Image.fromarray(np.full((10, 20), 128 * 257, np.uint16))
    elif mode == "I":
        source = Image.fromarray(np.full((10, 20), 128 * 257, np.int32))
    elif mode != "1":
        source = (
            source.convert("RGB").convert(mode)
            if mode in {"CMYK", "YCbCr"}
            else source.convert(mode)
        )
    sink = io.BytesIO()
    source.save(sink, "TIFF")
    pixels = decode_image(sink.getvalue(), 8, channels)
    assert (pixels.shape, pixels.dtype) == ((channels, 8, 8), np.uint8)
    if mode != "1":
        assert np.abs(pixels.astype(int) - 128).max() <= 2


def test_silently_damaged_jpeg_still_loads():
    """A JPEG that only a lenient decoder reads is read; bytes that none reads are an error."""
    data = encode(np.random.default_rng(2).integers(0, 256, (32, 32), dtype=np.uint8))
    assert decode_image(data[: len(data) // 2], 32, 1).shape == (1, 32, 32)
    with pytest.raises(ValueError, match="no decoder can read it"):
        decode_image(b"\xff\xd8\xff", 32, 1)
    with pytest.raises(ValueError, match="channels must be 1 or 3"):
        decode_image(data, 32, 2)


def test_wide_image_is_cropped_in_the_centre():
    """A wide image keeps its centre: the coloured middle third survives, the sides go."""
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    assert decode_image(encode(pixels, "PNG"), 10, 3).min() == 200
