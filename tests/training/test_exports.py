"""Exports: the same rows in other forms, the same bytes every time, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.training.exported import (
    HARD_KEYS,
    read_mds,
    read_tar,
    store,
    store_images,
    store_table,
    stored_rows,
)
from tests.training.shards.samples import IMAGES, decisions_of, flip, image_batch, samples_of
from training.errors import DamageError, StoreError, TrainingError
from training.export.formats import FORMS, export
from training.export.webdataset import member_name
from training.shards import format as shard_format
from training.shards.index import read_index
from training.shards.ledger import build_ledger
from training.shards.writer import ShardSpec, write_manifest

ROOT = Path(__file__).resolve().parents[2]


def tree(folder: Path) -> dict[str, str]:
    """Every file of a folder with its digest."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def same(left: object, right: object) -> bool:
    """Equal, and a NaN is a NaN."""
    both_nan = isinstance(left, float) and isinstance(right, float) and math.isnan(left)
    return math.isnan(right) if both_nan else left == right  # type: ignore[arg-type]


def test_tars_hold_every_image(tmp_path: Path):
    """Each sample has its image's bytes, its class number and the rest as JSON, in few tars."""
    manifest = store_images(tmp_path / "store")
    told = export(tmp_path / "store", manifest, tmp_path / "out", "webdataset", shard_bytes=30_000)
    for split in ("test", "train"):
        tars = sorted((tmp_path / "out").glob(f"{split}-*.tar"))
        assert [tar.name for tar in tars] == [f"{split}-{n:06d}.tar" for n in range(len(tars))]
        assert all(tar.stat().st_size <= 30_000 + 10_240 for tar in tars)
        samples = [sample for tar in tars for sample in read_tar(tar)]
        rows = stored_rows(tmp_path / "store", manifest, split).to_dicts()
        assert len(samples) == len(rows)
        for sample, row in zip(samples, rows, strict=True):
            assert sample["__key__"].decode() == member_name(row["key"])
            assert sample["png" if row["format"] == "PNG" else "jpg"] == row["image"]["bytes"]
            code = sample.get("cls")
            assert (None if code is None else manifest.classes[int(code)]) == row["label"]
            image = row.pop("image")
            assert json.loads(sample["json"]) == {**row, "path": image["path"]}
    assert len(list((tmp_path / "out").glob("train-*.tar"))) > 1
    assert told.empty == ()


def test_names_of_members_are_safe():
    """Names of any keys are different, have no dot and no slash, and fit the plainest header."""
    names = [member_name(key) for key in (*HARD_KEYS, "%", "k" * 301, "x", "__meta__")]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_%+-]{1,80}", name) for name in names)


@given(st.lists(st.text(max_size=120), unique=True, max_size=20))
def test_any_keys_have_safe_and_different_names(keys: list[str]):
    """Whatever text keys are, no two share a name and each is one that WebDataset splits once."""
    names = [member_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9_%+-]{1,80}", name) for name in names)


def test_mds_holds_every_image(tmp_path: Path):
    """Each sample has the image's bytes and all columns; shards keep to their size and digest."""
    manifest = store_images(tmp_path / "store")
    export(tmp_path / "store", manifest, tmp_path / "out", "mds", shard_bytes=9_000)
    for split in ("test", "train"):
        folder = tmp_path / "out" / split
        rows = stored_rows(tmp_path / "store", manifest, split).to_dicts()
        for sample, row in zip(read_mds(folder), rows, strict=True):
            number = sample.pop("label_number")
            assert (None if number < 0 else manifest.classes[number]) == row["label"]
            image = row.pop("image")
            assert sample == {**row, "image": image["bytes"], "path": image["path"]}
        for entry in json.loads((folder / "index.json").read_text())["shards"]:
            data = (folder / entry["raw_data"]["basename"]).read_bytes()
            assert len(data) <= entry["size_limit"] == 9_000
            assert hashlib.sha1(data).hexdigest() == entry["raw_data"]["hashes"]["sha1"]  # noqa: S324
    assert (tmp_path / "out" / "train" / "shard.00001.mds").exists()


@pytest.mark.parametrize("to", ["webdataset", "mds"])
def test_every_type_of_a_table_survives(tmp_path: Path, to: str):
    """Numbers, text, gaps, NaN and infinity come back as they were; dates and money as text."""
    manifest = store_table(tmp_path / "store")
    export(tmp_path / "store", manifest, tmp_path / "out", to)
    rows = stored_rows(tmp_path / "store", manifest, "train").to_dicts()
    if to == "mds":
        found = read_mds(tmp_path / "out" / "train")
    else:
        found = [json.loads(s["json"]) for s in read_tar(tmp_path / "out" / "train-000000.tar")]
    for sample, row in zip(found, rows, strict=True):
        for name in ("i8", "u64", "f32", "f64", "flag", "maybe", "text", "nothing", "label_number"):
            assert same(sample[name], row[name]), (name, sample[name], row[name])
        assert sample["day"] == row["day"].isoformat()
        assert sample["stamp"] == str(row["stamp"])
        assert sample["clock"] == row["clock"].isoformat()
        assert sample["price"] == str(row["price"])
        assert sample["wait"].startswith("PT")
    if to == "mds":
        assert found[0]["raw"] == rows[0]["raw"]
        assert manifest.classes[found[0]["label_number_"]] == rows[0]["label"]


