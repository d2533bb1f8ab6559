"""A table in several files: the same profile, and each file is counted once, ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from checks.metrics.tabular import profile_table
from checks.metrics.tabular_parts import Reading, profile_parts
from checks.metrics.tabular_profile import TableProfile
from checks.sources.data_table import DataTable
from checks.sources.source import open_source
from checks.sources.table_parts import TablePart, divide_table, mark_parts


def _table(rows: int, shift: int = 0) -> pl.DataFrame:
    i = np.arange(shift, shift + rows)
    return pl.DataFrame({
        "zip": [str(10_000 + n % 7) for n in i],
        "town": [["Bonn", "Ulm", "Kiel", "Trier", "Jena", "Gera", "Hof"][n % 7] for n in i],
        "price": [(n * 37 % 101) / 4 if n % 11 else None for n in i],
        "both": [f"{10_000 + n % 7}-{n % 5}" for n in i],
        "five": [str(n % 5) for n in i],
    })  # fmt: skip


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose rows are read, one entry for each reading."""
    seen: list[str] = []
    original = TablePart.batches

    def batches(self: TablePart):  # noqa: ANN202
        seen.append(self.fact.uri)
        return original(self)

    monkeypatch.setattr(TablePart, "batches", batches)
    return seen


def _profile(path: Path, folder: Path | None) -> TableProfile:
    source = open_source(path, kind="table")
    assert isinstance(source, DataTable)
    parts = divide_table(source)
    return profile_parts(
        [Reading(mark, part.lazy.collect_schema(), part.batches)
         for part, mark in zip(parts, mark_parts(parts, folder), strict=True)],
        label=None, folder=folder,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_parts_give_the_profile_of_the_whole(tmp_path: Path, form: str) -> None:
    """Files of any sizes, one of them empty, give the profile that one file of all rows gives."""
    data = tmp_path / "data"
    data.mkdir()
    whole = _table(700)
    for at, (start, rows) in enumerate(((0, 300), (300, 0), (300, 1), (301, 399))):
        part = whole.slice(start, rows)
        getattr(part, f"write_{form}")(data / f"{at}.{form}")
    typed = whole if form == "parquet" else whole.cast(pl.String)
    expected = profile_table(typed.lazy(), label=None)
    assert expected.dependencies
    assert _profile(data, None).to_json() == expected.to_json()
    assert _profile(data, tmp_path / "kept").to_json() == expected.to_json()


def test_a_grown_table_costs_its_new_file(tmp_path: Path, reads: list[str]) -> None:
    """Nothing is read twice, and a new file once for its values and once for its pairs."""
    data, kept = tmp_path / "data", tmp_path / "kept"
    data.mkdir()
    for at in range(3):
        _table(300, 300 * at).write_parquet(data / f"{at}.parquet")
    first = _profile(data, kept)
    assert first.dependencies
    assert sorted(reads) == ["0.parquet"] * 2 + ["1.parquet"] * 2 + ["2.parquet"] * 2
    reads.clear()
    assert _profile(data, kept).to_json() == first.to_json()
    assert reads == []
    _table(300, 900).write_parquet(data / "3.parquet")
    grown = _profile(data, kept)
    assert reads == ["3.parquet", "3.parquet"]
    assert grown.to_json() == _profile(data, None).to_json()
    assert grown.row_count == 1200


def test_changed_and_removed_files_are_told_by_their_content(
    tmp_path: Path, reads: list[str]
) -> None:
    """A changed file is counted anew, a removed one no more, a copy under another name never."""
    data, kept = tmp_path / "data", tmp_path / "kept"
    data.mkdir()
    for at in range(3):
        _table(200, 200 * at).write_parquet(data / f"{at}.parquet")
    _profile(data, kept)
    reads.clear()
    _table(210, 5).write_parquet(data / "1.parquet")
    assert _profile(data, kept).row_count == 610
    assert set(reads) == {"1.parquet"}
    reads.clear()
    (data / "0.parquet").rename(data / "9.parquet")
    (data / "2.parquet").unlink()
    assert _profile(data, kept).to_json() == _profile(data, None).to_json()
    assert set(reads) == {"1.parquet", "9.parquet"}  # by the profile that keeps nothing
    assert len(reads) == 4


def test_damaged_states_are_counted_anew(tmp_path: Path) -> None:
    """Stored states that were cut short are passed over, not trusted."""
    data, kept = tmp_path / "data", tmp_path / "kept"
    data.mkdir()
    for at in range(2):
        _table(200, 200 * at).write_parquet(data / f"{at}.parquet")
    first = _profile(data, kept).to_json()
    for path in kept.iterdir():
        path.write_bytes(path.read_bytes()[:64])
    assert _profile(data, kept).to_json() == first
