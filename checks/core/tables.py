"""The tables that cross a boundary, each guarded by one pandera model.

A table is validated when a station hands it over, never inside. All are sorted by key.
`suggestion` of a finding holds, by dimension: duplicate and leak, the sample_id that is kept;
incorrect, the proposed label; for a cell, the proposed value, or an empty text where it had better
be missing; otherwise null.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from checks.core.errors import TableError
from checks.core.words import ACTIONS, DIMENSIONS, OUTCOMES, SEVERITIES, SPLITS


class Table(pa.DataFrameModel):
    """What all tables share: types are checked, never coerced."""

    class Config:
        """Extra columns are refused unless a table says otherwise."""

        strict = True
        coerce = False


class Entries(Table):
    """What a source holds, before any content is read. Key: uri, row."""

    uri: str
    row: pl.Int64 = pa.Field(ge=0)
    label: str = pa.Field(nullable=True)
    split: str = pa.Field(nullable=True)
    byte_size: pl.Int64 = pa.Field(nullable=True, ge=0)
    mtime_ns: pl.Int64 = pa.Field(nullable=True)

    class Config:
        """Key."""

        unique = ["uri", "row"]  # noqa: RUF012 - pandera reads a plain list


class Samples(Table):
    """One row for each sample. Key: sample_id (content digest, hyphen, occurrence)."""

    sample_id: str = pa.Field(unique=True, str_matches=r"^[0-9a-f]{32}-\d+$")
    split: str = pa.Field(isin=SPLITS)
    label: str = pa.Field(nullable=True)
    uri: str
    row: pl.Int64 = pa.Field(ge=0)
    byte_size: pl.Int64 = pa.Field(nullable=True, ge=0)
    xxh3_128: str = pa.Field(str_matches=r"^[0-9a-f]{32}$")


class Keyed(Table):
    """A table with one row for each sample and any further columns (metrics, scores, features)."""

    sample_id: str = pa.Field(unique=True)

    class Config:
        """Metrics and scores bring columns of their own."""

        strict = False


class Findings(Table):
    """One check's hit on one sample, or on one cell of it. Key: sample_id, check_id, column."""

    sample_id: str
    check_id: str
    column: str = pa.Field(nullable=True)
    dimension: str = pa.Field(isin=DIMENSIONS)
    severity: str = pa.Field(isin=SEVERITIES)
    value: pl.Float64 = pa.Field(nullable=True)
    threshold: pl.Float64 = pa.Field(nullable=True)
    evidence: str
    suggestion: str = pa.Field(nullable=True)

    class Config:
        """Key."""

        unique = ["sample_id", "check_id", "column"]  # noqa: RUF012


class Cells(Table):
    """One verdict on each cell of a table that some check flags. Key: sample_id, column.

    confidence: that the cell does not hold what it should, 0..1. `suggestion` as in Findings.
    """

    sample_id: str
    uri: str
    row: pl.Int64 = pa.Field(ge=0)
    column: str
    detectors: pl.List(pl.String)  # type: ignore[valid-type]
    dimension: str = pa.Field(isin=DIMENSIONS)
    confidence: pl.Float64 = pa.Field(ge=0, le=1)
    suggestion: str = pa.Field(nullable=True)

    class Config:
        """Key."""

        unique = ["sample_id", "column"]  # noqa: RUF012


class Decisions(Table):
    """What happens to each sample, and who said so. Key: sample_id."""

    sample_id: str = pa.Field(unique=True)
    action: str = pa.Field(isin=ACTIONS)
    outcome: str = pa.Field(isin=OUTCOMES)
    weight: pl.Float32 = pa.Field(ge=0, le=1)
    new_label: str = pa.Field(nullable=True)
    check_ids: pl.List(pl.String)  # type: ignore[valid-type]
    decided_by: str


class Repairs(Table):
    """Cells that change. Key: sample_id, column."""

    sample_id: str
    column: str
    check_id: str
    before: str = pa.Field(nullable=True)
    after: str = pa.Field(nullable=True)

    class Config:
        """Key."""

        unique = ["sample_id", "column"]  # noqa: RUF012


class Probabilities(Table):
    """Out-of-sample class scores. Key: sample_id, class_name."""

    sample_id: str
    class_name: str
    prob: pl.Float32 = pa.Field(ge=0, le=1)
    fold: pl.Int64

    class Config:
        """Key."""

        unique = ["sample_id", "class_name"]  # noqa: RUF012


class Curves(Table):
    """One evaluation of one training run. Key: tier, arm, seed, step."""

    tier: str
    arm: str
    seed: pl.Int64
    step: pl.Int64 = pa.Field(ge=0)
    samples: pl.Int64 = pa.Field(ge=0)
    cpu_s: pl.Float64 = pa.Field(ge=0)
    wall_s: pl.Float64 = pa.Field(ge=0)
    val_acc: pl.Float64 = pa.Field(ge=0, le=1)
    val_nll: pl.Float64 = pa.Field(ge=0)
    test_acc: pl.Float64 = pa.Field(ge=0, le=1, nullable=True)
    test_nll: pl.Float64 = pa.Field(ge=0, nullable=True)

    class Config:
        """Key."""

        unique = ["tier", "arm", "seed", "step"]  # noqa: RUF012


def guard(model: type[Table], frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return `frame` if it satisfies `model`.

    Raises:
        TableError: with the first failing rules, all of them counted.

    >>> guard(Keyed, pl.DataFrame({"sample_id": ["a"], "luma_mean": [0.5]}), "metrics").height
    1
    """
    try:
        return cast("pl.DataFrame", model.validate(frame, lazy=True))
    except SchemaErrors as broken:
        raise TableError(where, _explain(broken), got=f"{frame.height} rows") from broken


def _explain(broken: SchemaErrors) -> str:
    cases: Any = broken.failure_cases
    first = cases.select("column", "check", "failure_case").head(3).rows()
    told = "; ".join(f"{column} breaks {check} with {case!r}" for column, check, case in first)
    return f"{cases.height} rules broken: {told}"


# The model of each table of a run folder, by the name of its file.
MODELS: Mapping[str, type[Table]] = MappingProxyType({
    "samples": Samples, "metrics": Keyed, "scores": Keyed, "features": Keyed,
    "findings": Findings, "cells": Cells, "decisions": Decisions, "repairs": Repairs,
    "probabilities": Probabilities, "curves": Curves,
})  # fmt: skip
