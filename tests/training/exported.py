"""Readers of exports from the standard library alone, and a data set that is hard to export."""

from __future__ import annotations

import datetime as dt
import json
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tests.training.shards.samples import encode, image_batch, samples_of
from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest
from training.shards.writer import ShardSpec, write_manifest

HARD_KEYS = ("a/b.c", "A/b.c", "a%2Fb", "../../x", "[red]x[/red]", "ümläut\n", "k" * 300, "")
HARD_LABELS = ("cats/dogs", "line\nbreak", None, "[bold]", "café", "", "a.b", "c0")


def store_images(out: Path, rows: int = 40) -> Manifest:
    """Write JPEGs and PNGs in two splits; the first eight have hard keys and labels."""
    frame = pl.DataFrame(pl.from_arrow(image_batch(rows)))
    keys = [*HARD_KEYS, *frame["key"][len(HARD_KEYS) :]]
    labels = [*HARD_LABELS, *frame["label"][len(HARD_LABELS) :]]
    images = frame["image"].to_list()
    images[9] = encode(np.full((9, 7, 3), 77, np.uint8), "PNG")
    frame = frame.with_columns(
        key=pl.Series(keys), label=pl.Series(labels), image=pl.Series(images)
    )
    return store(out, frame, ShardSpec(name="[hard]", kind="image", shard_bytes=6_000))


def store_table(out: Path, rows: int = 30) -> Manifest:
    """Write a table with every plain type, with and without nulls."""
    common = pl.DataFrame(pl.from_arrow(image_batch(rows))).drop("image")
    number = range(rows)
    day, stamp = dt.date(2024, 2, 28), dt.datetime(2024, 2, 28, 23, 59, 59, 123456)  # noqa: DTZ001 - as tables hold them
    frame = common.with_columns(
        pl.Series("i8", [n - 15 for n in number], pl.Int8),
        pl.Series("u64", [2**64 - 1 - n for n in number], pl.UInt64),
        pl.Series("f32", [n / 3 for n in number], pl.Float32),
        pl.Series("f64", [[float("nan"), float("inf"), None, 0.5][n % 4] for n in number]),
        pl.Series("flag", [n % 2 == 0 for n in number]),
        pl.Series("maybe", [[True, False, None][n % 3] for n in number]),
        pl.Series("text", [["", None, "x\ny", "é"][n % 4] for n in number]),
        pl.Series("day", [day + dt.timedelta(days=n) for n in number]),
        pl.Series("stamp", [stamp + dt.timedelta(days=n) for n in number]),
        pl.Series("clock", [dt.time(n % 24, 5) for n in number]),
        pl.Series("wait", [dt.timedelta(seconds=n) for n in number]),
        pl.Series("price", [Decimal(n) / 4 for n in number], pl.Decimal(12, 2)),
        pl.Series("raw", [bytes([n]) for n in number], pl.Binary),
        pl.Series("label_number", [n * 10 for n in number], pl.Int32),
        pl.Series("nothing", [None] * rows, pl.String),
    )
    return store(out, frame, ShardSpec(name="types", kind="table", shard_rows=8))


def store(out: Path, frame: pl.DataFrame, spec: ShardSpec) -> Manifest:
    """Write rows that are all kept."""
    batch = frame.to_arrow()
    ledger = build_ledger(samples_of(batch))
    return write_manifest(out, batch.to_batches(), ledger, spec, make_current=True)


def stored_rows(out: Path, manifest: Manifest, split: str) -> pl.DataFrame:
    """The rows of a split as polars reads the shards themselves."""
    paths = [out / shard.path for shard in manifest.split(split).shards]
    return pl.concat([pl.read_parquet(path) for path in paths])


def read_tar(path: Path) -> list[dict[str, bytes]]:
    """The samples of a WebDataset: for each name before the first dot its members by extension."""
    samples: list[dict[str, bytes]] = []
    with tarfile.open(path) as tar:
        for member in tar:
            name, _, extension = member.name.partition(".")
            content = tar.extractfile(member)
            assert content is not None
            if not samples or samples[-1]["__key__"] != name.encode():
                samples.append({"__key__": name.encode()})
            assert extension not in samples[-1]
            samples[-1][extension] = content.read()
    return samples


def read_mds(folder: Path) -> list[dict[str, Any]]:
    """The samples of one split of an MDS export, each value still encoded."""
    samples = []
    for entry in json.loads((folder / "index.json").read_text())["shards"]:
        data = (folder / entry["raw_data"]["basename"]).read_bytes()
        assert len(data) == entry["raw_data"]["bytes"]
        count = int(np.frombuffer(data, "<u4", 1)[0])
        assert count == entry["samples"]
        places = np.frombuffer(data, "<u4", count + 1, 4).tolist()
        samples += [_read_sample(data, at, entry) for at in places[:-1]]
        assert places[-1] == len(data)
    return samples


def _read_sample(data: bytes, at: int, entry: dict[str, Any]) -> dict[str, Any]:
    sizes = list(entry["column_sizes"])
    for column, size in enumerate(sizes):
        if size is None:
            sizes[column] = int(np.frombuffer(data, "<u4", 1, at)[0])
            at += 4
    sample = {}
    for name, encoding, size in zip(
        entry["column_names"], entry["column_encodings"], sizes, strict=True
    ):
        sample[name] = _decode(data[at : at + size], encoding)
        at += size
    return sample


def _decode(value: bytes, encoding: str) -> Any:
    if encoding == "bytes":
        return value
    if encoding == "str":
        return value.decode()
    return json.loads(value) if encoding == "json" else np.frombuffer(value, encoding)[0].item()
