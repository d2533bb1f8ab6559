"""The rows that a person is asked to mark, and the file in which the marks come back.

One line for each wrong cell, or for each row with its wrong columns parted by `;`. A row whose
`wrong` is empty was looked at and has no wrong cell. Further columns are for reading only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from checks.core.errors import SourceError
from checks.metrics.cell_labels import QUIET

ROWS = 20
SEPARATOR = ";"
_AGAIN = 0.5  # what a pattern is still worth once a chosen row shows it


def propose_rows(cells: pl.DataFrame, ids: pl.DataFrame, count: int = ROWS) -> pl.DataFrame:
    """Return the rows whose marks would tell most: sample_id, in the order of their worth.

    Args:
        cells: sample_id, column, signals, confidence (null for a hint), as `learn_marks` takes.
        ids: sample_id of every row.
        count: how many rows a person can be asked for.

    A pattern is a column with its signals. It is worth the cells that have it times p (1 - p) for
    its confidence p, half as much for each chosen row that shows it already. Where rows are left
    over, they are taken in the order of sample_id, which is that of no column.

    Source: sampling by clusters of equal detector bits as in Raha (Mahdavi et al. 2019).

    >>> cells = pl.DataFrame({"sample_id": ["a", "b", "b"], "column": ["x", "x", "y"],
    ...                       "signals": [["s"], ["s"], ["t"]], "confidence": [0.9, 0.9, 0.6]})
    >>> propose_rows(cells, pl.DataFrame({"sample_id": ["a", "b", "c"]}), 2)["sample_id"].to_list()
    ['b', 'a']
    """
    coded = cells.sort("sample_id", "column").with_columns(
        at=pl.col("sample_id").rank("dense").cast(pl.Int64) - 1,
        pattern=pl.struct("column", pl.col("signals").list.join(" ")).rank("dense").cast(pl.Int64)
        - 1,
    )
    row, pattern = coded["at"].to_numpy(), coded["pattern"].to_numpy()
    sure = coded["confidence"].fill_null(QUIET).to_numpy()
    worth = np.bincount(pattern, weights=sure * (1 - sure)) if coded.height else np.zeros(0)
    names = coded["sample_id"].unique(maintain_order=True).to_list()
    chosen: list[str] = []
    for _ in range(min(count, len(names))):
        gain = np.round(np.bincount(row, weights=worth[pattern]), 9)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        chosen.append(names[best])
        worth[pattern[row == best]] *= _AGAIN
        keep = row != best
        row, pattern = row[keep], pattern[keep]
        if not row.size:
            break
    rest = ids.filter(~pl.col("sample_id").is_in(chosen))["sample_id"].sort()
    return pl.DataFrame({"sample_id": [*chosen, *rest.head(count - len(chosen))]},
                        schema={"sample_id": pl.String})  # fmt: skip


def read_marks(path: Path, ids: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return the marks of a CSV file as sample_id and column, null for a row without a wrong cell.

    Args:
        path: CSV with `row` (0 is the first row of data), `wrong` (names of columns, parted by
            `;`), and `uri` where the table lies in several files.
        ids: uri, row, sample_id of the table.
        columns: the table's.

    Raises:
        SourceError: the file cannot be read, lacks a column, or names a row or a column that the
            table has not.
    """
    try:
        given = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as broken:
        raise SourceError(str(path), "cannot be read as marks", got=str(broken)) from broken
    lacking = [name for name in ("row", "wrong") if name not in given.columns]
    if lacking:
        allowed = "A line for each marked row: row, wrong (columns parted by ;), perhaps uri."
        raise SourceError(str(path), f"has no column {lacking[0]!r}", got=given.columns,
                          allowed=allowed)  # fmt: skip
    on = ["uri", "row"] if "uri" in given.columns else ["row"]
    if on == ["row"] and ids["uri"].n_unique() > 1:
        raise SourceError(str(path), "does not say which file a row is of", got=given.columns,
                          allowed="A column `uri` beside `row`.")  # fmt: skip
    marks = given.select(*on, "wrong").with_columns(
        pl.col("row").cast(pl.Int64, strict=False),
        column=pl.col("wrong").fill_null("").str.split(SEPARATOR),
    )
    placed = marks.join(ids.select("uri", "row", "sample_id"), on=on, how="left")
    _refuse(path, placed.filter(pl.col("sample_id").is_null()), "row", "The rows of the table.")
    told = placed.explode("column").with_columns(pl.col("column").str.strip_chars())
    told = told.with_columns(column=pl.when(pl.col("column") != "").then(pl.col("column")))
    strange = told.filter(pl.col("column").is_not_null() & ~pl.col("column").is_in(columns))
    _refuse(path, strange, "column", f"One of {', '.join(columns)}.")
    return told.select("sample_id", "column").unique().sort("sample_id", "column")


def _refuse(path: Path, strange: pl.DataFrame, what: str, allowed: str) -> None:
    if strange.height:
        raise SourceError(str(path), f"names a {what} that the table has not", got=strange[what][0],
                          allowed=allowed)  # fmt: skip
