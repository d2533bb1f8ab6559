"""Ways to slice a set: named columns, columns of few values, and the folders of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from checks.core.errors import UnknownNameError
from checks.sources.source import open_source
from flows.app.slicing import read_slices


def list_samples(source: object) -> pl.DataFrame:
    """The entries of a source with an id each."""
    entries = source.entries().with_row_index("at")  # type: ignore[attr-defined]
    return entries.with_columns(pl.format("{}", "at").alias("sample_id"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Sixty rows: an annotator, a site that spells the label anew, a key, a measure."""
    rows = pl.DataFrame({
        "annotator": ["ada", None, "eve"] * 20, "site": ["x", "y"] * 30,
        "key": [f"k{at}" for at in range(60)], "size": [at / 7 for at in range(60)],
        "label": ["a", "b"] * 30,
    })  # fmt: skip
    rows.write_parquet(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_columns_of_few_values_are_found(table: Path) -> None:
    """A column that names the label anew, a key and a measure slice nothing."""
    source = open_source(table, label="label")
    slices = read_slices(source, list_samples(source))
    assert slices is not None
    assert slices.columns == ["sample_id", "annotator"]
    assert slices["annotator"].null_count() == 20


def test_named_columns_are_taken(table: Path) -> None:
    """Whatever is named slices, nothing where the list is empty, and a wrong name is told."""
    source = open_source(table, label="label")
    samples = list_samples(source)
    slices = read_slices(source, samples, ["site", "key"])
    assert slices is not None
    assert slices.columns == ["sample_id", "site", "key"]
    assert read_slices(source, samples, []) is None
    with pytest.raises(UnknownNameError, match="Did you mean 'annotator'"):
        read_slices(source, samples, ["anotator"])


def test_folders_of_images_are_slices(tmp_path: Path, write_png: Callable[[Path], None]) -> None:
    """A level below the classes slices; the class's own level tells nothing new."""
    for label in ("cat", "dog"):
        for site in ("north", "south"):
            write_png(tmp_path / label / site / "one.png")
    source = open_source(tmp_path)
    slices = read_slices(source, list_samples(source))
    assert slices is not None
    assert slices.columns == ["sample_id", "folder_2"]
    assert sorted(slices["folder_2"]) == ["north", "north", "south", "south"]


def test_columns_beside_images_are_slices(
    tmp_path: Path, write_png: Callable[[Path], None]
) -> None:
    """Of a table of images every column but image, label, split and file name may slice."""
    write_png(tmp_path / "one.png")
    picture = (tmp_path / "one.png").read_bytes()
    columns = {"image": [picture] * 6, "label": ["a", "b"] * 3, "file": ["f"] * 6}
    workers = pl.Series("worker", ["w1", "w1", "w2"] * 2)
    pl.DataFrame(columns).with_columns(workers).write_parquet(tmp_path / "t.parquet")
    source = open_source(tmp_path / "t.parquet")
    slices = read_slices(source, list_samples(source))
    assert slices is not None
    assert slices["worker"].to_list() == ["w1", "w1", "w2"] * 2


@pytest.fixture
def write_png() -> Callable[[Path], None]:
    """Write a small grey image."""
    from PIL import Image  # noqa: PLC0415 - only here

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 90).save(path)

    return write
