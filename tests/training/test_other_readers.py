"""Other readers: they open our shards unchanged and our exports, and find the same rows.

Each skips where its package is absent; none of them is a dependency.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.training.exported import store_images, store_table, stored_rows
from training.export.formats import export
from training.export.webdataset import member_name
from training.shards.manifest import Manifest

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("test", "train")
pytestmark = pytest.mark.filterwarnings("default")  # what other packages warn of is theirs


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Manifest]:
    """A store of images with hard keys and labels, and its manifest."""
    return tmp_path / "store", store_images(tmp_path / "store")


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, Manifest]:
    """A store of a table with every plain type, and its manifest."""
    return tmp_path / "store", store_table(tmp_path / "store")


def shard_paths(store: tuple[Path, Manifest], split: str) -> list[str]:
    """The Parquet files of a split."""
    return [str(store[0] / shard.path) for shard in store[1].split(split).shards]


def ask(code: str, *arguments: str) -> Any:
    """Run code in a process of its own, since these loaders leave threads and state behind."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": arguments[-1], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["images", "table"])
def test_polars_and_duckdb_open_shards(kind: str, request: pytest.FixtureRequest):
    """DuckDB finds the rows, bytes and labels that polars finds, in files as they are."""
    duckdb = pytest.importorskip("duckdb")
    store = request.getfixturevalue(kind)
    for split in SPLITS:
        rows = stored_rows(*store, split)
        found = duckdb.sql(f"from read_parquet({shard_paths(store, split)!r})").pl()
        names = ["key", "label", "weight", "xxh3_128"]
        assert found.select(names).equals(rows.select(names))
        assert found.columns == rows.columns
        if kind == "images":
            assert found["image"].to_list() == rows["image"].to_list()


def test_datasets_opens_shards(images: tuple[Path, Manifest], tmp_path: Path):
    """Hugging Face datasets decodes the images of the shards as they are."""
    pytest.importorskip("datasets")
    code = (
        "import json, sys, datasets\n"
        "found = datasets.load_dataset('parquet', data_files=json.loads(sys.argv[1]))['train']\n"
        "sizes = [image.size for image in found['image']]\n"
        "print(json.dumps([list(found['key']), list(found['label']), sizes]))"
    )
    rows = stored_rows(*images, "train")
    keys, labels, sizes = ask(code, json.dumps(shard_paths(images, "train")), str(tmp_path / "hf"))
    assert (keys, labels) == (rows["key"].to_list(), rows["label"].to_list())
    assert sizes == [list(size) for size in rows.select("width", "height").rows()]


@pytest.mark.parametrize("kind", ["images", "table"])
def test_datasets_opens_the_hub_folder(kind: str, request: pytest.FixtureRequest, tmp_path: Path):
    """`load_dataset(folder)` finds every split, row and type, and its own checks pass."""
    pytest.importorskip("datasets")
    out, manifest = request.getfixturevalue(kind)
    export(out, manifest, tmp_path / "hub", "hf")
    code = (
        "import hashlib, json, sys, datasets\n"
        "found = datasets.load_dataset(sys.argv[1], verification_mode='all_checks')\n"
        "plain = {name: part.cast_column('image', datasets.Image(decode=False)) if 'image' in\n"
        "         part.column_names else part for name, part in found.items()}\n"
        "sums = {name: [hashlib.sha256(i['bytes']).hexdigest() for i in part['image']] if 'image'\n"
        "        in part.column_names else None for name, part in plain.items()}\n"
        "print(json.dumps({name: [list(part['key']), list(part['label']), part.column_names,\n"
        "    sums[name]] for name, part in plain.items()}))"
    )
    found = ask(code, str(tmp_path / "hub"), str(tmp_path / "hf"))
    assert sorted(found) == list(SPLITS)
    for split in SPLITS:
        rows = stored_rows(out, manifest, split)
        sums = rows["sha256"].to_list() if kind == "images" else None
        expected = [rows["key"].to_list(), rows["label"].to_list(), rows.columns, sums]
        assert found[split] == expected


