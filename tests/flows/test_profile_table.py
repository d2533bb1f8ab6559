"""`gristmill profile` on a table: its columns and a report, no list of its rows."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from checks.sources.table_parts import TablePart
from flows.app.cli import main


def _start(*tokens: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*tokens])
    return int(str(ended.value.code))


def _write(path: Path, shift: int = 0) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = range(shift, shift + 60)
    pl.DataFrame({
        "size": [f"{n % 9}.5" for n in rows], "town": [("Ulm", "Bonn", "N/A")[n % 3] for n in rows],
        "kind": [("a", "b")[n % 2] for n in rows],
    }).write_csv(path)  # fmt: skip


def test_profile_writes_columns_and_a_report(tmp_path: Path) -> None:
    """The run folder has profile.json and the report, and what `check` needs when it is asked."""
    _write(tmp_path / "data" / "a.csv")
    out, data = str(tmp_path / "run"), str(tmp_path / "data")
    assert _start("profile", data, "--label", "kind", "--out", out) == 0
    made = {path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")}
    assert made == {"cache", "config.json", "profile.json", "report.html", "report.json",
                    "stamps.json"}  # fmt: skip
    told = json.loads((tmp_path / "run" / "profile.json").read_text())
    assert (told["samples"], told["classes"]) == (60, {"a": 30, "b": 30})
    assert "town" in (tmp_path / "run" / "report.html").read_text()
    assert _start("check", data, "--label", "kind", "--out", out, "--fail-on", "never") == 0
    assert pl.read_parquet(tmp_path / "run" / "samples.parquet").height == 60


def test_a_grown_table_reads_its_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second profile of the same data reads nothing, one of a grown table its new file."""
    read: list[str] = []
    original = TablePart.batches

    def batches(self: TablePart):  # noqa: ANN202
        read.append(self.fact.uri)
        return original(self)

    monkeypatch.setattr(TablePart, "batches", batches)
    out, data = str(tmp_path / "run"), str(tmp_path / "data")
    for name, expected in (("a", {"a.csv"}), ("a", set()), ("b", {"b.csv"})):
        _write(tmp_path / "data" / f"{name}.csv", ord(name))
        read.clear()
        assert _start("profile", data, "--out", out) == 0
        assert set(read) == expected
    assert json.loads((tmp_path / "run" / "profile.json").read_text())["row_count"] == 120
