"""Small data sets with known content, as the shard tests hand them to the writer."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from PIL import Image

from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest
from training.shards.writer import ShardSpec, write_manifest

IMAGES = ShardSpec(name="tiny", kind="image", shard_bytes=12_000)
TABLE = ShardSpec(name="tiny", kind="table", shard_rows=40)


def encode(pixels: Any, kind: str = "JPEG") -> bytes:
    """The bytes of an image file."""
    sink = BytesIO()
    Image.fromarray(pixels).save(sink, kind)
    return sink.getvalue()


def image_batch(rows: int = 120) -> Any:
    """Grey noise, 12 x 12 px, a fifth of it in split test."""
    draw = np.random.default_rng(7)
    pictures = [draw.integers(0, 256, (12, 12), dtype=np.uint8) for _ in range(rows)]
    return pa.record_batch({**_common(rows), "image": [encode(picture) for picture in pictures]})


def table_batch(rows: int = 200) -> Any:
    """Numbers, gaps and text, a fifth of it in split test."""
    draw = np.random.default_rng(7)
    gaps = [None if n % 7 == 0 else float(n) for n in range(rows)]
    words = [None if n % 11 == 0 else f"w{n % 5}" for n in range(rows)]
    features = {"size": draw.normal(size=rows), "gap": pa.array(gaps, pa.float64()), "word": words}
    return pa.record_batch({**_common(rows), **features, "count": np.arange(rows)})


def _common(rows: int) -> dict[str, Any]:
    keys = [f"{n * 2_654_435_761 % 2**32:032x}-0" for n in range(rows)]
    splits = ["test" if n % 5 == 0 else "train" for n in range(rows)]
    return {"key": keys, "label": [f"c{n % 3}" for n in range(rows)], "split": splits}


def samples_of(batch: Any) -> pl.DataFrame:
    """The samples table that belongs to a batch."""
    frame = pl.DataFrame(pl.from_arrow(batch.select(["key", "split", "label"])))
    numbers = pl.int_range(pl.len()).alias("row")
    return frame.select(
        pl.col("key").alias("sample_id"),
        "split",
        "label",
        pl.lit("data.parquet").alias("uri"),
        numbers,
        pl.col("key").str.head(32).alias("xxh3_128"),
    )


def decisions_of(batch: Any, dropped: set[str]) -> pl.DataFrame:
    """Decisions that drop some keys and keep the rest."""
    lost = pl.col("sample_id").is_in(sorted(dropped))
    return samples_of(batch).select(
        "sample_id",
        pl.when(lost).then(pl.lit("drop")).otherwise(pl.lit("keep")).alias("action"),
        pl.when(lost).then(pl.lit("dropped")).otherwise(pl.lit("kept")).alias("outcome"),
        pl.lit(None, pl.String).alias("new_label"),
        pl.lit("policy").alias("decided_by"),
    )


def write_raw(out: Path, batch: Any, spec: ShardSpec, *, make_current: bool = True) -> Manifest:
    """Write all rows of a batch as the raw manifest."""
    ledger = build_ledger(samples_of(batch))
    return write_manifest(out, [batch], ledger, spec, make_current=make_current)


def write_without(
    out: Path, batch: Any, dropped: set[str], spec: ShardSpec, parent: Manifest
) -> Manifest:
    """Write a batch without some keys as the cleaned manifest of `parent`."""
    kept = [n for n, key in enumerate(batch.column("key").to_pylist()) if key not in dropped]
    ledger = build_ledger(samples_of(batch), decisions_of(batch, dropped))
    rows = [batch.take(pa.array(kept))]
    return write_manifest(out, rows, ledger, spec, parent=parent.digest, make_current=True)


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(data))
