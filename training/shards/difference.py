"""The difference between two data sets of one store, read from their shards alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from training.shards.manifest import Manifest, Shard
from training.shards.reader import read_columns

_COLUMNS = ("key", "split", "label", "weight", "xxh3_128")
CHANGES = ("added", "dropped", "relabelled", "repaired", "reweighted")


def diff(out: Path, raw: Manifest, cleaned: Manifest) -> pl.DataFrame:
    """Return what became of samples between two manifests: key and change, sorted by both.

    change: one of `CHANGES`; a sample that was both relabelled and reweighted has two rows, one
    that stayed as it was has none. Shards that both manifests name are not read.

    Raises:
        DamageError: if a shard that differs is not what was written.
    """
    before, after = _shards(raw), _shards(cleaned)
    old = _read(out, [before[path] for path in sorted(before.keys() - after.keys())])
    new = _read(out, [after[path] for path in sorted(after.keys() - before.keys())])
    both = old.join(new, on="key", suffix="_new")
    changed = {
        "dropped": old.join(new, on="key", how="anti"),
        "added": new.join(old, on="key", how="anti"),
        "relabelled": both.filter(pl.col("label").ne_missing(pl.col("label_new"))),
        "repaired": both.filter(pl.col("xxh3_128") != pl.col("xxh3_128_new")),
        "reweighted": both.filter(pl.col("weight") != pl.col("weight_new")),
    }
    rows = [frame.select("key", pl.lit(name).alias("change")) for name, frame in changed.items()]
    return pl.concat(rows).sort("key", "change")


def _shards(manifest: Manifest) -> dict[str, Shard]:
    return {shard.path: shard for split in manifest.splits.values() for shard in split.shards}


def _read(out: Path, shards: list[Shard]) -> pl.DataFrame:
    schema = {name: pl.Float32 if name == "weight" else pl.String for name in _COLUMNS}
    frames = [pl.DataFrame(pl.from_arrow(read_columns(out, shard, _COLUMNS))) for shard in shards]
    return pl.concat([pl.DataFrame(schema=schema), *frames])
