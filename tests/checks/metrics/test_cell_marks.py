"""The rows that are asked for, and what comes back from a person."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from checks.core.errors import SourceError
from checks.metrics.cell_marks import propose_rows, read_marks

IDS = pl.DataFrame(
    {"uri": ["t.csv"] * 9, "row": range(9), "sample_id": [f"s{i}" for i in range(9)]}
)
COLUMNS = ["town", "zip code", "a;b"]
SCHEMA = {"sample_id": pl.String, "column": pl.String, "signals": pl.List(pl.String),
          "confidence": pl.Float64}  # fmt: skip


def test_patterns_are_covered_first() -> None:
    """The proposed rows show every pattern once before any is shown twice."""
    told = [(f"s{i}", "town", [f"check_{i % 3}"], 0.6) for i in range(9)]
    asked = propose_rows(pl.DataFrame(told, schema=SCHEMA, orient="row"), IDS, 3)
    assert len({int(name[1]) % 3 for name in asked["sample_id"]}) == 3


def test_a_doubtful_pattern_beats_a_sure_one() -> None:
    """A row is worth what could be misjudged by it: doubt times the cells that share it."""
    told = [("s0", "town", ["sure"], 0.99), ("s1", "town", ["doubtful"], 0.6)]
    asked = propose_rows(pl.DataFrame(told, schema=SCHEMA, orient="row"), IDS, 1)
    assert asked["sample_id"].to_list() == ["s1"]


def test_rows_without_signals_fill_up() -> None:
    """Where too few rows are flagged the others fill the list; none comes twice."""
    told = [("s5", "town", ["check"], 0.6)]
    asked = propose_rows(pl.DataFrame(told, schema=SCHEMA, orient="row"), IDS, 4)
    assert asked["sample_id"].to_list() == ["s5", "s0", "s1", "s2"]
    assert propose_rows(pl.DataFrame(schema=SCHEMA), IDS, 20).height == 9


def read(folder: Path, text: str, ids: pl.DataFrame = IDS) -> list[tuple[str, str | None]]:
    """The marks in a file that holds `text`."""
    path = folder / "rows.csv"
    path.write_text(text)
    return list(read_marks(path, ids, COLUMNS[:2]).iter_rows())


def test_one_line_a_row_or_a_cell(tmp_path: Path) -> None:
    """Columns may share a line or have one each; an empty `wrong` is a row without a wrong cell."""
    told = read(tmp_path, "row,wrong,note\n0,town; zip code,x\n3,,\n4,town,\n4,zip code,\n")
    assert told == [("s0", "town"), ("s0", "zip code"), ("s3", None), ("s4", "town"),
                    ("s4", "zip code")]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("row\n0\n", "no column 'wrong'"),
        ("row,wrong\n99,town\n", "names a row that the table has not"),
        ("row,wrong\nfirst,town\n", "names a row that the table has not"),
        ("row,wrong\n0,twon\n", "'twon'"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, text: str, said: str) -> None:
    """A mark that names what is not there is refused, with the value and what is allowed."""
    with pytest.raises(SourceError, match=said):
        read(tmp_path, text)


def test_several_files_need_their_name(tmp_path: Path) -> None:
    """In a table of several files a row alone says too little; with its file it is enough."""
    ids = IDS.with_columns(uri=pl.when(pl.col("row") < 5).then(pl.lit("a")).otherwise(pl.lit("b")))
    with pytest.raises(SourceError, match="which file"):
        read(tmp_path, "row,wrong\n0,town\n", ids)
    assert read(tmp_path, "uri,row,wrong\na,0,town\n", ids) == [("s0", "town")]


def test_no_file_is_a_sentence(tmp_path: Path) -> None:
    """A file that is not there is a sentence, no traceback."""
    with pytest.raises(SourceError, match="cannot be read as marks"):
        read_marks(tmp_path / "none.csv", IDS, COLUMNS)
