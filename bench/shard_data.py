"""Thumbnails and photos as JPEG for measuring shards and loaders: crops of public photos.

`small`: 20,000 of 32..96 px a side; `photo`: 1,500 of 500 x 375 px; `crop`: 1,500 of 300 x 224 px;
`cifar`: 20,000 of 32 px; all of quality 90. They are cut from photos/photos.parquet of the data for
measuring (see `bench.real_data`), turned to landscape, and are the same on every machine.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from PIL import Image

from bench.real_data import find_shared_data
from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest
from training.shards.writer import ShardSpec, write_manifest

SEED, CLASSES = 20261128, 10
SIZES = {"photo": (500, 375), "crop": (300, 224), "cifar": (32, 32)}
ROWS = {"small": 20_000, "photo": 1_500, "crop": 1_500, "cifar": 20_000}


def make_jpegs(kind: str, rows: int | None = None) -> list[bytes]:
    """Return the JPEG files of one kind."""
    draw, rows = np.random.default_rng(SEED), rows or ROWS[kind]
    return [_crop(kind, _photo(n * len(_photos()) // rows), draw) for n in range(rows)]


def _crop(kind: str, photo: Image.Image, draw: np.random.Generator) -> bytes:
    width, height = SIZES.get(kind) or draw.integers(32, 97, 2)
    if kind == "cifar":
        photo = photo.reduce(4)
    left = int(draw.integers(photo.width - width + 1))
    top = int(draw.integers(photo.height - height + 1))
    sink = io.BytesIO()
    photo.crop((left, top, left + width, top + height)).save(sink, "JPEG", quality=90)
    return sink.getvalue()


@lru_cache(maxsize=1)
def _photos() -> list[bytes]:
    whole = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet")
    sizes = [Image.open(io.BytesIO(data)).size for data in whole["image"]]
    wide = pl.Series([min(size) >= 375 and max(size) >= 500 for size in sizes])  # noqa: PLR2004
    return whole.filter(wide)["image"].to_list()


@lru_cache(maxsize=1)
def _photo(number: int) -> Image.Image:
    photo = Image.open(io.BytesIO(_photos()[number])).convert("RGB")
    return photo if photo.width > photo.height else photo.transpose(Image.Transpose.ROTATE_90)


def write_store(
    out: Path, jpegs: list[bytes], layout: str = "train", shard_bytes: int = 2**28
) -> Manifest:
    """Write JPEG files as one split, train, of a store."""
    keys = [f"{xxhash.xxh3_128_hexdigest(data)}-{n}" for n, data in enumerate(jpegs)]
    labels = [f"c{n % CLASSES}" for n in range(len(jpegs))]
    frame = pl.DataFrame({"sample_id": keys, "label": labels}).with_columns(
        pl.lit("train").alias("split"),
        pl.lit("images.parquet").alias("uri"),
        pl.int_range(pl.len()).alias("row"),
        pl.col("sample_id").str.head(32).alias("xxh3_128"),
    )
    spec = ShardSpec(name="bench", kind="image", shard_bytes=shard_bytes,
                     layout=layout)  # type: ignore[arg-type]  # fmt: skip
    return write_manifest(out, _batches(keys, labels, jpegs), build_ledger(frame), spec,
                          make_current=True)  # fmt: skip


def _batches(keys: list[str], labels: list[str], jpegs: list[bytes]) -> Iterator[Any]:
    for start in range(0, len(keys), 1000):
        stop = start + 1000
        split = ["train"] * len(keys[start:stop])
        yield pa.record_batch({"key": keys[start:stop], "label": labels[start:stop],
                               "split": split, "image": jpegs[start:stop]})  # fmt: skip


def write_table(path: Path, jpegs: list[bytes]) -> None:
    """Write JPEG files with class numbers as one Parquet file that other tools' scripts take."""
    labels = [n % CLASSES for n in range(len(jpegs))]
    pl.DataFrame({"image": jpegs, "label": labels}).write_parquet(path, compression="uncompressed")
