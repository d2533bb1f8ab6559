"""The difference between two data sets of one store, read from their shards and the ledger."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from training.shards.columns import read_columns
from training.shards.ledger import read_ledger
from training.shards.manifest import Manifest, Shard

_COLUMNS = ("key", "split", "label", "weight", "xxh3_128")
_WIDE = ("key", "change", "split", "label", "split_new", "label_new")
CHANGES = ("added", "dropped", "moved", "relabelled", "repaired", "reweighted")


def diff(out: Path, raw: Manifest, cleaned: Manifest) -> pl.DataFrame:
    """Return key and change of `list_changes`."""
    return list_changes(out, raw, cleaned).select("key", "change")


def list_changes(out: Path, before: Manifest, after: Manifest) -> pl.DataFrame:
    """Return what became of samples between two manifests, sorted by key and change.

    Columns: key, change, split, label (in `before`, null where added), split_new, label_new (in
    `after`, null where dropped). change: one of `CHANGES`; a sample that was both relabelled and
    reweighted has two rows, one that stayed as it was has none. The two need no common ancestor.
    Shards that both name are not read.

    Raises:
        DamageError: if a shard that differs is not what was written.
    """
    was, now = _shards(before), _shards(after)
    old = _read(out, [was[path] for path in sorted(was.keys() - now.keys())])
    new = _read(out, [now[path] for path in sorted(now.keys() - was.keys())])
    both = old.join(new, on="key", suffix="_new")
    gained = new.rename({name: f"{name}_new" for name in ("split", "label")})
    changed = {
        "added": gained.join(old, on="key", how="anti"),
        "dropped": old.join(new, on="key", how="anti"),
        "moved": both.filter(pl.col("split") != pl.col("split_new")),
        "relabelled": both.filter(pl.col("label").ne_missing(pl.col("label_new"))),
        "repaired": both.filter(pl.col("xxh3_128") != pl.col("xxh3_128_new")),
        "reweighted": both.filter(pl.col("weight") != pl.col("weight_new")),
    }
    empty = pl.DataFrame(schema=dict.fromkeys(_WIDE, pl.String))
    rows = [frame.with_columns(change=pl.lit(name)) for name, frame in changed.items()]
    told = pl.concat([empty, *rows], how="diagonal")
    return told.select(_WIDE).sort("key", "change")


def count_changes(changes: pl.DataFrame) -> pl.DataFrame:
    """Return change, split, label and samples, sorted: how many of which class.

    changes: of `list_changes`. An added sample counts under its new split and label, any other
    under those that it had.
    """
    place = pl.coalesce("split", "split_new").alias("split")
    label = pl.when(pl.col("split").is_null()).then("label_new").otherwise("label").alias("label")
    counted = changes.select("change", place, label).group_by(pl.all()).len("samples")
    return counted.sort("change", "split", "label")


def count_reasons(out: Path, after: Manifest, changes: pl.DataFrame) -> pl.DataFrame:
    """Return check_id and samples: why the ledger of `after` says that samples were dropped.

    changes: of `list_changes`. Most samples first. A sample with several reasons counts under
    each. check_id is null for those with no reason, and for those that `after` never had as input.

    Raises:
        DamageError: if the ledger is not what was written.
    """
    dropped = changes.filter(pl.col("change") == "dropped").select("key")
    books = read_ledger(out, after).select("key", "reasons")
    told = dropped.join(books, on="key", how="left")
    named = told.select("key", reason=pl.col("reasons")).explode("reason")
    found = named.select("key", check_id=pl.col("reason").struct.field("check_id")).unique()
    counted = found.group_by("check_id").len("samples")
    return counted.sort("samples", "check_id", descending=[True, False])


def count_evaluated(out: Path, after: Manifest, changes: pl.DataFrame) -> dict[str, int]:
    """Return how many samples of each split but train people changed, by the ledger of `after`.

    changes: of `list_changes`; what was only weighed anew is no change of the sample.

    Raises:
        DamageError: if the ledger is not what was written.
    """
    touched = changes.filter(pl.col("change").is_in(["dropped", "relabelled", "repaired"]))
    others = touched.filter(pl.col("split") != "train").select("key", "split").unique()
    people = read_ledger(out, after).filter(pl.col("decided_by") != "policy")
    held = others.join(people, on="key", how="semi")["split"].value_counts().sort("split")
    return dict(held.iter_rows())


def _shards(manifest: Manifest) -> dict[str, Shard]:
    return {shard.path: shard for shard in manifest.shards}


def _read(out: Path, shards: list[Shard]) -> pl.DataFrame:
    schema = {name: pl.Float32 if name == "weight" else pl.String for name in _COLUMNS}
    frames = [pl.DataFrame(pl.from_arrow(read_columns(out, shard, _COLUMNS))) for shard in shards]
    return pl.concat([pl.DataFrame(schema=schema), *frames])
