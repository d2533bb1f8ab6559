"""One section per check that found something: worst first, with counts, reasons and examples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from checks.core.check import Check
from checks.core.words import SEVERITIES
from flows.report.examples import EXAMPLES_MAX, choose_examples
from flows.report.figures import wilson
from flows.report.ledger import count_fates
from flows.report.measures import measure_check

COLUMNS_MAX = 8
_WHY = re.compile(r"^Why:\s*(.+?)(?:\n\s*\n|\n[A-Z][a-z]+:|\Z)", re.MULTILINE | re.DOTALL)


def describe_findings(
    findings: pl.DataFrame | None,
    samples: pl.DataFrame | None,
    decisions: pl.DataFrame | None,
    checks: Mapping[str, Check],
    *,
    examples: int = EXAMPLES_MAX,
    metrics: pl.DataFrame | None = None,
    scores: pl.DataFrame | None = None,
    pictures: bool = False,
) -> list[dict[str, Any]]:
    """Return one section per check: severest first, then what was taken out, then the count.

    Every section counts all findings; `examples` caps the shown ones only, `more` tells the rest.
    With `pictures`, `measure` tells how the check's metric lies over the set, and the examples
    hold the least extreme findings too.
    """
    if findings is None or samples is None:
        return []
    fates = count_fates(decisions)
    outcome = _outcomes(decisions)
    sections = []
    for (check_id,), group in findings.group_by("check_id", maintain_order=True):
        name = str(check_id)
        check = checks.get(name)
        section = _describe_check(name, group, samples, check)
        measure = measure_check(check, group, metrics, scores) if pictures else None
        told, ranked = (measure.told, measure.ranked) if measure else (None, None)
        shown = choose_examples(
            group, samples, outcome, limit=examples, ranked=ranked, metrics=metrics,
            edge="axis" in (told or {}),
        )  # fmt: skip
        _name_partners(shown, samples)
        sections.append(
            section
            | {
                "fates": fates.get(name, {}),
                "measure": told,
                "examples": shown,
                "more": max(0, group.height - len(shown)),
            }
        )
    return sorted(sections, key=_badness)


def _name_partners(examples: list[dict[str, Any]], samples: pl.DataFrame) -> None:
    """Let a text that names another sample by its id name it by its place."""
    others = {example["suggestion"] for example in examples} - {None, ""}
    places = samples.filter(pl.col("sample_id").is_in(others)).select("sample_id", "uri", "row")
    known = {key: f"{uri.rpartition('/')[2]} row {row}" for key, uri, row in places.iter_rows()}
    for example in examples:
        other = example["suggestion"]
        if other in known:
            example["evidence"] = example["evidence"].replace(other, known[other])


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