def test_hub_folder_holds_the_shards(tmp_path: Path):
    """The files are the store's own under the Hub's names, and the card names splits and types."""
    manifest = store_images(tmp_path / "store")
    export(tmp_path / "store", manifest, tmp_path / "out", "hf")
    shards = manifest.split("train").shards
    for number, shard in enumerate(shards):
        name = f"train-{number:05d}-of-{len(shards):05d}.parquet"
        copy = tmp_path / "out" / "data" / name
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == shard.sha256
        assert not copy.samefile(tmp_path / "store" / shard.path)
    _, front, body = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    features = {one["name"]: one["dtype"] for one in card["dataset_info"]["features"]}
    assert (features["image"], features["weight"]) == ("image", "float32")
    assert card["configs"][0]["data_files"][1] == {"split": "train", "path": "data/train-*.parquet"}
    assert card["dataset_info"]["splits"][1]["num_examples"] == manifest.split("train").rows
    assert manifest.digest in body
    assert "[" not in body.splitlines()[1]


def test_hub_folder_can_be_linked(tmp_path: Path):
    """With link the files are those of the store, and a damaged one is still refused."""
    manifest = store_images(tmp_path / "store")
    export(tmp_path / "store", manifest, tmp_path / "out", "hf", link=True)
    shard = manifest.split("test").shards[0]
    one = min((tmp_path / "out" / "data").glob("test-*"))
    assert one.samefile(tmp_path / "store" / shard.path)
    flip(tmp_path / "store" / shard.path, 800)
    with pytest.raises(DamageError, match=shard.path):
        export(tmp_path / "store", manifest, tmp_path / "again", "hf", link=True)


