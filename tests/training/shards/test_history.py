"""Manifests by name, their history, and going back to one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.training.shards.samples import IMAGES, flip, image_batch, write_raw, write_without
from training.errors import DamageError, StoreError
from training.shards.history import find_digest, find_store, list_manifests, use
from training.shards.manifest import Manifest, current_digest
from training.shards.writer import ShardSpec

BATCH = image_batch(60)
KEYS = BATCH.column("key").to_pylist()


@pytest.fixture
def store(tmp_path: Path) -> tuple[Path, Manifest, Manifest]:
    """A store, its raw manifest and the cleaned one, which is current."""
    raw = write_raw(tmp_path / "shards", BATCH, IMAGES, make_current=False)
    cleaned = write_without(tmp_path / "shards", BATCH, set(KEYS[:2]), IMAGES, raw)
    return tmp_path / "shards", raw, cleaned


def test_store_is_found_in_its_run(store: tuple[Path, Manifest, Manifest], tmp_path: Path):
    """A store and the run folder around it mean the same store; any other folder is refused."""
    assert find_store(store[0]) == find_store(tmp_path) == store[0]
    with pytest.raises(StoreError, match="there is no store of shards here"):
        find_store(store[0] / "data")


def test_manifests_have_names(store: tuple[Path, Manifest, Manifest]):
    """Six digits of a digest, raw, current, and nothing at all each mean one manifest."""
    out, raw, cleaned = store
    assert find_digest(out) == find_digest(out, "current") == cleaned.digest
    assert find_digest(out, "raw") == raw.digest
    assert find_digest(out, cleaned.digest[:6].upper()) == cleaned.digest
    assert find_digest(out, raw.digest) == raw.digest


def test_a_name_of_the_log_means_the_newest(store: tuple[Path, Manifest, Manifest]):
    """What the log calls a manifest finds it, of several the one written last; others are told."""
    out, raw, cleaned = store
    assert find_digest(out, cleaned.name) == cleaned.digest
    again = write_without(out, BATCH, set(KEYS[:4]), IMAGES, raw)
    for age, manifest in enumerate((again, cleaned)):
        os.utime(out / "manifests" / f"{manifest.digest}.json", (2e9 - age, 2e9 - age))
    assert find_digest(out, cleaned.name) == again.digest
    with pytest.raises(StoreError, match=f"or raw, .*{cleaned.name}.*current"):
        find_digest(out, "claened")


def test_raw_needs_no_current(tmp_path: Path):
    """Where nothing is current yet, raw is the one manifest without a parent, if there is one."""
    raw = write_raw(tmp_path, BATCH, IMAGES, make_current=False)
    assert find_digest(tmp_path, "raw") == raw.digest
    write_raw(tmp_path, BATCH, ShardSpec(name="other", kind="image"), make_current=False)
    with pytest.raises(StoreError, match=r"which manifest is raw is open.*Nearest: "):
        find_digest(tmp_path, "raw")


def test_unknown_and_ambiguous_names_tell_the_nearest(store: tuple[Path, Manifest, Manifest]):
    """A wrong, a short and an ambiguous prefix are refused in one sentence with the nearest."""
    out, raw, cleaned = store
    typo = f"{cleaned.digest[:5]}{'0' if cleaned.digest[5] != '0' else '1'}{cleaned.digest[6:9]}"
    with pytest.raises(StoreError, match=f"no manifest begins so .*Nearest: {cleaned.digest[:12]}"):
        find_digest(out, typo)
    with pytest.raises(StoreError, match="needs its first 6 digits or more"):
        find_digest(out, raw.digest[:5])
    twin = out / "manifests" / f"{raw.digest[:8]}{'0' * 56}.json"
    twin.write_text("{}")
    with pytest.raises(StoreError, match=f"several manifests begin so .*{raw.digest[:14]}"):
        find_digest(out, raw.digest[:8])


def test_history_tells_every_manifest(store: tuple[Path, Manifest, Manifest]):
    """The list has each manifest, newest file first, its parent's shards and a damaged one too."""
    out, raw, cleaned = store
    for age, manifest in enumerate((cleaned, raw)):
        os.utime(out / "manifests" / f"{manifest.digest}.json", (2e9 - age, 2e9 - age))
    first, second = list_manifests(out)
    assert (first.digest, first.current, first.manifest) == (cleaned.digest, True, cleaned)
    assert (second.digest, second.current, second.shared) == (raw.digest, False, None)
    assert first.written - second.written == 1
    raw_paths = {shard.path for shard in raw.shards}
    assert first.shared == sum(shard.path in raw_paths for shard in cleaned.shards) > 0
    flip(out / "manifests" / f"{raw.digest}.json", 80)
    first, second = list_manifests(out)
    assert (first.shared, second.manifest) == (None, None)
    assert second.problem == "the manifest is not what was written"


def test_going_back_is_one_step(store: tuple[Path, Manifest, Manifest]):
    """Use moves CURRENT to an earlier manifest and back again."""
    out, raw, cleaned = store
    assert use(out, raw.digest) == raw
    assert current_digest(out) == raw.digest
    use(out, cleaned.digest, prove=True)
    assert current_digest(out) == cleaned.digest


def test_going_back_to_damage_is_refused(store: tuple[Path, Manifest, Manifest]):
    """A file that is gone or short stops it, a flipped bit if bytes are proven; CURRENT stays."""
    out, raw, cleaned = store
    shard = next(s for s in raw.shards if s not in cleaned.shards)
    path = out / shard.path
    flip(path, path.stat().st_size * 4)
    with pytest.raises(DamageError, match=shard.path):
        use(out, raw.digest, prove=True)
    assert current_digest(out) == cleaned.digest
    use(out, raw.digest)
    use(out, cleaned.digest)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamageError, match="does not have the size"):
        use(out, raw.digest)
    path.unlink()
    with pytest.raises(DamageError, match=r"is missing.*verify tells"):
        use(out, raw.digest)
    assert current_digest(out) == cleaned.digest
