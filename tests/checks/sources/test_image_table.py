import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from checks.core.errors import SourceError
from checks.core.tables import Entries, guard
from checks.sources.source import open_source


def hf_file(path: Path, cells: list[object], labels: list[int | None]) -> None:
    """Write a Parquet file as Hugging Face's `datasets` does."""
    features = {
        "image": {"_type": "Image"},
        "kind": {"_type": "ClassLabel", "names": ["cat", "dog"]},
    }
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "kind": pa.array(labels, pa.int64())})
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(told), path, row_group_size=2)


def test_hugging_face_files_open_by_themselves(tmp_path: Path):
    """Image and label columns are found in the metadata and class numbers become names."""
    cells = [{"bytes": bytes([i]), "path": f"{i}.jpg"} for i in range(5)]
    hf_file(tmp_path / "train-00000-of-00001.parquet", cells, [0, 1, 1, -1, None])
    source = open_source(tmp_path)
    found = guard(Entries, source.entries(), "entries")
    assert source.kind == "image_table"
    assert found["label"].to_list() == ["cat", "dog", "dog", None, None]
    assert found["split"].unique().to_list() == ["train"]
    assert list(source.read_bytes(found)) == [bytes([i]) for i in range(5)]
    assert source.file_names(found) == [f"{i}.jpg" for i in range(5)]


def test_any_rows_are_read_in_the_order_asked(tmp_path: Path):
    """A part of the entries, across row groups and twice over, gives its own bytes."""
    cells = [{"bytes": bytes([i]), "path": None} for i in range(7)]
    hf_file(tmp_path / "a.parquet", cells, [0] * 7)
    source = open_source(tmp_path / "a.parquet")
    entries = source.entries()
    for rows in ([5], [1, 2, 6], [0, 3]):
        part = entries.filter(pl.col("row").is_in(rows))
        assert list(source.read_bytes(part)) == [bytes([i]) for i in rows]


def test_cells_without_bytes_are_error_values(tmp_path: Path):
    """A null cell, a missing file and a path out of the root cost one row each."""
    (tmp_path / "in.jpg").write_bytes(b"in")
    cells = [
        {"bytes": None, "path": "in.jpg"}, {"bytes": None, "path": "no.jpg"},
        {"bytes": None, "path": "../x.jpg"}, {"bytes": None, "path": None}, None,
        {"bytes": b"ok", "path": None},
    ]  # fmt: skip
    (tmp_path / "data").mkdir()
    hf_file(tmp_path / "a.parquet", cells, [0] * 6)
    source = open_source(tmp_path / "a.parquet")
    first, *bad, last = source.read_bytes(source.entries())
    assert (first, last) == (b"in", b"ok")
    assert [isinstance(item, OSError) for item in bad] == [True] * 4


def test_damaged_pages_are_error_values(tmp_path: Path):
    """A Parquet file with a readable footer and damaged pages gives errors, not a crash."""
    rows = {"image": [bytes(100) + bytes([i]) for i in range(50)], "label": ["a"] * 50}
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet", compression="zstd")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[20:60] = b"\xff" * 40
    (tmp_path / "a.parquet").write_bytes(bytes(data))
    source = open_source(tmp_path / "a.parquet", label="label")
    entries = pl.DataFrame({"uri": ["a.parquet"] * 50, "row": list(range(50))})
    assert any(isinstance(item, OSError) for item in source.read_bytes(entries))


def test_columns_can_be_named(tmp_path: Path):
    """Configured columns win; a wrong one is refused with the nearest, text is no image."""
    rows = {"picture": [b"1", b"2"], "thumb": [b"3", b"4"], "note": ["a", "b"], "y": [True, False]}
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet", image="thumb", label="y")
    assert list(source.read_bytes(source.entries())) == [b"3", b"4"]
    assert source.entries()["label"].to_list() == ["true", "false"]
    with pytest.raises(SourceError, match="Did you mean 'thumb'"):
        open_source(tmp_path / "a.parquet", image="thumbs")
    with pytest.raises(SourceError, match="no column of image bytes"):
        open_source(tmp_path / "a.parquet", image="note", kind="image_table")
