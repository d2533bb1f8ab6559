"""20 GB of JPEGs written as shards and read whole: memory, CPU a sample, and does every row come?

Photographs of some 50 kB make nine tenths of the bytes and thumbnails of some 2 kB the rest. A few
hundred real ones are made; each sample is one of them with a comment of its own, so that no two
files have equal bytes. Writing and reading are a process each: its peak is what the kernel saw,
with interpreter and imports. Reading is `ShardDataset` through `ShardLoader` in keyed order, every
row's checks on, decoded to 16 px. CPU is that of the whole process.

Run it as `python -m bench.shard_scale --json [BYTES]`: half an hour and 45 GB of disk, once; it is
no part of `make bench`. A last pass writes 4 GB in one process and in two: seconds on the clock.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from PIL import Image

from bench.process import Cost, run_module
from bench.real_data import find_shared_data
from bench.record import Figure, record, show

BYTES, SMALL_BYTES, PEAK_MB = 20 * 10**9, 4 * 10**9, 2000
PHOTOS, CLASSES, IN_BATCH, SEED = 300, 10, 256, 20261204
THUMBNAIL_FRAC = 0.1  # of the bytes


def main(size: int) -> None:
    """Write, read and forget the set; then time the small one with one and two processes."""
    with tempfile.TemporaryDirectory(prefix="gristmill_scale_") as place:
        store = Path(place) / "store"
        written = _run("write", store, size, 1)
        read = _run("read", store)
        shutil.rmtree(store)
        clocks = {}
        for processes in (1, 2):
            told = _run("write", store, min(size, SMALL_BYTES), processes).told
            clocks[processes] = told["clock_s"]
            shutil.rmtree(store)
    if (rows := written.told["rows"]) != read.told["rows"]:
        message = f"{rows} rows were written, {read.told['rows']} read"
        raise RuntimeError(message)
    show(record("shard_scale", _figures(written, read, clocks)))


def _run(work: str, *arguments: object) -> Cost:
    return run_module("bench.shard_scale", work, *map(str, arguments))


def _figures(written: Cost, read: Cost, clocks: dict[int, float]) -> dict[str, Figure]:
    rows = written.told["rows"]
    figures = {
        "rows": Figure(rows, None, "higher", 1, unit="rows"),
        "image bytes": Figure(written.told["bytes"] / 1e9, None, "higher", 1, unit="GB"),
        "shards": Figure(written.told["shards"], None, "higher", 1),
    }
    for name, cost in (("write", written), ("read", read)):
        each = cost.cpu_s / rows * 1e6
        figures |= {
            f"{name}: peak": Figure(cost.peak_mb, PEAK_MB, "lower", 1, unit="MB"),
            f"{name}: CPU": Figure(each, None, "lower", rows, unit="us/sample"),
            f"{name}: clock": Figure(cost.told["clock_s"], None, "lower", 1, unit="s"),
        }
    spared = clocks[1] / clocks[2]
    return figures | {"4 GB, one process over two": Figure(spared, None, "higher", 1, unit="x")}


def write(out: Path, size: int, processes: int) -> dict[str, object]:
    """Write a set of `size` bytes as the store `out`; return its size and the seconds it took."""
    from training.shards.ledger import build_ledger  # noqa: PLC0415 - the parent stays small
    from training.shards.writer import ShardSpec, write_manifest  # noqa: PLC0415

    photos, thumbnails = _pictures()
    counts = _counts(photos, thumbnails, size)
    ledger = build_ledger(_samples(sum(counts)))
    batches = _batches(photos, thumbnails, counts)
    spec = ShardSpec(name="scale", kind="image")
    start = time.monotonic()
    manifest = write_manifest(out, batches, ledger, spec, make_current=True, processes=processes)
    stored = sum(split.bytes for split in manifest.splits.values())
    shards = sum(len(split.shards) for split in manifest.splits.values())
    return {"rows": manifest.rows, "bytes": stored, "shards": shards,
            "clock_s": time.monotonic() - start}  # fmt: skip


def read(out: Path) -> dict[str, object]:
    """Read every row of the store once; return how many came."""
    from training.dataset import ShardDataset  # noqa: PLC0415 - the parent stays small
    from training.loader import ShardLoader  # noqa: PLC0415
    from training.shards.manifest import read_manifest  # noqa: PLC0415

    manifest, rows, start = read_manifest(out), 0, time.monotonic()
    for split in manifest.splits:
        dataset = ShardDataset(out, manifest, split, image_size=16)
        seen = np.zeros(len(dataset), bool)
        for batch in ShardLoader(dataset, 256):
            seen[batch.rows] = True
        rows += int(seen.sum())
    return {"rows": rows, "clock_s": time.monotonic() - start}


def _pictures() -> tuple[list[bytes], list[bytes]]:
    """Photographs of some 50 kB and thumbnails of some 2 kB."""
    found = pl.read_parquet(find_shared_data() / "photos" / "photos.parquet", columns=["image"])
    photos, thumbnails = [], []
    for content in found["image"].head(PHOTOS):
        image = Image.open(io.BytesIO(content)).convert("RGB")
        photos.append(_encode(image, 93))
        thumbnails.append(_encode(image.resize((64, 48)), 90))
    return photos, thumbnails


def _encode(image: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _counts(photos: list[bytes], thumbnails: list[bytes], size: int) -> tuple[int, int]:
    def count(pictures: list[bytes], share: float) -> int:
        return int(size * share / (sum(map(len, pictures)) / len(pictures)))

    return count(photos, 1 - THUMBNAIL_FRAC), count(thumbnails, THUMBNAIL_FRAC)


def _samples(rows: int) -> pl.DataFrame:
    """The samples table: what a profile would have found."""
    keys = _keys(pl.int_range(rows, eager=True))
    return pl.DataFrame({"sample_id": keys, "row": pl.int_range(rows, eager=True)}).select(
        "sample_id",
        _split(pl.col("row")).alias("split"),
        _label(pl.col("row")).alias("label"),
        pl.lit("images.parquet").alias("uri"),
        "row",
        pl.col("sample_id").str.head(32).alias("xxh3_128"),
    )


def _batches(
    photos: list[bytes], thumbnails: list[bytes], counts: tuple[int, int]
) -> Iterator[Any]:
    """Record batches of the samples in a mixed order: as a folder's, kind follows no rule."""
    draw, rows = random.Random(SEED), sum(counts)  # noqa: S311 - a benchmark's data
    share = counts[0] / rows
    for start in range(0, rows, IN_BATCH):
        numbers = range(start, min(start + IN_BATCH, rows))
        pictures = [photos if draw.random() < share else thumbnails for _ in numbers]
        images = [_mark(kind[n % PHOTOS], n) for kind, n in zip(pictures, numbers, strict=True)]
        frame = pl.DataFrame({"row": pl.Series(numbers, dtype=pl.Int64)})
        frame = frame.select(
            _keys(frame["row"]).alias("key"),
            _label(pl.col("row")).alias("label"),
            _split(pl.col("row")).alias("split"),
        )
        yield pa.record_batch(
            {**{name: frame[name].to_arrow() for name in frame.columns}, "image": images}
        )


def _mark(picture: bytes, number: int) -> bytes:
    text = b"sample %d" % number
    return picture[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + picture[2:]


def _keys(numbers: pl.Series) -> pl.Series:
    """Keys like those of our sources: 32 hexadecimal digits and the row."""
    mixed = (numbers.cast(pl.UInt64) * 2_654_435_761) % 2**32
    return mixed.cast(pl.String).str.zfill(32) + "-0"


def _label(number: pl.Expr) -> pl.Expr:
    return pl.format("class{}", number % CLASSES)


def _split(number: pl.Expr) -> pl.Expr:
    return pl.when(number % 10 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--json"]
    if words[:1] == ["write"]:
        print(json.dumps(write(Path(words[1]), int(words[2]), int(words[3]))))
    elif words[:1] == ["read"]:
        print(json.dumps(read(Path(words[1]))))
    else:
        main(int(words[0]) if words else BYTES)
