"""From findings to decisions, with what people have said before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from checks.core.check import Check
from checks.core.policy import Policy, Verdict, decide
from checks.core.reviewed import settle_opinions
from checks.core.tables import Opinions, guard
from flows.app.config import Config
from flows.app.review_store import (
    decide_by_reviews,
    hear,
    is_store,
    name_overrides,
    read_overrides,
    tell_reviews,
)
from flows.app.slicing import read_slices

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
        UnknownNameError: [policy] slices names a column that is not there.
    """
    own = config.policy.model_dump(exclude={"overrides", "slices", "reviewed_wrong"})
    actions = {check.id: check.action for check in checks} | dict(more_actions or {})
    overrides, told = hear_people(config, tables)
    slices = read_slices(source, tables["samples"], config.policy.slices)
    verdict = decide(tables["samples"], tables["findings"], tables["scores"], Policy(**own),
                     actions, overrides, slices)  # fmt: skip
    repairs = fill_before(source, tables["samples"], verdict.repairs)
    return replace(verdict, repairs=repairs, facts={**verdict.facts, **told})


def hear_people(
    config: Config, tables: Mapping[str, pl.DataFrame]
) -> tuple[pl.DataFrame | None, dict[str, Any]]:
    """Return what people decided, as `decide` takes it, and the facts of their reviews.

    Raises:
        SourceError: the file that [policy] names cannot be read.
    """
    name = name_overrides(config)
    if name is None:
        return None, {}
    frame = read_overrides(config.locate(name))
    if not is_store(frame):
        return frame, {}
    opinions, stale = hear(guard(Opinions, frame, name), tables["samples"])
    here = opinions.join(tables["samples"], on="sample_id", how="semi")
    told = tell_reviews(here, stale, tables["findings"], tables["scores"])
    decided = decide_by_reviews(settle_opinions(opinions), config.policy.reviewed_wrong)
    return decided, {"reviews": told}


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