def test_litdata_opens_shards(images: tuple[Path, Manifest], tmp_path: Path):
    """LitData's Parquet mode streams every row of the shards as they are."""
    pytest.importorskip("litdata")
    code = (
        "import hashlib, json, sys, litdata\n"
        "from litdata.streaming.item_loader import ParquetLoader\n"
        "folder = sys.argv[1]\n"
        "litdata.index_parquet_dataset(folder)\n"
        "found = litdata.StreamingDataset(folder, item_loader=ParquetLoader(), shuffle=False)\n"
        "rows = [found[n] for n in range(len(found))]\n"
        "digest = lambda row: hashlib.sha256(row['image']['bytes']).hexdigest()\n"
        "print(json.dumps([[row['key'], row['label'], digest(row)] for row in rows]))"
    )
    folder = tmp_path / "lit"
    folder.mkdir()
    for path in shard_paths(images, "train"):
        (folder / Path(path).name).hardlink_to(path)
    found = ask(code, str(folder), str(tmp_path / "cache"))
    rows = stored_rows(*images, "train").select("key", "label", "sha256").rows()
    assert sorted(map(tuple, found)) == sorted(rows)


@pytest.mark.parametrize("kind", ["images", "table"])
def test_webdataset_opens_its_export(kind: str, request: pytest.FixtureRequest, tmp_path: Path):
    """WebDataset's own reader finds each sample with its members, in order."""
    pytest.importorskip("webdataset")
    out, manifest = request.getfixturevalue(kind)
    export(out, manifest, tmp_path / "wds", "webdataset", shard_bytes=30_000)
    code = (
        "import hashlib, json, sys, webdataset\n"
        "urls = json.loads(sys.argv[1])\n"
        "told = []\n"
        "for sample in webdataset.WebDataset(urls, shardshuffle=False):\n"
        "    image = sample.get('jpg', sample.get('png', b''))\n"
        "    told.append([sample['__key__'], json.loads(sample['json']).get('label'),\n"
        "        int(sample['cls']) if 'cls' in sample else None,\n"
        "        hashlib.sha256(image).hexdigest()])\n"
        "print(json.dumps(told))"
    )
    for split in SPLITS:
        urls = sorted(str(path) for path in (tmp_path / "wds").glob(f"{split}-*.tar"))
        found = ask(code, json.dumps(urls), str(tmp_path / "cache"))
        rows = stored_rows(out, manifest, split)
        assert [one[:2] for one in found] == [
            [member_name(key), label] for key, label in rows.select("key", "label").rows()
        ]
        numbers = [None if one[2] is None else manifest.classes[one[2]] for one in found]
        assert numbers == rows["label"].to_list()
        if kind == "images":
            assert [one[3] for one in found] == rows["sha256"].to_list()


@pytest.mark.parametrize("kind", ["images", "table"])
def test_streaming_opens_the_mds_export(kind: str, request: pytest.FixtureRequest, tmp_path: Path):
    """MosaicML Streaming finds each sample and column, and its hashes agree, also when fetched."""
    pytest.importorskip("streaming", exc_type=(ImportError, RuntimeError))
    out, manifest = request.getfixturevalue(kind)
    export(out, manifest, tmp_path / "mds", "mds", shard_bytes=12_000)
    code = (
        "import json, sys, streaming\n"
        "streaming.base.util.clean_stale_shared_memory()\n"
        "found = streaming.StreamingDataset(remote=sys.argv[1], local=sys.argv[3],\n"
        "    split=sys.argv[2], validate_hash='sha1', shuffle=False, batch_size=1)\n"
        "plain = lambda v: v.hex() if isinstance(v, bytes) else v.item() if hasattr(v, 'item')\\\n"
        "    else v\n"
        "print(json.dumps([{k: plain(v) for k, v in found[n].items()}\n"
        "                  for n in range(len(found))]))"
    )
    for split in SPLITS:
        found = ask(code, str(tmp_path / "mds"), split, str(tmp_path / f"local-{split}"))
        rows = stored_rows(out, manifest, split)
        number = "label_number" if kind == "images" else "label_number_"
        for name in ("key", "label", "weight"):
            assert [one[name] for one in found] == rows[name].to_list()
        numbers = [None if one[number] < 0 else manifest.classes[one[number]] for one in found]
        assert numbers == rows["label"].to_list()
        if kind == "images":
            images = [row["bytes"].hex() for row in rows["image"]]
            assert [one["image"] for one in found] == images
        else:
            assert [one["u64"] for one in found] == rows["u64"].to_list()
            assert [one["maybe"] for one in found] == rows["maybe"].to_list()
            assert [one["day"] for one in found] == rows["day"].cast(pl.String).to_list()
