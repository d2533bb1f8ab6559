"""The table that the benchmarks of tables measure."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import polars.selectors as cs
import pyarrow.parquet as pq

from bench.mixed_table import write_table


def test_a_shorter_table_is_the_head_of_a_longer_one(tmp_path: Path) -> None:
    """Parts depend on their seed and number alone, and a row group is a part."""
    for name, rows, seed in (("long", 2_500, 1), ("short", 1_300, 1), ("other", 1_300, 2)):
        write_table(tmp_path / name, rows, seed, part_rows=1_000)
    long, short, other = (pl.read_parquet(tmp_path / n) for n in ("long", "short", "other"))
    assert long.head(1_300).equals(short)
    assert not short.equals(other)
    assert pq.ParquetFile(tmp_path / "long").metadata.num_row_groups == 3


def test_what_it_holds(tmp_path: Path) -> None:
    """25 columns of five kinds, with nulls, NaN, infinity, blanks and repeated keys among them."""
    write_table(tmp_path / "table", 40_000, 0, part_rows=20_000)
    table = pl.read_parquet(tmp_path / "table")
    kinds = (cs.numeric(), cs.boolean(), cs.datetime(), cs.date(), cs.string())
    assert [table.select(kind).width for kind in kinds] == [13, 2, 1, 1, 8]
    assert 0 < table["age"].null_count() < 2_000
    assert 0 < table["discount"].is_nan().sum() < 1_000
    assert table["weight"].is_infinite().any()
    assert {"", "  ", "n/a", "?"} < set(table["comment"])
    assert 0 < table["id"].is_duplicated().sum() < 40
