import os
import pickle
from pathlib import Path

import pytest
import xxhash

from checks.core.errors import SourceError
from checks.core.tables import Entries, guard
from checks.sources.listing import Listing, list_files
from checks.sources.source import open_source


def plant(root: Path, *uris: str, data: bytes = b"x") -> Path:
    """Write the same bytes under every name."""
    for uri in uris:
        (root / uri).parent.mkdir(parents=True, exist_ok=True)
        (root / uri).write_bytes(data)
    return root


def test_label_is_the_class_folder_and_split_the_level_above(tmp_path: Path):
    """Entries carry the class folder as label and our name for the split folder."""
    plant(tmp_path, "train/cat/a.jpg", "validation/dog/deep/b.png", "test/cat/c.txt")
    source = open_source(tmp_path)
    found = guard(Entries, source.entries(), "entries")
    assert source.kind == "image_folder"
    assert found.select("uri", "label", "split").rows() == [
        ("test/cat/c.txt", "cat", "test"),
        ("train/cat/a.jpg", "cat", "train"),
        ("validation/dog/deep/b.png", "dog", "val"),
    ]


def test_a_class_named_train_is_a_class(tmp_path: Path):
    """Folders `train` and `bus` with files side by side are two classes, not a split."""
    plant(tmp_path, "train/a.jpg", "bus/b.jpg")
    assert open_source(tmp_path).entries()["label"].to_list() == ["bus", "train"]


def test_split_beside_other_folders_is_refused(tmp_path: Path):
    """A split folder with classes next to a stray folder is one clear sentence."""
    plant(tmp_path, "train/cat/a.jpg", "misc/b.jpg")
    with pytest.raises(SourceError, match=r"'train' holds classes.*misc.*exclude"):
        open_source(tmp_path)
    assert open_source(tmp_path, exclude=["misc*"]).entries().height == 1


def test_stray_and_hidden_files_are_no_entries(tmp_path: Path):
    """A README at the top is told in the problems, hidden files are passed over."""
    plant(tmp_path, "cat/a.jpg", "README.md", "cat/.DS_Store", ".git/x.jpg", "loose.png")
    source = open_source(tmp_path)
    assert source.entries()["uri"].to_list() == ["cat/a.jpg", "loose.png"]
    assert source.problems()["uri"].to_list() == ["README.md"]


def test_same_names_and_names_that_differ_in_case_are_kept(tmp_path: Path):
    """Equal names in two folders are two entries; names that differ in case are told."""
    plant(tmp_path, "cat/a.jpg", "dog/a.jpg", "dog/A.jpg")
    source = open_source(tmp_path)
    assert source.entries().height == 3
    (uri, row, text) = source.problems().row(0)
    assert (uri, row) == ("dog/a.jpg", None)
    assert "only in case" in text


def test_links_are_not_followed_out_of_the_root(tmp_path: Path):
    """A link out of the root is told and never read, a link inside it is an entry."""
    plant(tmp_path, "secret.jpg", "data/cat/a.jpg")
    root = tmp_path / "data"
    (root / "cat/out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "cat/loop").symlink_to(root)
    (root / "cat/in.jpg").symlink_to(root / "cat/a.jpg")
    (root / "cat/gone.jpg").symlink_to(root / "nothing")
    source = open_source(root)
    assert source.entries()["uri"].to_list() == ["cat/a.jpg", "cat/in.jpg"]
    assert source.problems()["uri"].to_list() == ["cat/gone.jpg", "cat/loop", "cat/out.jpg"]


def test_an_entry_that_became_a_link_out_of_the_root_is_not_read(tmp_path: Path):
    """A file swapped for a link after listing gives an error value, not the other's bytes."""
    plant(tmp_path, "secret.jpg", "data/cat/a.jpg")
    source = open_source(tmp_path / "data")
    entries = source.entries()
    (tmp_path / "data/cat/a.jpg").unlink()
    (tmp_path / "data/cat/a.jpg").symlink_to(tmp_path / "secret.jpg")
    assert isinstance(next(iter(source.read_bytes(entries))), OSError)


def test_odd_files_do_not_stop_the_listing(tmp_path: Path):
    """A pipe and a name that is no UTF-8 are problems; the rest is listed."""
    plant(tmp_path, "cat/a.jpg")
    os.mkfifo(tmp_path / "cat/pipe.jpg")
    with open(os.fsencode(tmp_path / "cat") + b"/\xff.jpg", "wb"):  # noqa: PTH123
        pass
    source = open_source(tmp_path)
    assert source.entries().height == 1
    assert source.problems().height == 2


def test_a_vanished_file_is_an_error_value(tmp_path: Path):
    """A file deleted between listing and reading is an OSError value in its place."""
    plant(tmp_path, "cat/a.jpg", "cat/b.jpg")
    source = open_source(tmp_path)
    entries = source.entries()
    (tmp_path / "cat/a.jpg").unlink()
    first, second = source.read_bytes(entries)
    assert isinstance(first, FileNotFoundError)
    assert second == b"x"


def test_fingerprint_changes_with_the_files(tmp_path: Path):
    """The mark of a folder is equal for an unchanged one and another after a file grew."""
    plant(tmp_path, "cat/a.jpg")

    def mark() -> str:
        source = open_source(tmp_path)
        return str(source.fingerprint(source.entries()))

    before = mark()
    assert before == mark()
    plant(tmp_path, "cat/a.jpg", data=b"xy")
    assert before != mark()


def test_one_source_tells_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder is listed once for opening, entries and problems; a sent source takes no listing."""
    plant(tmp_path, "cat/a.jpg", "README.md")
    calls = []

    def count(*given: object) -> Listing:
        calls.append(given)
        return list_files(*given)  # type: ignore[arg-type]

    for module in ("source", "image_folder"):
        monkeypatch.setattr(f"checks.sources.{module}.list_files", count)
    source = open_source(tmp_path)
    first = source.entries()
    plant(tmp_path, "cat/b.jpg")
    assert source.entries().equals(first)
    assert source.problems()["uri"].to_list() == ["README.md"]
    assert len(calls) == 1
    sent = pickle.loads(pickle.dumps(source))  # noqa: S301 - our own
    assert len(calls) == 1
    assert sent == source
    assert sent.entries().height == 2


def test_digests_are_those_of_the_bytes(tmp_path: Path):
    """Digests read by blocks equal those of the whole content; a vanished file is an error."""
    plant(tmp_path, "cat/a.jpg", "cat/b.jpg", data=b"x" * 3_000_000)
    source = open_source(tmp_path)
    entries = source.entries()
    (tmp_path / "cat/b.jpg").unlink()
    first, second = source.digests(entries)
    assert first == xxhash.xxh3_128_hexdigest(b"x" * 3_000_000)
    assert isinstance(second, FileNotFoundError)
