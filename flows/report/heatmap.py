"""Class by check: which classes carry which defects."""

from __future__ import annotations

from typing import Any

import polars as pl

from flows.report.figures import wilson

CLASSES_MAX, CHECKS_MAX = 40, 30
CLASSES_MIN = 2
LEVELS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)  # lower bounds of shares at which the colour changes


def map_classes(
    findings: pl.DataFrame | None, samples: pl.DataFrame | None, order: list[str]
) -> dict[str, Any] | None:
    """Return the share of each class's samples that each check flags; None below two classes.

    Args:
        findings: tables.Findings.
        samples: tables.Samples, all splits.
        order: check ids, worst first; at most 30 are kept.

    Returns:
        checks [{check_id, flagged, share}], rows [{label, size, any, any_low, flagged, lows}],
        more_checks, more_classes. flagged and lows are parallel to checks; lows are the lower
        ends of 95 % Wilson intervals, so that one flagged sample of two does not outshine a
        hundred of three hundred. Rows are sorted by any_low, the bound for being flagged by any
        of the checks: worst first, at most 40.
    """
    if findings is None or samples is None or not order:
        return None
    labelled = samples.drop_nulls("label").select("sample_id", "label")
    if labelled["label"].n_unique() < CLASSES_MIN:
        return None
    shown = order[:CHECKS_MAX]
    hits = (
        findings.filter(pl.col("check_id").is_in(shown))
        .select("sample_id", "check_id")
        .unique()
        .join(labelled, on="sample_id")
    )
    sizes = dict(labelled.group_by("label").len().rows())
    counted = {(a, b): n for a, b, n in hits.group_by("label", "check_id").len().rows()}
    touched = dict(hits.group_by("label").agg(pl.col("sample_id").n_unique()).rows())
    rows = []
    for label, size in sizes.items():
        flagged = [counted.get((label, check), 0) for check in shown]
        rows.append(_describe_class(label, size, touched.get(label, 0), flagged))
    rows.sort(key=lambda row: (-row["any_low"], -row["any"], row["label"]))
    totals = dict(hits.group_by("check_id").len().rows())
    checks = [
        {"check_id": check, "flagged": totals.get(check, 0),
         "share": totals.get(check, 0) / labelled.height}
        for check in shown
    ]  # fmt: skip
    return {
        "checks": checks, "rows": rows[:CLASSES_MAX], "size": labelled.height,
        "any": sum(touched.values()),
        "more_checks": len(order) - len(shown), "more_classes": max(0, len(rows) - CLASSES_MAX),
    }  # fmt: skip


def _describe_class(label: str, size: int, touched: int, flagged: list[int]) -> dict[str, Any]:
    return {
        "label": label, "size": size, "any": touched, "any_low": _low(touched, size),
        "flagged": flagged, "lows": [_low(count, size) for count in flagged],
    }  # fmt: skip


def _low(hits: int, total: int) -> float:
    return (wilson(hits, total)[1] or 0.0) if hits else 0.0


def shade(low: float | None) -> int:
    """Return the colour step of a lower bound, 0 (nothing flagged) to 6.

    >>> shade(0.0), shade(0.001), shade(0.3), shade(0.9)
    (0, 1, 5, 6)
    """
    return sum((low or 0.0) > level for level in LEVELS)
