"""What a run has written so far, read at once: None for each table or document not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.errors import SourceError
from flows.app.store import RunFolder

Document = dict[str, Any]

TABLES = ("samples", "metrics", "scores", "findings", "cells", "decisions", "repairs", "curves",
          "dynamics")  # fmt: skip
DOCUMENTS = (
    "profile", "checks", "clean", "gate", "drift", "experiment", "config", "suggestions",
    "levers", "resplits",
)  # fmt: skip
STATIONS = (
    ("profile", "profile.json", "Nothing has been profiled yet."),
    ("check", "findings.parquet", "No check has run yet."),
    ("clean", "decisions.parquet", "Nothing has been decided and no shard is written yet."),
    ("compare", "experiment.json", "Training on raw and on cleaned data is not compared yet."),
)


@dataclass(frozen=True, slots=True)
class RunData:
    """Tables as in `checks.core.tables`, documents as the stations wrote them."""

    path: Path
    samples: pl.DataFrame | None = None
    metrics: pl.DataFrame | None = None
    scores: pl.DataFrame | None = None
    findings: pl.DataFrame | None = None
    cells: pl.DataFrame | None = None
    decisions: pl.DataFrame | None = None
    repairs: pl.DataFrame | None = None
    curves: pl.DataFrame | None = None
    dynamics: pl.DataFrame | None = None
    profile: Document | None = None
    checks: Document | None = None
    clean: Document | None = None
    gate: Document | None = None
    drift: Document | None = None
    experiment: Document | None = None
    config: Document | None = None
    suggestions: Document | None = None
    levers: Document | None = None
    resplits: Document | None = None
    missing: tuple[Document, ...] = ()


def read_run(run: Path) -> RunData:
    """Return all that the run folder `run` holds, each table guarded by its model.

    Raises:
        SourceError: there is no such folder.
        TableError: a table that is there breaks its model.
        StoreError: a document that is there is not JSON.
    """
    if not run.is_dir():
        raise SourceError(str(run), "no such run folder", advice="Start `gristmill run` first.")
    folder = RunFolder(run)
    tables: dict[str, Any] = {
        name: folder.read_table(name) for name in TABLES if folder.has(f"{name}.parquet")
    }
    documents: dict[str, Any] = {
        name: folder.read_json(f"{name}.json") or None for name in DOCUMENTS
    }
    return RunData(
        path=run,
        **tables,
        **documents,
        missing=tuple(
            {"station": station, "file": file, "says": says}
            for station, file, says in STATIONS
            if not folder.has(file)
        ),
    )
