"""Runs checks: row checks as one lazy select, set checks one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from checks.core.check import Check, Judged
from checks.core.errors import CheckError
from checks.core.tables import Findings, Keyed, guard

FINDING_COLUMNS = tuple(Findings.to_schema().columns)
KEY = ["sample_id", "check_id", "column"]
DIGITS = 4
SCORED = "scores"


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """What the set checks saw together.

    findings: tables.Findings. scores: sample_id and one Float64 column for each ranking check,
    a row for every sample. facts: by check id.
    """

    findings: pl.DataFrame
    scores: pl.DataFrame
    facts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def run_row_checks(metrics: pl.LazyFrame, checks: Sequence[Check]) -> pl.DataFrame:
    """Apply every row check in one lazy select and return tables.Findings.

    A sample whose `error_kind` says that it could not be read gets only the findings of checks
    that ask for `error_kind`: half-measured values never judge it.

    Args:
        metrics: sample_id and one column per metric.
        checks: configured; those of another kind are left out.

    Raises:
        CheckError: a check needs a metric that is not there, or does not answer yes or no.
        TableError: the findings break their model.

    >>> from checks.core.check import load_checks
    >>> seen = pl.LazyFrame({"sample_id": ["a", "b"], "frame_count": [1, 9]})
    >>> run_row_checks(seen, [load_checks()["animated"]])["evidence"].to_list()
    ['frame_count 9']
    """
    rows = [check for check in checks if check.kind == "row"]
    metrics = _add_optional(metrics, rows)
    known = metrics.collect_schema()
    for check in rows:
        _require(check, known.names(), "metric")
    read = pl.col("error_kind").is_null() if "error_kind" in known else pl.lit(value=True)
    flags = [_flag(check, read).alias(check.id) for check in rows]
    used = sorted({name for check in rows for name in _names(check)} - {"sample_id"})
    frame = metrics.select("sample_id", *(pl.col(name).alias(f"_{name}") for name in used), *flags)
    judged = frame.collect()
    parts = [_find(judged, check) for check in _flagging(judged, rows)]
    return guard(Findings, _gather(parts), "row checks")


def run_set_checks(tables: Mapping[str, pl.LazyFrame], checks: Sequence[Check]) -> SetOutcome:
    """Apply every set check and return findings, scores and facts.

    Samples whose `error_kind` in `metrics` says that they could not be read are hidden from the
    checks and get null scores. A check is left out, with a fact that says so, where a table that
    it needs is absent.

    Args:
        tables: by name: samples, and as far as there are any metrics, features, probabilities,
            dynamics (of the train samples in a training run, `tables.Dynamics`), reviews (people's
            verdicts, `tables.Reviews`); of a table of values also rows (sample_id and its feature
            columns as they came) and columns (`checks.metrics.column_table`). A check that needs
            `scores` runs after all that do not, and reads what they told of every sample unless
            such a table is given.
        checks: configured; those of another kind are left out.

    Raises:
        CheckError: a check's scores have other columns than its own, or a sample twice.
        TableError: the findings break their model.
    """
    everyone = tables["samples"].select("sample_id").sort("sample_id").collect()
    scores: pl.DataFrame = everyone
    parts: list[pl.LazyFrame] = []
    facts: dict[str, Mapping[str, object]] = {}
    shown = _hide_unreadable(tables)
    late = sorted((c for c in checks if c.kind == "set"), key=lambda check: SCORED in _names(check))
    for check in late:
        if SCORED in _names(check) and scores.width > 1:
            shown.setdefault(SCORED, scores.lazy())
        absent = [need for need in check.needs if not need.endswith("?") and need not in shown]
        if absent:
            facts[check.id] = {"not_run": f"no table {', '.join(absent)}"}
            continue
        judged: Judged = check({n: t for n, t in shown.items() if n in _names(check)})
        parts.append(_complete(judged.findings.lazy(), judged.findings.columns, check))
        facts[check.id] = dict(judged.facts)
        if judged.scores is not None:
            scores = _add_score(scores, judged.scores, check)
    findings = guard(Findings, _gather(parts), "set checks")
    return SetOutcome(findings, guard(Keyed, scores, "scores"), facts)


def _names(check: Check) -> set[str]:
    return {need.rstrip("?") for need in check.needs}


def _add_optional(metrics: pl.LazyFrame, rows: Sequence[Check]) -> pl.LazyFrame:
    """Add a null column for each optional metric that is not there."""
    known = metrics.collect_schema().names()
    optional = {need.rstrip("?") for c in rows for need in c.needs if need.endswith("?")}
    absent = sorted(optional - set(known))
    return metrics.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)


def _told(check: Check) -> list[str]:
    """The metrics that a finding tells: what the rule as configured reads, the first need first."""
    roots = set(check().meta.root_names()) if any(n.endswith("?") for n in check.needs) else set()
    return [need.rstrip("?") for need in check.needs if need[-1] != "?" or need[:-1] in roots]


def _require(check: Check, known: Sequence[str], what: str) -> None:
    for name in (need for need in check.needs if not need.endswith("?")):
        if name not in known:
            advice = f"Disable {check.id!r} or measure it."
            raise CheckError(f"checks.{check.id}", f"there is no such {what}", got=name,
                             advice=advice)  # fmt: skip


def _flag(check: Check, read: pl.Expr) -> pl.Expr:
    rule: pl.Expr = check()
    return rule if "error_kind" in check.needs else rule & read


def _flagging(judged: pl.DataFrame, rows: Sequence[Check]) -> list[Check]:
    """The checks that flag a row; most flag none, and cost nothing further."""
    for check in rows:
        if judged.schema[check.id] != pl.Boolean:
            raise CheckError(f"checks.{check.id}", "does not answer yes or no",
                             got=str(judged.schema[check.id]), allowed="Boolean.")  # fmt: skip
    hits = judged.select(pl.col([check.id for check in rows]).any())
    return [check for check in rows if hits[check.id].any()]


def _find(judged: pl.DataFrame, check: Check) -> pl.LazyFrame:
    """The flagged rows of one check, with what was measured as value and evidence."""
    first = pl.col(f"_{check.needs[0]}")
    numeric = judged.schema[f"_{check.needs[0]}"].is_numeric()
    found = {
        "sample_id": pl.col("sample_id"),
        "value": first.cast(pl.Float64).fill_nan(None) if numeric else pl.lit(None, pl.Float64),
        "threshold": pl.lit(_threshold(check), pl.Float64),
        "evidence": pl.concat_str(
            [_phrase(name, judged.schema[f"_{name}"]) for name in _told(check)],
            separator="; ", ignore_nulls=True,
        ),
    }  # fmt: skip
    flagged = judged.lazy().filter(pl.col(check.id)).select(**found)
    return _complete(flagged, list(found), check)


def _threshold(check: Check) -> float | None:
    numbers = (v for v in check.params.values() if isinstance(v, int | float))
    return next((float(v) for v in numbers if not isinstance(v, bool)), None)


def _phrase(name: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(f"_{name}")
    rounded = value.round_sig_figs(DIGITS) if dtype.is_float() else value
    return pl.lit(f"{name} ") + rounded.cast(pl.String)


def _complete(found: pl.LazyFrame, known: Sequence[str], check: Check) -> pl.LazyFrame:
    """Give a check's own columns the rest of tables.Findings; its own severity stands."""
    defaults = {
        "column": pl.lit(None, pl.String), "threshold": pl.lit(None, pl.Float64),
        "suggestion": pl.lit(None, pl.String), "severity": pl.lit(check.severity),
    }  # fmt: skip
    named = {"check_id": pl.lit(check.id), "dimension": pl.lit(check.dimension)}
    absent = {name: e for name, e in defaults.items() if name not in known}
    return found.select(({n: pl.col(n) for n in known} | absent | named)[name].alias(name)
                        for name in FINDING_COLUMNS)  # fmt: skip


