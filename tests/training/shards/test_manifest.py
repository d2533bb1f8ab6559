"""The manifest: proven by its name, and unable to point outside the store."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.shards.samples import TABLE, table_batch, write_raw
from training.errors import DamageError, StoreError
from training.shards.manifest import read_manifest


def _store(out: Path, document: dict[str, Any]) -> str:
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (out / "manifests" / f"{digest}.json").write_bytes(data)
    return digest


def test_manifest_survives_its_file(tmp_path: Path):
    """What is read back equals what was written, and its name is the digest of its bytes."""
    written = write_raw(tmp_path, table_batch(), TABLE)
    assert read_manifest(tmp_path) == written
    data = (tmp_path / "manifests" / f"{written.digest}.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == written.digest
    assert str(tmp_path) not in data.decode()


def test_missing_manifests_are_told(tmp_path: Path):
    """No CURRENT, a digest that is none, one that is not there and an unknown split are told."""
    with pytest.raises(StoreError, match="has no current manifest"):
        read_manifest(tmp_path)
    manifest = write_raw(tmp_path, table_batch(), TABLE)
    with pytest.raises(StoreError, match="no manifest digest"):
        read_manifest(tmp_path, "../../etc/passwd")
    with pytest.raises(StoreError, match="holds no such manifest"):
        read_manifest(tmp_path, "0" * 64)
    with pytest.raises(StoreError, match=r"no such split \(got 'dev'\). Splits: test, train"):
        manifest.split("dev")


def test_changed_manifest_is_refused(tmp_path: Path):
    """A manifest whose bytes changed is damage."""
    manifest = write_raw(tmp_path, table_batch(), TABLE)
    path = tmp_path / "manifests" / f"{manifest.digest}.json"
    path.write_bytes(path.read_bytes().replace(b'"rows_in": ', b'"rows_in": 1'))
    with pytest.raises(DamageError, match="the manifest is not what was written"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "path", ["../../secret.parquet", "/etc/passwd", "data/../0123456789abcdef.parquet"]
)
def test_manifest_cannot_leave_the_store(tmp_path: Path, path: str):
    """A hostile manifest with a matching digest cannot name a file outside the store."""
    manifest = write_raw(tmp_path, table_batch(), TABLE)
    document = json.loads((tmp_path / "manifests" / f"{manifest.digest}.json").read_bytes())
    document["splits"]["train"]["shards"][0]["path"] = path
    with pytest.raises(DamageError, match="outside the store"):
        read_manifest(tmp_path, _store(tmp_path, document))


@pytest.mark.parametrize(
    "change", [{"format": "gristmill.manifest/2"}, {"kind": "sound"}, {"x": 1}]
)
def test_unknown_form_is_refused(tmp_path: Path, change: dict[str, object]):
    """Another format version, kind or field is refused by name, not half-read."""
    manifest = write_raw(tmp_path, table_batch(), TABLE)
    document = json.loads((tmp_path / "manifests" / f"{manifest.digest}.json").read_bytes())
    with pytest.raises(DamageError, match=f"cannot be read as .* \\({next(iter(change))}: "):
        read_manifest(tmp_path, _store(tmp_path, document | change))
