"""The verdicts on a table's cells, and the rows that a person may mark to better them."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import polars as pl
import polars.selectors as cs

from checks.core.cells import run_cell_checks
from checks.metrics.cell_labels import apply_weights, learn_marks, loosen, tell_signals
from checks.metrics.cell_marks import propose_rows, read_marks
from checks.metrics.cell_verdicts import judge_cells, mark_cells
from flows.app.choosing import chosen_checks
from flows.app.config import Config
from flows.app.intake import read_table_profile
from flows.app.store import RunFolder, writing

TO_MARK = "rows_to_mark.csv"
_ORDER = "\x1forder"  # no data column is named so
_FORMULA, _NUMBER = r"^[-=+@\t\r\n]", r"^[-+]?[\d.]+(?:[eE][-+]?\d+)?$"


def write_cells(config: Config, run: RunFolder, source: Any, findings: pl.DataFrame) -> None:
    """Write cells.parquet, and the rows whose marks would tell most unless there are marks.

    Raises:
        SourceError: the file of marks cannot be used.
    """
    ids = run.read_table("samples").select("uri", "row", "sample_id")
    verdicts = judge_cells(findings, ids)
    if config.checks.labels is None:
        run.write_table("cells", verdicts)
        _ask(run, source, ids, _signals(findings, findings.head(0), verdicts))
        return
    columns = list(source.content_columns)
    marks = read_marks(config.locate(config.checks.labels), ids, columns)
    hints = run_cell_checks(
        source.scan(), ids, read_table_profile(run), loosen(chosen_checks(config, "table"))
    )
    cells = _signals(findings, hints, verdicts)
    learnt = apply_weights(cells, learn_marks(marks, cells, columns))
    run.write_table("cells", mark_cells(verdicts, learnt, hints, marks, ids))


def _signals(findings: pl.DataFrame, hints: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    sure = verdicts.select("sample_id", "column", "confidence")
    return tell_signals(findings, hints).join(sure, on=["sample_id", "column"], how="left")


def _ask(run: RunFolder, source: Any, ids: pl.DataFrame, cells: pl.DataFrame) -> None:
    """Write the rows to mark with an empty column `wrong` in front of what they hold.

    A file that somebody has begun to fill in stays as it is.
    """
    if _begun(run):
        return
    asked = propose_rows(cells, ids).with_row_index(_ORDER).join(ids, on="sample_id")
    wanted = asked.lazy().select(_ORDER, "uri", "row")
    rows = source.scan().join(wanted, on=["uri", "row"], how="inner").collect(engine="streaming")
    values = rows.sort(_ORDER).drop(_ORDER, "uri", "row")
    told = values.select(~(cs.nested() | cs.binary())).columns
    keyed = rows.sort(_ORDER).select("uri", "row", wrong=pl.lit(None, dtype=pl.String))
    page = keyed.hstack(
        values.select(harmless(name, told) for name in told if name not in keyed.columns)
    )
    with writing(run.file(TO_MARK)) as file:
        page.write_csv(file)


def _begun(run: RunFolder) -> bool:
    if not run.has(TO_MARK):
        return False
    try:
        wrong = pl.read_csv(run.file(TO_MARK), columns=["wrong"], infer_schema=False)["wrong"]
    except pl.exceptions.PolarsError:
        return True  # not as it was written: a person's work
    return bool((wrong.fill_null("").str.strip_chars() != "").any())


def harmless(name: str, taken: Collection[str]) -> pl.Expr:
    """Return a column as text that no spreadsheet takes for a formula, under such a name too.

    >>> frame = pl.DataFrame({"=1+1": ["-2", "-2+3", "@A1", "x"]})
    >>> frame.select(harmless("=1+1", frame.columns)).to_dict(as_series=False)
    {"'=1+1": ['-2', "'-2+3", "'@A1", 'x']}
    """
    text = pl.col(name).cast(pl.String)
    live = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    told = pl.when(live).then("'" + text).otherwise(text)
    safe = f"'{name}" if re.search(_FORMULA, name) else name
    while safe != name and safe in taken:
        safe = f"'{safe}"
    return told.alias(safe)
