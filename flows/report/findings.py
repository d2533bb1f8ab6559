"""One section per check that found something: worst first, with counts, reasons and examples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from checks.core.check import Check
from checks.core.tables import SEVERITIES
from flows.report.figures import wilson
from flows.report.ledger import count_fates

EXAMPLES_MAX = 12
COLUMNS_MAX = 8
_WHY = re.compile(r"^Why:\s*(.+?)(?:\n\s*\n|\n[A-Z][a-z]+:|\Z)", re.MULTILINE | re.DOTALL)


def describe_findings(
    findings: pl.DataFrame | None,
    samples: pl.DataFrame | None,
    decisions: pl.DataFrame | None,
    checks: Mapping[str, Check],
    examples: int = EXAMPLES_MAX,
) -> list[dict[str, Any]]:
    """Return one section per check: severest first, then what was taken out, then the count.

    Every section counts all findings; `examples` caps the shown ones only, `more` tells the rest.
    """
    if findings is None or samples is None:
        return []
    fates = count_fates(decisions)
    outcome = _outcomes(decisions)
    sections = []
    for (check_id,), group in findings.group_by("check_id", maintain_order=True):
        name = str(check_id)
        section = _describe_check(name, group, samples, checks.get(name))
        shown = _choose_examples(group, samples, outcome, examples)
        sections.append(
            section
            | {
                "fates": fates.get(name, {}),
                "examples": shown,
                "more": max(0, group.height - len(shown)),
            }
        )
    return sorted(sections, key=_badness)


def _badness(section: dict[str, Any]) -> tuple[int, int, int, str]:
    fates = section["fates"]
    taken = fates.get("dropped", 0) + fates.get("quarantined", 0)
    return (
        -SEVERITIES.index(section["severity"]),
        -taken,
        -section["samples"],
        section["check_id"],
    )


def _describe_check(
    check_id: str, group: pl.DataFrame, samples: pl.DataFrame, check: Check | None
) -> dict[str, Any]:
    hit = group["sample_id"].n_unique()
    prevalence, low, high = wilson(hit, samples.height)
    severities = dict(group.group_by("severity").len().rows())
    return {
        "check_id": check_id,
        "dimension": group["dimension"].mode().sort()[0],
        "severity": max(severities, key=SEVERITIES.index),
        "severities": {name: severities[name] for name in SEVERITIES[::-1] if name in severities},
        "samples": hit,
        "findings": group.height,
        "prevalence": prevalence, "prevalence_low": low, "prevalence_high": high,
        "advised": check.action if check else None,
        "summary": _plain_code(check.summary) if check else _common(group, "evidence"),
        "why": explain_why(check.doc) if check else "",
        "params": dict(check.params) if check else {},
        "columns": _count_by(group, "column")[:COLUMNS_MAX],
        "splits": _count_by(
            group.select("sample_id").unique().join(samples, on="sample_id"), "split"
        ),
    }  # fmt: skip


def explain_why(doc: str) -> str:
    r"""Return the sentence after `Why:` in a check's documentation, on one line.

    >>> explain_why("Flag dark.\n\nWhy: no signal\nis left.\nSource: us.")
    'no signal is left.'
    """
    found = _WHY.search(doc)
    return _plain_code(" ".join(found.group(1).split())) if found else ""


def _plain_code(text: str) -> str:
    return text.replace("`", "")


def _common(group: pl.DataFrame, column: str) -> str:
    return str(_count_by(group, column)[0]["name"])


def _count_by(frame: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    counted = frame.drop_nulls(column).group_by(column).len()
    ordered = counted.sort("len", column, descending=[True, False])
    return [{"name": name, "count": count} for name, count in ordered.rows()]


def _outcomes(decisions: pl.DataFrame | None) -> pl.DataFrame:
    if decisions is None:
        empty = {"sample_id": pl.String, "outcome": pl.String, "action": pl.String}
        return pl.DataFrame(schema=empty | {"decided_by": pl.String})
    return decisions.select("sample_id", "outcome", "action", "decided_by")


def _choose_examples(
    group: pl.DataFrame, samples: pl.DataFrame, outcome: pl.DataFrame, limit: int
) -> list[dict[str, Any]]:
    """Return the findings farthest past their threshold; ties in the order of their ids."""
    rank = pl.col("severity").replace_strict(
        {name: i for i, name in enumerate(SEVERITIES)}, return_dtype=pl.Int64
    )
    distance = (pl.col("value") - pl.col("threshold").fill_null(0.0)).abs().fill_nan(None)
    chosen = (
        group.with_columns(rank=rank, distance=distance)
        .sort(
            "rank", "distance", "sample_id", "column",
            descending=[True, True, False, False], nulls_last=True,
        )
        .head(limit)
    )  # fmt: skip
    told = chosen.join(
        samples.select("sample_id", "uri", "row", "label", "split"),
        on="sample_id", how="left", maintain_order="left",
    ).join(outcome, on="sample_id", how="left", maintain_order="left")  # fmt: skip
    keep = (
        "sample_id", "uri", "row", "split", "label", "column", "severity", "value", "threshold",
        "evidence", "suggestion", "outcome", "action", "decided_by",
    )  # fmt: skip
    ordered = told.sort("rank", "distance", "uri", "row", "column",
        descending=[True, True, False, False, False], nulls_last=True)  # fmt: skip
    return ordered.select(keep).rows(named=True)
