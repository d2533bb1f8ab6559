"""Data behind URLs: copied once, again where it changed, never out of its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

from checks.core.errors import SourceError
from checks.sources.remote import fetch
from checks.sources.source import open_source


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bucket() -> Iterator[Any]:
    """An in-memory object store with two Parquet files below bucket/rows."""
    store = fsspec.filesystem("memory")
    for name, rows in (("a.parquet", [1, 2]), ("deep/b.parquet", [3])):
        with store.open(f"/bucket/rows/{name}", "wb") as file:
            pl.DataFrame({"x": rows}).write_parquet(file)
    yield store
    store.rm("/bucket", recursive=True)


def _rows(url: str) -> list[int]:
    return open_source(url, kind="table").scan().collect()["x"].to_list()


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("url", "rows"),
    [
        ("memory://bucket/rows", [1, 2, 3]),
        ("memory://bucket/rows/a.parquet", [1, 2]),
        ("memory://bucket/rows/deep/*.parquet", [3]),
    ],
)
def test_a_url_is_read_as_a_path_is(url: str, rows: list[int]) -> None:
    """A folder, a file and a glob behind a URL give the rows that they hold."""
    assert _rows(url) == rows


def test_only_what_changed_is_copied_again(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look copies nothing, a third the changed file; what is gone there goes here."""
    copied: list[str] = []
    original = type(bucket).get_file

    def get_file(self: Any, rpath: str, lpath: str, **given: Any) -> Any:
        copied.append(rpath.rpartition("/")[2])
        return original(self, rpath, lpath, **given)

    monkeypatch.setattr(type(bucket), "get_file", get_file)
    assert _rows("memory://bucket/rows") == [1, 2, 3]
    assert sorted(copied) == ["a.parquet", "b.parquet"]
    assert _rows("memory://bucket/rows") == [1, 2, 3]
    assert len(copied) == 2
    with bucket.open("/bucket/rows/a.parquet", "wb") as file:
        pl.DataFrame({"x": [7, 8, 9]}).write_parquet(file)
    assert _rows("memory://bucket/rows") == [7, 8, 9, 3]
    assert copied[2:] == ["a.parquet"]
    bucket.rm("/bucket/rows/deep/b.parquet")
    assert _rows("memory://bucket/rows") == [7, 8, 9]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("memory://bucket/none", "cannot be read"),
        ("nosuch://bucket/rows", "nosuch"),
        ("memory://bucket/*.parquet", "no file is there"),
    ],
)
def test_what_cannot_be_reached_is_one_sentence(url: str, says: str) -> None:
    """A URL with nothing behind it, or of a protocol that nothing here knows, says so."""
    with pytest.raises(SourceError, match=says) as caught:
        open_source(url)
    assert str(caught.value).startswith(f"{url}: ")


def test_a_name_cannot_lead_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that lists a name with .. in it is refused before anything is written."""
    store = fsspec.filesystem("memory")
    entry = {"/b/../../evil.csv": {"name": "/b/../../evil.csv", "type": "file", "size": 1}}
    monkeypatch.setattr(type(store), "isdir", lambda _self, _path: True)
    monkeypatch.setattr(type(store), "find", lambda _self, _path, detail: entry if detail else [])
    with pytest.raises(SourceError, match="leads out"):
        fetch("memory://b")


def test_arrow_files_are_tables(tmp_path: Path) -> None:
    """Arrow's file format is read with its types; a file that only bears the name is a problem."""
    pl.DataFrame({"x": [1, 2], "t": ["a", "b"]}).write_ipc(tmp_path / "one.arrow")
    (tmp_path / "two.feather").write_bytes(b"no arrow at all")
    found = open_source(tmp_path)
    assert (found.kind, found.scan().collect()["x"].to_list()) == ("table", [1, 2])
    assert "cannot be read as Arrow" in found.problems()["problem"][0]
