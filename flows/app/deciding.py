"""From findings to decisions, with what people have said before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from checks.core.check import Check
from checks.core.errors import SourceError
from checks.core.policy import Policy, Verdict, decide
from flows.app.config import Config


def decide_samples(
    config: Config, tables: Mapping[str, pl.DataFrame], checks: list[Check]
) -> Verdict:
    """Return one decision for each sample of `tables` (samples, findings, scores).

    Raises:
        SourceError: the people's decisions that [policy] names cannot be read.
    """
    own = config.policy.model_dump(exclude={"overrides"})
    actions = {check.id: check.action for check in checks}
    path = config.policy.overrides
    overrides = read_overrides(config.locate(path)) if path else None
    return decide(tables["samples"], tables["findings"], tables["scores"], Policy(**own), actions,
                  overrides)  # fmt: skip


def read_overrides(path: Path) -> pl.DataFrame:
    """Return people's decisions: sample_id, action, decided_by and new_label where given.

    Raises:
        SourceError: the file is missing or neither Parquet nor CSV.
    """
    try:
        reader = pl.read_csv if path.suffix == ".csv" else pl.read_parquet
        frame = reader(path)
    except (OSError, pl.exceptions.PolarsError) as broken:
        raise SourceError(str(path), "cannot be read as decisions", got=str(broken)) from broken
    if "decided_by" not in frame.columns:
        frame = frame.with_columns(decided_by=pl.lit("person"))
    return frame
