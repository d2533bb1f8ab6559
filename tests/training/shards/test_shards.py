"""Shards as a whole: deterministic, shared between data sets, readable by others."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.shards.samples import (
    IMAGES,
    TABLE,
    image_batch,
    samples_of,
    table_batch,
    write_raw,
    write_without,
)
from training.errors import TrainingError
from training.shards.damage import verify
from training.shards.difference import diff
from training.shards.ledger import build_ledger, read_ledger
from training.shards.manifest import Manifest, current_digest, read_manifest
from training.shards.writer import ShardSpec, write_manifest

BATCHES = {"image": (image_batch(), IMAGES), "table": (table_batch(), TABLE)}
ROOT = Path(__file__).resolve().parents[3]


@given(data=st.data(), kind=st.sampled_from(sorted(BATCHES)))
@settings(max_examples=6, deadline=None)
def test_digest_ignores_order_and_batches(data: st.DataObject, kind: str):
    """Rows in any order, in batches of any size, give the same manifest digest."""
    batch, spec = BATCHES[kind]
    order = data.draw(st.permutations(range(batch.num_rows)))
    size = data.draw(st.integers(1, batch.num_rows))
    mixed = pa.table(batch).take(pa.array(order)).to_batches(max_chunksize=size)
    ledger = build_ledger(samples_of(batch).sample(fraction=1, shuffle=True, seed=1))
    with TemporaryDirectory() as folder:
        first = write_raw(Path(folder), batch, spec)
        assert len(first.split("train").shards) > 1
        assert write_manifest(Path(folder), mixed, ledger, spec).digest == first.digest


@pytest.mark.parametrize("kind", BATCHES)
def test_digest_ignores_processes(tmp_path: Path, kind: str):
    """Shards that several processes encode are the same, byte for byte."""
    batch, spec = BATCHES[kind]
    ledger = build_ledger(samples_of(batch))
    found = write_manifest(tmp_path / "there", [batch], ledger, spec, processes=2)
    assert found == write_raw(tmp_path / "here", batch, spec, make_current=False)
    assert verify(tmp_path / "there", found.digest) == []


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_digest_ignores_threads(tmp_path: Path, threads: int):
    """Other processes with 1, 2 and 8 polars threads write the same digest as this one."""
    code = (
        "import sys, pathlib; from tests.training.shards.samples import *\n"
        "print(write_raw(pathlib.Path(sys.argv[1]), table_batch(), TABLE).digest)"
    )
    env = {**os.environ, "POLARS_MAX_THREADS": str(threads), "PYTHONHASHSEED": str(threads)}
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    found = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert found.strip() == write_raw(tmp_path / "here", table_batch(), TABLE).digest


@given(data=st.data(), kind=st.sampled_from(sorted(BATCHES)))
@settings(max_examples=8, deadline=None)
def test_dropping_rewrites_only_their_shards(data: st.DataObject, kind: str):
    """Whatever is dropped, the shards that held it change and all others are shared."""
    batch, spec = BATCHES[kind]
    keys = batch.column("key").to_pylist()
    dropped = data.draw(st.sets(st.sampled_from(keys), max_size=20))
    with TemporaryDirectory() as folder:
        out = Path(folder)
        raw = write_raw(out, batch, spec, make_current=False)
        cleaned = write_without(out, batch, dropped, spec, raw)
        held = dict(read_ledger(out, raw).select("key", "shard").rows())
        assert shards_of(raw) - shards_of(cleaned) == {held[key] for key in dropped}
        assert cleaned.parent == raw.digest == read_manifest(out, raw.digest).digest
        assert current_digest(out) == cleaned.digest
        lost = cleaned.split("train").dropped + cleaned.split("test").dropped
        assert (cleaned.rows, lost) == (len(keys) - len(dropped), len(dropped))
        changes = diff(out, raw, cleaned)
        assert changes.rows() == [(key, "dropped") for key in sorted(dropped)]


def shards_of(manifest: Manifest) -> set[str]:
    """Paths of all shards."""
    return {shard.path for split in manifest.splits.values() for shard in split.shards}


def test_a_new_class_rewrites_only_its_shard(tmp_path: Path):
    """A cleaned set with one label more shares all shards but that sample's: none holds classes."""
    batch = image_batch()
    raw = write_raw(tmp_path, batch, IMAGES)
    frame = pl.DataFrame(pl.from_arrow(batch))
    first = frame["key"][0]
    label = pl.when(pl.col("key") == first).then(pl.lit("new")).otherwise("label").alias("label")
    rows = frame.with_columns(label).to_arrow()
    ledger = build_ledger(samples_of(batch))
    batches = rows.to_batches()
    cleaned = write_manifest(tmp_path, batches, ledger, IMAGES, parent=raw.digest)
    assert (raw.classes, cleaned.classes) == (("c0", "c1", "c2"), ("c0", "c1", "c2", "new"))
    assert len(shards_of(raw) - shards_of(cleaned)) == 1


