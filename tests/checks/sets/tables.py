"""Tables as set checks get them: samples, rows and columns of a frame made by a test."""

from __future__ import annotations

import polars as pl

from checks.core.check import load_checks
from checks.core.run import SetOutcome, run_set_checks
from checks.metrics.column_table import tabulate_columns
from checks.metrics.tabular import profile_table
from checks.sources.identity import digest_rows, identify

CHECKS = load_checks()


def tables_of(
    frame: pl.DataFrame, *, label: str | None = None, split: str | None = None
) -> dict[str, pl.LazyFrame]:
    """The tables of `frame`, whose rows all come from one file and are train without `split`."""
    given = [name for name in (label, split) if name is not None]
    own = [name for name in frame.columns if name not in given]
    keyed = frame.with_row_index("row").with_columns(
        uri=pl.lit("t.csv"), row=pl.col("row").cast(int)
    )
    entries = keyed.select(
        "uri", "row", label=pl.lit(None, pl.String) if label is None else pl.col(label),
        split=pl.lit("train") if split is None else pl.col(split),
        byte_size=pl.lit(None, pl.Int64),
    )  # fmt: skip
    content = digest_rows(keyed.lazy(), own)
    samples = identify(entries.join(content, on=["uri", "row"]), 0, 0.0, 0.0)
    rows = keyed.join(samples.select("uri", "row", "sample_id"), on=["uri", "row"])
    profile = profile_table(frame.drop(split or []).lazy(), label=label)
    return {
        "samples": samples.lazy(),
        "rows": rows.select("sample_id", *own).lazy(),
        "columns": tabulate_columns(profile).lazy(),
    }


def judge(check_id: str, tables: dict[str, pl.LazyFrame], **settings: object) -> SetOutcome:
    """What one check says of the tables, through the runner."""
    return run_set_checks(tables, [CHECKS[check_id].configured(**settings)])
