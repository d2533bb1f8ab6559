"""Garbage: what no manifest names goes, what one names stays, whatever happened before."""

from __future__ import annotations

import fcntl
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.shards.samples import (
    IMAGES,
    TABLE,
    flip,
    image_batch,
    table_batch,
    write_raw,
    write_without,
)
from training.errors import DamageError, StoreError
from training.shards.damage import verify
from training.shards.garbage import collect
from training.shards.history import list_digests
from training.shards.manifest import Manifest, current_digest, read_manifest, stored_files
from training.shards.store import point_current

ROOT = Path(__file__).resolve().parents[3]
BATCH = table_batch(60)
KEYS = BATCH.column("key").to_pylist()
STEPS = st.lists(st.tuples(st.sampled_from(["write", "forget", "use", "gc"]), st.integers(0, 5)),
                 min_size=1, max_size=12)  # fmt: skip


def files(out: Path) -> set[str]:
    """Every file of a store but its lock."""
    return {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} - {".lock"}


def named(manifests: list[Manifest]) -> set[str]:
    """Every file that belongs to manifests."""
    beside = {f"manifests/{one.digest}.json" for one in manifests}
    return beside | {file.path for one in manifests for file in stored_files(one)}


@settings(max_examples=20)
@given(steps=STEPS)
def test_what_is_left_always_verifies(steps: list[tuple[str, int]]):
    """After any writes, moves, forgets and collections every manifest left has all its files."""
    with TemporaryDirectory() as folder:
        out = Path(folder)
        raw = write_raw(out, BATCH, TABLE)
        for step, number in steps:
            known = list_digests(out)
            chosen = known[number % len(known)]
            if step == "write":
                write_without(out, BATCH, set(KEYS[number : 2 * number]), TABLE, raw)
            elif step == "use":
                point_current(out, chosen)
            elif step == "gc":
                collect(out)
            elif chosen in (current_digest(out), raw.digest) and len(known) > 1:
                with pytest.raises(StoreError, match="stays"):
                    collect(out, forget=[chosen])
            elif len(known) > 1:
                assert collect(out, forget=[chosen]).forgotten == (chosen,)
                assert chosen not in list_digests(out)
            assert verify(out, every=True) == []
        collect(out)
        kept = [read_manifest(out, digest) for digest in list_digests(out)]
        assert files(out) == named(kept) | {"CURRENT"}
        assert verify(out, every=True) == []


def test_orphans_and_half_written_files_go(tmp_path: Path):
    """Files of a dead writer and of no manifest go, told with their bytes; strangers stay."""
    manifest = write_raw(tmp_path, image_batch(60), IMAGES)
    before = files(tmp_path)
    waste = {
        f".tmp-{'a' * 32}": 5,
        f"data/train/.tmp-{'b' * 32}": 7,
        f"data/gone/{'c' * 16}.parquet": 11,
        f"index/{'d' * 16}.npy": 13,
        f"ledger/{'e' * 16}.parquet": 17,
        f"fills/{'f' * 16}.parquet": 19,
    }
    for path, size in waste.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(bytes(size))
    (tmp_path / "data" / "notes.txt").write_text("mine")
    told = collect(tmp_path, dry_run=True)
    assert (set(told.files), told.bytes) == (set(waste), 72)
    assert files(tmp_path) == before | set(waste) | {"data/notes.txt"}
    seen: list[tuple[int, int]] = []
    done = collect(tmp_path, progress=lambda *step: seen.append(step))
    assert done == told
    assert seen[-1] == (6, 6)
    assert files(tmp_path) == before | {"data/notes.txt"}
    assert not (tmp_path / "data" / "gone").exists()
    assert verify(tmp_path) == []
    assert collect(tmp_path).files == ()
    assert manifest.digest == current_digest(tmp_path)


def test_forgotten_manifest_takes_its_own_files(tmp_path: Path):
    """Only files that no other manifest names go with a manifest."""
    raw = write_raw(tmp_path, BATCH, TABLE)
    cleaned = write_without(tmp_path, BATCH, set(KEYS[:1]), TABLE, raw)
    point_current(tmp_path, raw.digest)
    told = collect(tmp_path, forget=[cleaned.digest])
    assert set(told.files) == named([cleaned]) - named([raw])
    assert files(tmp_path) == named([raw]) | {"CURRENT"}


