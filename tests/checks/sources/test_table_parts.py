"""A table's files in batches: every row once, in order, whatever the file is made of."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from checks.sources import table_parts
from checks.sources.data_table import DataTable
from checks.sources.source import open_source
from checks.sources.table_parts import divide_table, mark_parts

ROWS = pl.DataFrame({"x": range(1000), "t": [f"v{n % 7}" for n in range(1000)]})


def _open(path: Path) -> DataTable:
    source = open_source(path, kind="table")
    assert isinstance(source, DataTable)
    return source


@pytest.mark.parametrize(("group_rows", "batch_rows"), [(64, 300), (300, 300), (700, 300), (7, 7)])
def test_row_groups_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_rows: int, batch_rows: int
) -> None:
    """All rows come in order; a batch holds whole row groups where they are small enough."""
    monkeypatch.setattr(table_parts, "BATCH_ROWS", batch_rows)
    monkeypatch.setattr(table_parts, "_GROUP_ROWS_MAX", 2 * batch_rows)
    ROWS.write_parquet(tmp_path / "a.parquet", row_group_size=group_rows)
    batches = list(divide_table(_open(tmp_path / "a.parquet"))[0].batches())
    assert pl.concat(batches).equals(ROWS)
    assert max(batch.height for batch in batches) <= max(batch_rows, group_rows)


@pytest.mark.parametrize("form", ["csv", "ipc"])
def test_other_formats_stream(tmp_path: Path, form: str) -> None:
    """CSV and Arrow files give their rows in order too."""
    path = tmp_path / f"a.{'arrow' if form == 'ipc' else form}"
    getattr(ROWS, f"write_{form}")(path)
    found = pl.concat(divide_table(_open(path))[0].batches())
    assert found.equals(ROWS if form == "ipc" else ROWS.cast(pl.String))


def test_files_of_other_types_are_read_alike(tmp_path: Path) -> None:
    """A column that is whole in one file and broken in another has one type in all batches."""
    pl.DataFrame({"x": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"x": [1.5]}).write_parquet(tmp_path / "b.parquet")
    parts = divide_table(_open(tmp_path))
    assert [next(iter(part.batches())).schema["x"] for part in parts] == [pl.Float64, pl.Float64]


def test_marks_follow_content(tmp_path: Path) -> None:
    """Equal files have equal marks under any name and time; another byte or type is another."""
    ROWS.write_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes((tmp_path / "a.csv").read_bytes())
    first, second = mark_parts(divide_table(_open(tmp_path)), tmp_path / "kept")
    assert first == second
    text = (tmp_path / "b.csv").read_text()
    (tmp_path / "b.csv").write_text(text.replace("v1", "v9", 1))
    assert mark_parts(divide_table(_open(tmp_path)), tmp_path / "kept")[1] != first


def test_roles_are_counted_without_holding_rows(tmp_path: Path) -> None:
    """Labels and splits are counted as the list of all rows has them."""
    (tmp_path / "train.csv").write_text("x,y\n1,a\n2,b\n3,\n")
    (tmp_path / "test.csv").write_text("x,y\n4,a\n")
    source = open_source(tmp_path, kind="table", label="y")
    assert isinstance(source, DataTable)
    listed = source.entries().group_by("split", "label").agg(count=pl.len().cast(pl.Int64))
    assert source.count_roles().equals(listed.sort("split", "label"))