def test_diff_names_every_kind_of_change(tmp_path: Path):
    """A relabelled, a reweighted, a repaired, a dropped and an added sample are told apart."""
    whole = pa.table(table_batch(60))
    frame = pl.DataFrame(pl.from_arrow(whole)).with_columns(weight=pl.lit(1.0, pl.Float32))
    keys = frame["key"].to_list()
    place = pl.col("key")
    changed = frame.with_columns(
        label=pl.when(place == keys[1]).then(pl.lit("c9")).otherwise("label"),
        weight=pl.when(place.is_in(keys[1:3])).then(0.5).otherwise("weight").cast(pl.Float32),
        word=pl.when(place == keys[3]).then(pl.lit("mended")).otherwise("word"),
    )
    manifests = []
    for rows in (frame[:-1], changed[1:]):
        batches = rows.to_arrow().to_batches()
        ledger = build_ledger(samples_of(rows.to_arrow()))
        manifests.append(write_manifest(tmp_path, batches, ledger, TABLE))
    expected = {
        (keys[0], "dropped"),
        (keys[1], "relabelled"),
        (keys[1], "reweighted"),
        (keys[2], "reweighted"),
        (keys[3], "repaired"),
        (keys[-1], "added"),
    }
    assert set(diff(tmp_path, *manifests).rows()) == expected


def test_shards_are_plain_parquet(tmp_path: Path):
    """Image bytes lie uncompressed, plain, without dictionary or statistics; the rest is zstd."""
    manifest = write_raw(tmp_path, image_batch(), IMAGES)
    path = tmp_path / manifest.split("train").shards[0].path
    meta = pq.read_metadata(path)
    group = meta.row_group(0)
    chunks = {meta.schema.column(n).path: group.column(n) for n in range(meta.num_columns)}
    image = chunks.pop("image.bytes")
    assert image.compression == "UNCOMPRESSED"
    assert not image.has_dictionary_page
    assert image.statistics is None
    del chunks["image.path"]
    assert {chunk.compression for chunk in chunks.values()} == {"ZSTD"}
    features = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["weight"] == {"dtype": "float32", "_type": "Value"}


def test_another_reader_gets_every_row(tmp_path: Path):
    """Polars alone, from the files alone, finds each sample once with its bytes and label."""
    batch = image_batch()
    write_raw(tmp_path, batch, IMAGES)
    frame = pl.read_parquet(tmp_path / "data" / "*" / "*.parquet").sort("key")
    given = pl.DataFrame(pl.from_arrow(batch)).sort("key")
    assert frame["key"].equals(given["key"])
    assert frame["label"].equals(given["label"])
    assert frame["image"].struct.field("bytes").equals(given["image"], check_names=False)
    assert frame.select("width", "height", "channels", "format").unique().rows() == [
        (12, 12, 1, "JPEG")
    ]


def test_ledger_says_where_each_sample_lies(tmp_path: Path):
    """The ledger's shard and row lead to the sample's key, and dropped samples have neither."""
    batch = table_batch()
    raw = write_raw(tmp_path, batch, TABLE)
    dropped = {batch.column("key")[4].as_py()}
    cleaned = write_without(tmp_path, batch, dropped, TABLE, raw)
    ledger = read_ledger(tmp_path, cleaned)
    for key, shard, row in ledger.select("key", "shard", "shard_row").rows():
        if key in dropped:
            assert (shard, row) == (None, None)
        else:
            assert pl.read_parquet(tmp_path / shard)["key"][row] == key


def test_archive_layout_packs_images(tmp_path: Path):
    """Layout archive compresses image bytes, has no byte index and says so in the manifest."""
    spec = ShardSpec(name="tiny", kind="image", layout="archive")
    manifest = write_raw(tmp_path, image_batch(), spec)
    shard = manifest.split("train").shards[0]
    chunk = pq.read_metadata(tmp_path / shard.path).row_group(0).column(1)
    assert (chunk.compression, shard.index) == ("ZSTD", None)
    assert manifest.layout["image_compression"] == "zstd"


def _without(name: str) -> Any:
    return image_batch(8).drop_columns([name])


def _with(name: str, values: list[Any]) -> Any:
    batch = table_batch(8)
    return pa.record_batch(
        {**dict(zip(batch.schema.names, batch.columns, strict=True)), name: values}
    )


@pytest.mark.parametrize(
    ("batches", "spec", "told"),
    [
        ([], TABLE, "there are no samples to write"),
        ([_without("image")], IMAGES, r"lacks columns \(got \['image'\]\)"),
        ([_with("nest", [[1]] * 8)], TABLE, "column 'nest' is nested"),
        ([_with("split", ["../up"] * 8)], TABLE, "no name for a split"),
        ([table_batch(8), _with("more", [1] * 8)], TABLE, "differ in their columns"),
        (
            [_with("label", ["x"] * 8)],
            ShardSpec(name="t", kind="table", classes=("y",)),
            "unknown labels",
        ),
        (
            [table_batch(8)],
            ShardSpec(name="t", kind="table", source=({"uri": "/a"},)),
            "absolute path",
        ),
    ],
)
def test_wrong_input_gives_one_sentence(
    tmp_path: Path, batches: list[Any], spec: ShardSpec, told: str
):
    """Each kind of wrong input is refused in one sentence, and nothing becomes current."""
    ledger = build_ledger(samples_of(table_batch(8)))
    with pytest.raises(TrainingError, match=told) as refused:
        write_manifest(tmp_path, batches, ledger, spec, make_current=True)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "CURRENT").exists()


def test_row_without_image_bytes_is_named(tmp_path: Path):
    """An image row with null bytes is refused by its key."""
    batch = image_batch(8)
    images = pa.array([*batch.column("image").to_pylist()[:-1], None], pa.binary())
    broken = batch.set_column(batch.schema.names.index("image"), "image", images)
    with pytest.raises(TrainingError, match=f"no image bytes.*{batch.column('key')[7]}"):
        write_raw(tmp_path, broken, IMAGES)
