"""From findings to decisions, with what people have said before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.check import Check
from checks.core.errors import SourceError
from checks.core.policy import Policy, Verdict, decide
from flows.app.config import Config

KEY = ["uri", "row"]


def decide_samples(
    config: Config, tables: Mapping[str, pl.DataFrame], checks: list[Check], source: Any,
    more_actions: Mapping[str, str] | None = None,
) -> Verdict:  # fmt: skip
    """Return one decision for each sample of `tables` (samples, findings, scores).

    more_actions: what findings that no check made ask for, by check_id. Each repair carries the
    text that its cell holds in `source`.

    Raises:
        SourceError: the people's decisions that [policy] names cannot be read.
    """
    own = config.policy.model_dump(exclude={"overrides"})
    actions = {check.id: check.action for check in checks} | dict(more_actions or {})
    path = config.policy.overrides
    overrides = read_overrides(config.locate(path)) if path else None
    verdict = decide(tables["samples"], tables["findings"], tables["scores"], Policy(**own),
                     actions, overrides)  # fmt: skip
    return replace(verdict, repairs=fill_before(source, tables["samples"], verdict.repairs))


def fill_before(source: Any, samples: pl.DataFrame, repairs: pl.DataFrame) -> pl.DataFrame:
    """Return `repairs` with what each cell holds now, as text, in `before`."""
    if repairs.is_empty():
        return repairs
    columns = repairs["column"].unique().sort().to_list()
    places = samples.select("sample_id", *KEY)
    wanted = repairs.join(places, on="sample_id", how="left", maintain_order="left")
    held = (
        source.scan()
        .select(*KEY, *(pl.col(name).cast(pl.String) for name in columns))
        .join(wanted.lazy(), on=KEY, how="semi")
        .collect()
        .unpivot(columns, index=KEY, variable_name="column", value_name="before")
    )
    found = wanted.drop("before").join(held, on=[*KEY, "column"], how="left", maintain_order="left")
    return found.select(repairs.columns)


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
