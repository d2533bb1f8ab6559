"""What stations leave in a run folder, and which of it has gone or been cut short since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "profile": ("samples.parquet", "metrics.parquet", "profile.json"),
    "check": (
        "findings.parquet",
        "cells.parquet",
        "scores.parquet",
        "features.parquet",
        "label_dynamics.parquet",
        "probabilities.parquet",
        "gate.json",
        "checks.json",
        "drift.parquet",
        "drift.json",
    ),
    "clean": ("decisions.parquet", "repairs.parquet", "clean.json"),
    "compare": ("curves.parquet", "dynamics.parquet", "experiment.json"),
    "report": ("report.json", "report.html"),
}

COSTS = ".costs.json"


def find_damage(path: Path) -> str:
    """Return why the file `path`, JSON or Parquet, cannot be read; nothing where it can, or is not.

    Of Parquet the footer is looked at, the last thing that is written; more is proven by digests.
    """
    try:
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".parquet":
            pl.read_parquet_schema(path)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, pl.exceptions.PolarsError) as broken:
        return (str(broken).splitlines() or [""])[0][:120]
    return ""
