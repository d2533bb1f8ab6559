import errno
from pathlib import Path

import polars as pl
import pytest

from checks.core.errors import TableError
from flows.app.config import read_config
from flows.app.store import RunFolder, StoreError, open_run, writing
from flows.app.targets import open_target

FULL = OSError(errno.ENOSPC, "No space left on device")


def samples() -> pl.DataFrame:
    """Two valid rows of samples, out of order."""
    digests = ["b" * 32, "a" * 32]
    return pl.DataFrame(
        {
            "sample_id": [f"{d}-0" for d in digests],
            "split": "train",
            "label": ["x", None],
            "uri": ["b.png", "a.png"],
            "row": [0, 0],
            "byte_size": [3, 4],
            "xxh3_128": digests,
        }
    )


def test_tables_are_guarded_and_sorted(tmp_path: Path) -> None:
    """A table comes back sorted by key; one that breaks its model is not written."""
    run = RunFolder(tmp_path)
    run.write_table("samples", samples())
    assert run.read_table("samples")["uri"].to_list() == ["a.png", "b.png"]
    with pytest.raises(TableError, match=r"findings\.parquet"):
        run.write_table("findings", samples().with_columns(check_id=pl.lit("x"), column=None))
    assert [path.name for path in tmp_path.iterdir()] == ["samples.parquet"]


def test_damaged_and_missing_tables_are_told(tmp_path: Path) -> None:
    """A missing table names the cause, a damaged one is a TableError, never a wrong answer."""
    run = RunFolder(tmp_path)
    with pytest.raises(StoreError, match="no such table"):
        run.read_table("samples")
    run.file("samples.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(TableError, match="not a readable Parquet file"):
        run.read_table("samples")


def test_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A disk that fills up while writing gives one sentence and leaves the old file whole."""
    path = tmp_path / "profile.json"
    path.write_text("old")

    def fill_up() -> None:
        with writing(path) as file:
            file.write(b"half")
            raise FULL

    with pytest.raises(StoreError, match="the disk is full") as told:
        fill_up()
    assert "\n" not in str(told.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_under_polars(tmp_path: Path) -> None:
    """A disk that refuses bytes while a Parquet file is encoded gives the same sentence."""

    class Full:
        def write(self, _data: bytes) -> int:
            raise FULL

        def flush(self) -> None:
            raise FULL

    with pytest.raises(StoreError, match="the disk is full"), writing(tmp_path / "t.parquet"):
        samples().write_parquet(Full())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_stamps_tell_what_is_fresh(tmp_path: Path) -> None:
    """A station is fresh as long as its inputs are the same and its outputs untouched."""
    run = RunFolder(tmp_path)
    run.write_json("profile.json", {"samples": 2})
    run.stamp("profile", "inputs", ["profile.json"])
    assert run.fresh("profile", "inputs")
    assert not run.fresh("profile", "others")
    assert not run.fresh("check", "inputs")
    run.write_json("profile.json", {"samples": 3})
    assert not run.fresh("profile", "inputs")


def test_run_folder_remembers_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run folder names the same run again, and a second start of a config finds its folder."""
    monkeypatch.chdir(tmp_path)
    config = read_config({"version": 1, "source": {"path": "data"},
                          "checks": {"disabled": []}}, name="mine")  # fmt: skip
    run = open_run(config)
    assert run.path.name == f"mine-{config.identity[:8]}"
    assert open_run(config).path == run.path
    again, folder = open_target(run.path)
    assert folder.path == run.path
    assert again.identity == config.identity
    assert Path(again.location).resolve() == tmp_path / "data"


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    """Opening a run removes temporary files of a writer that was killed."""
    (tmp_path / ".samples.parquet.tmp-1234").write_bytes(b"half")
    open_run(read_config({"version": 1, "source": {"path": "data"}}), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "config.json"]
