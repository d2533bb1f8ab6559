"""The file that a person reviews in, CSV for a spreadsheet or Parquet: it comes back as it went.

In CSV a text that a spreadsheet would run, or that begins with an apostrophe, gets one more
apostrophe in front, an empty text is one apostrophe, and an empty cell is no value.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from checks.core.errors import SourceError
from flows.app.store import writing

COLUMNS = {
    "uri": pl.String, "row": pl.Int64, "sample_id": pl.String, "split": pl.String,
    "label": pl.String, "suggestion": pl.String, "suspicion": pl.Float64, "evidence": pl.String,
    "reason": pl.String, "drawn_prob": pl.Float64, "verdict": pl.String, "new_label": pl.String,
    "comment": pl.String, "reviewer": pl.String,
}  # fmt: skip
NEEDED = ("sample_id", "verdict")
_LIVE = r"^[-=+@\t\r\n']"
SEPARATORS = ",;\t"  # a spreadsheet writes those of its language


def write_review(path: Path, page: pl.DataFrame) -> None:
    """Write `page` (the columns of COLUMNS) as CSV, or as Parquet where the name ends so.

    Raises:
        SourceError: the name ends otherwise.
        StoreError: the disk refuses.
    """
    kind = _kind(path)
    with writing(path) as file:
        if kind == ".parquet":
            page.write_parquet(file)
        else:
            told = [_quote(n) if t == pl.String else pl.col(n) for n, t in COLUMNS.items()]
            page.select(told).write_csv(file)


def read_review(path: Path) -> pl.DataFrame:
    """Return a review: the columns of COLUMNS in their types, null where the file has none.

    Numbers that cannot be read are null.

    Raises:
        SourceError: the file cannot be read, or lacks sample_id or verdict.
    """
    kind = _kind(path)
    try:
        frame = pl.read_parquet(path) if kind == ".parquet" else _read_csv(path)
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as broken:
        advice = "CSV must be in UTF-8."
        raise SourceError(str(path), "cannot be read as a review", got=str(broken),
                          advice=advice) from broken  # fmt: skip
    absent = [name for name in NEEDED if name not in frame.columns]
    if absent:
        raise SourceError(str(path), "columns are missing", got=absent,
                          advice="`gristmill review export` writes them.")  # fmt: skip
    told = {n: pl.col(n) if n in frame.columns else pl.lit(None) for n in COLUMNS}
    return frame.select(told[n].cast(t, strict=False).alias(n) for n, t in COLUMNS.items())


def _kind(path: Path) -> str:
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SourceError(str(path), "no kind of file for a review", got=path.suffix,
                          allowed="It ends in .csv or .parquet.")  # fmt: skip
    return path.suffix.lower()


def _read_csv(path: Path) -> pl.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        head = file.readline()
    separator = max(SEPARATORS, key=head.count)
    frame = pl.read_csv(path, infer_schema=False, separator=separator)
    return frame.select(_unquote(name) for name in frame.columns)


def _quote(name: str) -> pl.Expr:
    text = pl.col(name)
    marked = text.str.contains(_LIVE) | (text == "")
    return pl.when(marked).then("'" + text).otherwise(text).alias(name)


def _unquote(name: str) -> pl.Expr:
    return pl.col(name).str.strip_prefix("'").alias(name)
