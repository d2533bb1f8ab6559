"""1,000 random flipped bits in stores of images and of a table: who finds them?

The same number in each part: image payload, index, footer, all other bytes of shards, manifest,
ledger, fills and CURRENT. `verify` is asked, and the default way of reading: it must refuse or give
the very same pixels, labels, weights and values. Run it as `python -m bench.shard_flips --json`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.record import Figure, record, show
from bench.shard_data import make_jpegs, write_store
from training.dataset import ShardDataset
from training.errors import DamageError, TrainingError
from training.fills import Fills, read_fills
from training.resident import load_resident
from training.shards.damage import verify
from training.shards.index import locate_images
from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest, Shard, read_manifest
from training.shards.writer import ShardSpec, write_manifest

FLIPS, SEED, SIDE = 1_000, 20261128, 32
PARTS = ("payload", "index", "footer", "other pages", "manifest", "ledger", "fills", "CURRENT")


@dataclass(frozen=True, slots=True)
class Store:
    """A store, how it is read by default, and what that gave before anything was damaged."""

    out: Path
    read: Callable[[Path], Any]
    before: Any


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes start..stop-1 of a file of a store. row: whose payload they are, else None."""

    store: Store
    path: str
    start: int
    stop: int
    row: int | None = None


def read_images(out: Path) -> Any:
    """Return pixels, labels, weights and ids of all rows, in order."""
    dataset = ShardDataset(out, read_manifest(out), "train", image_size=SIDE)
    batch = dataset.fetch(np.arange(len(dataset)))
    return [part.tolist() for part in (batch.images, batch.labels, batch.weights, batch.ids)]


def read_table(out: Path) -> Any:
    """Return labels, weights, all columns and the filled cells."""
    manifest = read_manifest(out)
    whole, fills = load_resident(out, manifest, "train"), read_fills(out, manifest)
    assert fills is not None
    columns = {name: values.tolist() for name, values in whole.columns.items()}
    return [whole.labels.tolist(), whole.weights.tolist(), columns, fills.cells.rows()]


def write_images(out: Path, layout: str) -> Store:
    """Write thumbnails as some shards."""
    write_store(out, make_jpegs("small", 200), layout, shard_bytes=100_000)
    return Store(out, read_images, read_images(out))


def write_table(out: Path) -> Store:
    """Write a raw table and a cleaned one with filled cells."""
    rows = 400
    keys = [f"{n * 2_654_435_761 % 2**32:032x}-0" for n in range(rows)]
    frame = pl.DataFrame({"key": keys, "label": [f"c{n % 3}" for n in range(rows)],
                          "split": ["train"] * rows, "size": np.arange(rows) * 0.37,
                          "word": [f"w{n % 7}" for n in range(rows)]})  # fmt: skip
    samples = frame.select(
        pl.col("key").alias("sample_id"), "split", "label", pl.lit("table.parquet").alias("uri"),
        pl.int_range(pl.len()).alias("row"), pl.col("key").str.head(32).alias("xxh3_128"),
    )  # fmt: skip
    spec = ShardSpec(name="flips", kind="table", shard_rows=150)
    batches, ledger = frame.to_arrow().combine_chunks().to_batches(), build_ledger(samples)
    raw = write_manifest(out, batches, ledger, spec)
    cells = frame.head(40).select("key", "split", column=pl.lit("size"), value=pl.lit("3"))
    write_manifest(out, batches, ledger, spec, parent=raw.digest, make_current=True,
                   fills=Fills(cells))  # fmt: skip
    return Store(out, read_table, read_table(out))


def divide(store: Store) -> Iterator[tuple[str, Place]]:
    """Yield every part of a store's files."""
    manifest = read_manifest(store.out)
    yield "manifest", _whole(store, f"manifests/{manifest.digest}.json")
    yield "CURRENT", _whole(store, "CURRENT")
    for name, files in (("ledger", manifest.ledger), ("fills", (manifest.fills,))):
        yield from ((name, _whole(store, file.path)) for file in files if file)
    for split in manifest.splits.values():
        for shard in split.shards:
            yield from _divide_shard(store, manifest, shard)


def _whole(store: Store, path: str) -> Place:
    return Place(store, path, 0, (store.out / path).stat().st_size)


def _divide_shard(store: Store, manifest: Manifest, shard: Shard) -> Iterator[tuple[str, Place]]:
    if shard.index:
        yield "index", _whole(store, shard.index.path)
    data, at = (store.out / shard.path).read_bytes(), 0
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    ranges = locate_images(data) if manifest.kind == "image" else None
    for row, (offset, length) in enumerate(zip(*ranges, strict=True) if ranges else ()):
        yield "other pages", Place(store, shard.path, at, int(offset))
        at = int(offset + length)
        yield "payload", Place(store, shard.path, int(offset), at, row)
    yield "other pages", Place(store, shard.path, at, end)
    yield "footer", Place(store, shard.path, end, len(data))


def flip(place: Place, draw: np.random.Generator) -> tuple[Path, int]:
    """Flip one bit of a place; return the file and the bit."""
    path = place.store.out / place.path
    bit = int(draw.integers(place.start * 8, place.stop * 8))
    flip_bit(path, bit)
    return path, bit


def flip_bit(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def read_damaged(place: Place) -> str:
    """Return how a damaged store is read: 'named', 'refused', 'same' or 'other'."""
    try:
        same = place.store.read(place.store.out) == place.store.before
    except DamageError as told:
        named = told.shard == place.path and (place.row is None or told.row == place.row)
        return "named" if named else "refused"
    except TrainingError:
        return "refused"
    return "same" if same else "other"


def main() -> None:
    """Flip, ask, flip back, and print the record."""
    draw = np.random.default_rng(SEED)
    found, outcomes = 0, {part: [] for part in PARTS}  # type: dict[str, list[str]]
    with tempfile.TemporaryDirectory(prefix="gristmill_flips_") as name:
        stores = [write_images(Path(name) / layout, layout) for layout in ("train", "archive")]
        stores.append(write_table(Path(name) / "table"))
        places = [pair for store in stores for pair in divide(store)]
        for number in range(FLIPS):
            part = PARTS[number % len(PARTS)]
            own = [place for known, place in places if known == part and place.stop > place.start]
            weights = np.array([place.stop - place.start for place in own], float)
            place = own[int(draw.choice(len(own), p=weights / weights.sum()))]
            path, bit = flip(place, draw)
            found += bool(verify(place.store.out))
            outcomes[part].append(read_damaged(place))
            flip_bit(path, bit)
        assert not any(verify(store.out) for store in stores)
    every = [outcome for told in outcomes.values() for outcome in told]
    payload = outcomes["payload"]
    figures = {
        "flips found by verify": Figure(found, FLIPS, "higher", FLIPS),
        "flips that gave other pixels, labels or values": Figure(every.count("other"), 0, "lower",
                                                                 FLIPS),
        "payload flips found by reading, row named": Figure(payload.count("named"), len(payload),
                                                            "higher", len(payload)),
    }  # fmt: skip
    for part, told in outcomes.items():
        refused = len(told) - told.count("same") - told.count("other")
        figures[f"refused by reading, {part}"] = Figure(refused, None, "higher", len(told))
    show(record("shard_flips", figures))


if __name__ == "__main__":
    main()
