"""What other tools do with a Parquet file: `python rival_tables.py TOOL PATH OUT`, their Python."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path


def summarize(path: str, _out: str) -> None:
    """DuckDB's SUMMARIZE: about ten statistics a column, approximate quantiles and distinct."""
    import duckdb  # noqa: PLC0415

    told = duckdb.connect(config={"threads": 2}).execute("SUMMARIZE SELECT * FROM read_parquet(?)",
                                                         [path]).fetchall()  # fmt: skip
    print(len(told))


def report_skrub(path: str, out: str) -> None:
    """Write skrub's TableReport as a page."""
    import polars as pl  # noqa: PLC0415
    from skrub import TableReport  # noqa: PLC0415

    TableReport(pl.read_parquet(path), verbose=0).write_html(out)


def report_ydata(path: str, out: str) -> None:
    """Write ydata-profiling's minimal report as a page."""
    import pandas as pd  # noqa: PLC0415
    from ydata_profiling import ProfileReport  # noqa: PLC0415

    ProfileReport(pd.read_parquet(path), minimal=True, progress_bar=False).to_file(Path(out))


TOOLS = {"duckdb": summarize, "skrub": report_skrub, "ydata": report_ydata}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    TOOLS[sys.argv[1]](*sys.argv[2:])
