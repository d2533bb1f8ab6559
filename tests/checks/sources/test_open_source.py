from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from checks.core.errors import SourceError
from checks.sources.source import open_source


def said(path: Path | str, **options: object) -> str:
    """Return the sentence that opening and listing a source raises."""
    with pytest.raises(SourceError) as caught:
        open_source(path, **options).entries()
    return str(caught.value)


def test_missing_path_is_one_sentence(tmp_path: Path):
    """A path that is not there is named, with what to do."""
    assert said(tmp_path / "no") == (
        f"{tmp_path / 'no'}: no such file or folder. Check [source] path."
    )


def test_empty_folder_is_one_sentence(tmp_path: Path):
    """A folder without files says what would be recognised."""
    assert "the folder is empty" in said(tmp_path)
    assert "root/<class>/*.jpg" in said(tmp_path, kind="image_folder")


def test_unrecognised_files_are_one_sentence(tmp_path: Path):
    """A folder with nothing but notes names them and the recognised forms."""
    (tmp_path / "notes.txt").write_text("x")
    assert "no recognised files (got 'notes.txt')" in said(tmp_path)


def test_unknown_column_names_the_nearest(tmp_path: Path):
    """A misspelt label column gets its nearest neighbour."""
    (tmp_path / "t.csv").write_text("age,income\n1,2\n")
    assert "got 'incme'" in said(tmp_path / "t.csv", label="incme")
    assert "Did you mean 'income'?" in said(tmp_path / "t.csv", label="incme")


def test_label_column_of_floats_is_one_sentence(tmp_path: Path):
    """Measurements are no classes, in Parquet by type and in CSV by value."""
    values = [i + 0.5 for i in range(50)]
    pl.DataFrame({"y": values}).write_parquet(tmp_path / "t.parquet")
    pl.DataFrame({"y": [str(v) for v in values]}).write_csv(tmp_path / "t.csv")
    for name in ("t.parquet", "t.csv"):
        assert "label column 'y': holds no categories" in said(tmp_path / name, label="y")


def test_whole_numbers_stored_as_floats_are_classes(tmp_path: Path):
    """What pandas makes of integers with gaps is read as integers."""
    pl.DataFrame({"y": [1.0, None, 0.0]}).write_parquet(tmp_path / "t.parquet")
    found = open_source(tmp_path / "t.parquet", label="y").entries()
    assert found["label"].to_list() == ["1", None, "0"]


def test_unknown_kind_is_one_sentence(tmp_path: Path):
    """A kind that is not supported names the nearest."""
    assert "Did you mean 'image_folder'?" in said(tmp_path, kind="image_foldr")


def test_formats_side_by_side_and_other_columns_are_refused(tmp_path: Path):
    """One table is one format with one set of columns; a glob is the way out."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("y\n1\n")
    assert "has not the same columns as a.csv (got 'x, y')" in said(tmp_path)
    assert open_source(tmp_path / "a*.csv").entries().height == 1
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "c.parquet")
    assert "side by side" in said(tmp_path)


def test_glob_without_match_is_one_sentence(tmp_path: Path):
    """A pattern that matches nothing is named."""
    assert "no file matches" in said(tmp_path / "*.csv")


def test_split_comes_from_file_names_or_a_column(tmp_path: Path):
    """train.csv and test.csv give the split; so does a column of that name."""
    (tmp_path / "train.csv").write_text("x\n1\n2\n")
    (tmp_path / "test.csv").write_text("x\n1\n")
    assert open_source(tmp_path).entries()["split"].to_list() == ["test", "train", "train"]
    (tmp_path / "one.csv").write_text("x,split\n1,Train\n2,valid\n3,\n")
    assert open_source(tmp_path / "one.csv").entries()["split"].to_list() == ["train", "val", None]
    assert "no name of a split (got '1')" in said(tmp_path / "one.csv", split="x")


def test_damaged_parquet_beside_a_good_one_is_a_problem(tmp_path: Path):
    """A truncated Parquet file is left out and told; alone it is one sentence."""
    pl.DataFrame({"x": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:50])
    source = open_source(tmp_path)
    assert source.entries().height == 2
    assert source.problems()["uri"].to_list() == ["b.parquet"]
    assert "cannot be read as Parquet" in said(tmp_path / "b.parquet", kind="table")


def test_durations_are_read_as_text(tmp_path: Path):
    """A length of time, for which polars has no plain text, comes as ISO 8601 has it."""
    table = pl.DataFrame({"took": [timedelta(minutes=5), None], "n": [1, 2]})
    table.write_parquet(tmp_path / "t.parquet")
    rows = open_source(tmp_path / "t.parquet").scan().collect()
    assert rows["took"].to_list() == ["PT5M", None]
