from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.core.errors import SourceError
from checks.sources.csv_records import read_records
from checks.sources.data_table import DataTable
from checks.sources.source import open_source


def opened(tmp_path: Path, data: bytes | str, name: str = "t.csv") -> DataTable:
    """Write a file and open it as a table."""
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source = open_source(path, kind="table")
    assert isinstance(source, DataTable)
    return source


def test_ragged_records_are_left_out_and_told_by_line(tmp_path: Path):
    """Records with too few or too many cells are named by line; the others keep their rows."""
    source = opened(tmp_path, "a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert source.scan().collect().rows() == [("t.csv", 0, "1", "2"), ("t.csv", 3, "7", "8")]
    assert source.problems().rows() == [
        ("t.csv", 1, "line 3: 1 cells where the header has 2: left out"),
        ("t.csv", 2, "line 4: 3 cells where the header has 2: left out"),
    ]


def test_stray_quote_costs_one_line(tmp_path: Path):
    """A quote that is never closed is told; the lines behind it are read."""
    source = opened(tmp_path, 'a,b\n1,"x\n' + "".join(f"{i},y\n" for i in range(300)))
    assert source.entries().height == 300
    assert "never closed" in source.problems()["problem"][0]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8-sig", "utf-8-sig"), ("cp1252", "cp1252"), ("utf-16", "utf-16")],
)
def test_other_encodings_are_read_and_told(tmp_path: Path, encoding: str, told: str):
    """Text in another encoding comes out right and the encoding stands in the problems."""
    source = opened(tmp_path, "naïve,b\nGrün,2\n".encode(encoding))
    assert source.scan().collect().row(0)[2:] == ("Grün", "2")
    assert source.columns == ("naïve", "b")
    assert f"read as {told}" in source.problems()["problem"][0]


def test_bytes_that_cp1252_lacks_are_latin_1(tmp_path: Path):
    """A byte without a character in cp1252 falls back to latin-1 and never fails."""
    source = opened(tmp_path, b"a,b\n\x81\xe9,2\n")
    assert source.scan().collect().row(0)[2] == "\x81é"


def test_quoted_newlines_separators_and_doubled_quotes(tmp_path: Path):
    """A quoted cell may hold the separator, a newline and quotes."""
    source = opened(tmp_path, 'a;b\n"x;\ny";"say ""hi"""\n1;2\n')
    assert source.scan().collect().rows() == [
        ("t.csv", 0, "x;\ny", 'say "hi"'),
        ("t.csv", 1, "1", "2"),
    ]


def test_column_names_become_unique_and_clear_of_our_keys(tmp_path: Path):
    """Double, blank and reserved names are changed, and the change is told."""
    source = opened(tmp_path, "uri,x,x,\n1,2,3,4\n")
    assert source.columns == ("uri_2", "x", "x_2", "column_4")
    assert "'uri' is now 'uri_2'" in source.problems()["problem"][0]


def test_blank_lines_are_no_records(tmp_path: Path):
    """Blank lines, at the end or between, give no rows; an empty cell is null."""
    source = opened(tmp_path, "a,b\n1,\n\n2,x\n\n")
    assert source.scan().collect().select("a", "b").rows() == [("1", None), ("2", "x")]


def test_empty_and_binary_files_are_problems_beside_a_good_one(tmp_path: Path):
    """A file of 0 bytes and a binary one are left out and told; alone they are one sentence."""
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(b"PK\x03\x04\0\0\0")
    opened(tmp_path, "a,b\n1,2\n")
    source = open_source(tmp_path)
    assert source.entries().height == 1
    assert source.problems()["uri"].to_list() == ["binary.csv", "empty.csv"]
    for name in ("empty.csv", "binary.csv"):
        with pytest.raises(SourceError, match="no CSV file with a header"):
            open_source(tmp_path / name)


def test_header_without_records_is_one_sentence(tmp_path: Path):
    """A table that has a header and nothing else is refused with its name."""
    with pytest.raises(SourceError, match="the table has no rows"):
        opened(tmp_path, "a,b\n").entries()


def test_record_by_record_reading_equals_polars(tmp_path: Path):
    """The careful reader and polars give the same table for a clean file."""
    text = "a,b\n" + "".join(f"{i},v{i}\n" for i in range(25_000))
    plain = opened(tmp_path, text)
    careful = opened(tmp_path, text.encode("utf-8-sig"), "u.csv")
    assert plain.csv_files[0].plain
    assert not careful.csv_files[0].plain
    a, b = (s.scan().drop("uri").collect() for s in (plain, careful))
    assert a.equals(b)
    narrowed = careful.scan().filter(pl.col("a") == "7").select("b").collect()
    assert narrowed.item() == "v7"
    assert careful.scan().head(3).collect().height == 3


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    """Whatever bytes stand behind a header, every line is a record or a complaint."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(b'a,"b"\n' + data)
    for encoding in ("utf-8", "latin-1"):
        assert len(list(read_records(path, encoding, ","))) >= 1