def _gather(parts: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    schema = {name: column.dtype.type for name, column in Findings.to_schema().columns.items()}
    empty = pl.LazyFrame(schema=schema)
    return pl.concat([empty, *parts], how="vertical").sort(KEY).collect()


def _hide_unreadable(tables: Mapping[str, pl.LazyFrame]) -> dict[str, pl.LazyFrame]:
    metrics = tables.get("metrics")
    if metrics is None or "error_kind" not in metrics.collect_schema():
        return dict(tables)
    unread = metrics.filter(pl.col("error_kind").is_not_null()).select("sample_id")
    keyed = {n: t for n, t in tables.items() if "sample_id" in t.collect_schema()}
    return {**tables, **{n: t.join(unread, on="sample_id", how="anti") for n, t in keyed.items()}}


def _add_score(scores: pl.DataFrame, found: pl.DataFrame, check: Check) -> pl.DataFrame:
    wanted = ["sample_id", *filter(None, [check.score]), *check.more_scores]
    if check.score is None or found.columns != wanted:
        raise CheckError(f"checks.{check.id}", "its scores have the wrong columns",
                         got=found.columns, allowed=f"{', '.join(wanted)}.")  # fmt: skip
    if found["sample_id"].is_duplicated().any():
        raise CheckError(f"checks.{check.id}", "scores a sample twice",
                         got=found.filter(pl.col("sample_id").is_duplicated())["sample_id"][0],
                         allowed="One row for each sample.")  # fmt: skip
    return scores.join(found, on="sample_id", how="left", maintain_order="left")