def test_what_cannot_be_forgotten_is_told(tmp_path: Path):
    """The current manifest, a parent and a stranger stay, each with its sentence."""
    raw = write_raw(tmp_path, BATCH, TABLE)
    cleaned = write_without(tmp_path, BATCH, set(KEYS[:1]), TABLE, raw)
    before = files(tmp_path)
    with pytest.raises(StoreError, match=r"the current manifest stays .*shards use"):
        collect(tmp_path, forget=[cleaned.digest])
    with pytest.raises(StoreError, match=f"It is the parent of {cleaned.digest[:12]}"):
        collect(tmp_path, forget=[raw.digest])
    with pytest.raises(StoreError, match="holds no such manifest"):
        collect(tmp_path, forget=["0" * 64])
    assert files(tmp_path) == before


def test_damaged_manifest_stops_everything(tmp_path: Path):
    """Nothing is deleted while a manifest cannot be read; it can be given up by name."""
    raw = write_raw(tmp_path, BATCH, TABLE)
    cleaned = write_without(tmp_path, BATCH, set(KEYS[:1]), TABLE, raw)
    point_current(tmp_path, raw.digest)
    flip(tmp_path / "manifests" / f"{cleaned.digest}.json", 800)
    before = files(tmp_path)
    with pytest.raises(DamageError, match=r"nobody knows which files it names.*--forget"):
        collect(tmp_path)
    assert files(tmp_path) == before
    collect(tmp_path, forget=[cleaned.digest])
    assert files(tmp_path) == named([raw]) | {"CURRENT"}


def test_hostile_manifest_cannot_reach_outside(tmp_path: Path):
    """A CURRENT that names nothing stops it, and a linked folder's files are not followed."""
    write_raw(tmp_path / "store", BATCH, TABLE)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{'a' * 16}.parquet").write_text("precious")
    (tmp_path / "store" / "data" / "linked").symlink_to(outside)
    assert collect(tmp_path / "store").files == ()
    assert (outside / f"{'a' * 16}.parquet").exists()
    (tmp_path / "store" / "CURRENT").write_text("0" * 64)
    with pytest.raises(StoreError, match="names no manifest of this store"):
        collect(tmp_path / "store")


def test_a_live_writer_is_left_alone(tmp_path: Path):
    """While another process writes nothing is collected, its temporary files least of all."""
    write_raw(tmp_path, BATCH, TABLE)
    (tmp_path / f".tmp-{'a' * 32}").write_text("half")
    with (tmp_path / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another run is writing here"):
            collect(tmp_path)
    assert (tmp_path / f".tmp-{'a' * 32}").exists()


def test_a_manifest_that_names_other_peoples_files_stops_it(tmp_path: Path):
    """A manifest of the right digest whose paths lead outside is damage, for gc and verify."""
    raw = write_raw(tmp_path, BATCH, TABLE)
    document = json.loads((tmp_path / "manifests" / f"{raw.digest}.json").read_bytes())
    document["splits"]["train"]["shards"][0]["path"] = "../../etc/passwd"
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "manifests" / f"{digest}.json").write_bytes(data)
    with pytest.raises(DamageError, match="names a path outside the store"):
        collect(tmp_path)
    assert [one.path for one in verify(tmp_path, every=True)] == [f"manifests/{digest}.json"]
    collect(tmp_path, forget=[digest])
    assert verify(tmp_path, every=True) == []


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_killed_collection_harms_nothing(tmp_path: Path, after: int):
    """After kill -9 between deletions every manifest left verifies, and the next gc ends it."""
    raw = write_raw(tmp_path, BATCH, TABLE)
    cleaned = write_without(tmp_path, BATCH, set(KEYS[:2]), TABLE, raw)
    point_current(tmp_path, raw.digest)
    code = (
        "import os, pathlib, sys; from training.shards.garbage import collect\n"
        "def die(done, _): done == int(sys.argv[3]) and os.kill(os.getpid(), 9)\n"
        "collect(pathlib.Path(sys.argv[1]), forget=[sys.argv[2]], progress=die)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), cleaned.digest, str(after)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert list_digests(tmp_path) == [raw.digest]
    assert verify(tmp_path, every=True) == []
    collect(tmp_path)
    assert files(tmp_path) == named([raw]) | {"CURRENT"}