@pytest.mark.parametrize("to", FORMS)
def test_same_manifest_same_bytes(tmp_path: Path, to: Any):
    """Two exports, one of another process and umask, are equal byte for byte; progress ends."""
    manifest = store_images(tmp_path / "store")
    seen: list[tuple[int, int]] = []
    export(tmp_path / "store", manifest, tmp_path / "a", to, progress=lambda *n: seen.append(n))
    assert seen[-1] == (manifest.rows, manifest.rows)
    code = (
        "import os, sys, pathlib; os.umask(0o077)\n"
        "from training.export.formats import export\n"
        "from training.shards.manifest import read_manifest\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "export(out, read_manifest(out), pathlib.Path(sys.argv[2]), sys.argv[3])"
    )
    there = [str(tmp_path / "store"), str(tmp_path / "b"), to]
    env = {**os.environ, "PYTHONHASHSEED": "7", "POLARS_MAX_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, *there], cwd=ROOT, env=env, check=True)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    about = json.loads((tmp_path / "a" / "gristmill.json").read_text())
    assert (about["manifest"], about["to"]) == (manifest.digest, to)
    for split in about["splits"].values():
        for file in split["files"]:
            assert tree(tmp_path / "a")[file["path"]] == file["sha256"]


@pytest.mark.parametrize("to", FORMS)
def test_damage_stops_an_export(tmp_path: Path, to: Any):
    """A flipped bit in an image is named by shard and nothing is written, a good export stays."""
    manifest = store_images(tmp_path / "store")
    export(tmp_path / "store", manifest, tmp_path / "out", to)
    before = tree(tmp_path / "out")
    shard = manifest.split("train").shards[-1]
    entries = read_index(tmp_path / "store", shard)
    assert entries is not None
    flip(tmp_path / "store" / shard.path, int(entries["offset"][1]) * 8 + 90)
    row = "" if to == "hf" else ", row 1"
    for target, force in ((tmp_path / "other", False), (tmp_path / "out", True)):
        with pytest.raises(DamageError, match=f"{shard.path}{row}: "):
            export(tmp_path / "store", manifest, target, to, force=force)
    assert tree(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]


def test_targets_in_the_way_are_refused(tmp_path: Path):
    """An export is replaced if asked to; other people's files, links and the store never are."""
    manifest = store_images(tmp_path / "store")
    out = tmp_path / "store"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    for target, told in (
        ("mine", "is not empty, and holds no export"),
        ("file", "is no folder"),
        ("link", "is no folder"),
        ("store/deep", "lies in the store itself"),
        ("store", "lies in the store itself"),
    ):
        with pytest.raises(StoreError, match=told):
            export(out, manifest, tmp_path / target, "hf", force=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    export(out, manifest, tmp_path / "empty", "hf")
    with pytest.raises(StoreError, match=r"holds an export already.*--force"):
        export(out, manifest, tmp_path / "empty", "mds")
    export(out, manifest, tmp_path / "empty", "mds", force=True)
    assert not (tmp_path / "empty" / "data").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_killed_export_is_swept_by_the_next(tmp_path: Path):
    """What a killed export left beside its target is gone after the next, which is whole."""
    manifest = store_images(tmp_path / "store")
    code = (
        "import os, sys, pathlib\n"
        "from training.export.formats import export\n"
        "from training.shards.manifest import read_manifest\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "def die(done, rows): os.kill(os.getpid(), 9)\n"
        "export(out, read_manifest(out), out.parent / 'out', 'webdataset', progress=die)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "store")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".tmp-*"))
    export(tmp_path / "store", manifest, tmp_path / "out", "webdataset")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"to": "csv"}, "no such form .*Forms: webdataset, mds, hf"),
        ({"to": "mds", "link": True}, "only hf can be linked"),
        ({"to": "hf", "shard_bytes": 5}, "shard bytes do not fit"),
        ({"to": "mds", "shard_bytes": 0}, "shard bytes do not fit"),
        ({"to": "mds", "shard_bytes": 2**32}, "shards are too large"),
    ],
)
def test_arguments_that_do_not_fit_are_told(tmp_path: Path, arguments: Any, told: str):
    """Each wrong argument is one sentence and writes nothing."""
    manifest = store_table(tmp_path / "store")
    with pytest.raises(TrainingError, match=told):
        export(tmp_path / "store", manifest, tmp_path / "out", **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_samples_larger_than_a_file_are_whole(tmp_path: Path):
    """A sample larger than the limit has a file of its own, and none is split or lost."""
    manifest = store_images(tmp_path / "store")
    for to in ("webdataset", "mds"):
        export(tmp_path / "store", manifest, tmp_path / to, to, shard_bytes=1)  # type: ignore[arg-type]
    assert len(list((tmp_path / "webdataset").glob("*.tar"))) == manifest.rows
    assert len(list((tmp_path / "mds").glob("*/*.mds"))) == manifest.rows
    frame = pl.read_json(tmp_path / "mds" / "gristmill.json")
    assert frame["name"].item() == "[hard]"


@pytest.mark.parametrize("to", FORMS)
def test_sets_without_labels_or_test_rows_go_out(tmp_path: Path, to: Any):
    """No label anywhere, odd names of splits and a split that lost all rows are no obstacle."""
    frame = pl.DataFrame(pl.from_arrow(image_batch(20))).with_columns(
        pl.lit(None, pl.String).alias("label"), pl.col("split").replace("train", "fold-1.a")
    )
    batch = frame.to_arrow()
    gone = set(frame.filter(split="test")["key"])
    ledger = build_ledger(samples_of(batch), decisions_of(batch, gone))
    kept = frame.filter(split="fold-1.a").to_arrow().to_batches()
    manifest = write_manifest(tmp_path / "store", kept, ledger, IMAGES)
    told = export(tmp_path / "store", manifest, tmp_path / "out", to)
    assert (list(told.splits), told.empty) == (["fold-1.a"], ("test",))
    if to == "webdataset":
        samples = [s for tar in sorted(told.target.glob("*.tar")) for s in read_tar(tar)]
        assert {tuple(sorted(sample)) for sample in samples} == {("__key__", "jpg", "json")}
        assert len(samples) == 16
    elif to == "mds":
        samples = read_mds(told.target / "fold-1.a")
        assert {(sample["label"], sample["label_number"]) for sample in samples} == {(None, -1)}
    else:
        assert len(list((told.target / "data").glob("fold_1_a-*.parquet"))) == len(manifest.shards)


def test_splits_of_one_name_on_the_hub_are_refused(tmp_path: Path):
    """Two splits that the Hub would call alike are one sentence, and nothing is written."""
    frame = pl.DataFrame(pl.from_arrow(image_batch(20))).with_columns(
        pl.col("split").replace({"train": "a-b", "test": "a.b"})
    )
    manifest = store(tmp_path / "store", frame, IMAGES)
    with pytest.raises(TrainingError, match="two splits would have one name"):
        export(tmp_path / "store", manifest, tmp_path / "out", "hf")
    assert not (tmp_path / "out").exists()


def own_bytes() -> int:
    """Memory of this process that is no mapped file."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("to", ["webdataset", "mds"])
def test_memory_does_not_grow_with_the_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: Any
):
    """48 MB of images in one shard go through in less than a third of that."""
    monkeypatch.setattr(shard_format, "ROW_GROUP_BYTES", 1_000_000)
    draw, rows = np.random.default_rng(1), 480
    frame = pl.DataFrame(
        {
            "key": [f"{n:04d}" for n in range(rows)],
            "label": "a",
            "split": "train",
            "image": [draw.bytes(100_000) for _ in range(rows)],
            "format": "JPEG",
        }
    ).with_columns(pl.lit(8, pl.Int32).alias(name) for name in ("width", "height", "channels"))
    manifest = store(tmp_path / "store", frame, ShardSpec(name="big", kind="image"))
    size = sum(shard.bytes for shard in manifest.shards)
    seen = [own_bytes()]
    export(tmp_path / "store", manifest, tmp_path / "out", to, shard_bytes=2_000_000,
           progress=lambda *_: seen.append(own_bytes()))  # fmt: skip
    assert len(seen) > 40
    assert max(seen) - seen[0] < size / 3
