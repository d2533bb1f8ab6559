"""Cells that cleaning changed or filled: by column and check, with what stood there before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

FILL = "fill:"  # of the check ids of fills, `flows.app.filling`
METHODS = {
    "median": "the median of train", "mode": "the commonest value of train",
    "group": "what its group has in train", "knn": "the mean of its nearest rows of train",
    "iterative": "a regression on the other numbers",
}  # fmt: skip
EXAMPLES_MAX, ROWS_MAX = 3, 60

Document = Mapping[str, Any]


def describe_repairs(
    repairs: pl.DataFrame | None, clean: Document | None
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what was changed in each column and why, most cells first.

    Args:
        repairs: tables.Repairs: cells of train.
        clean: clean.json; its `fills` tell what was fitted, and which held-out cells are filled
            when they are read.

    Returns:
        [{column, check_id, cells, says, examples [{before, after, count}], held_out}].
    """
    fills = (clean or {}).get("fills") or {}
    fitted = fills.get("fitted") or {}
    held = [one for one in fills.get("cells") or [] if one.get("split") != "train"]
    rows = [] if repairs is None else _count(repairs)
    filled = {row["column"] for row in rows if row["check_id"].startswith(FILL)}
    rows += [
        {"column": name, "check_id": f"{FILL}{name}", "cells": 0, "examples": []}
        for name in fitted
        if name not in filled and any(one["column"] == name for one in held)
    ]
    for row in rows:
        is_fill = row["check_id"].startswith(FILL)
        values = row.pop("values", set())
        row["says"] = _tell_fill(fitted.get(row["column"]) or {}, values) if is_fill else ""
        row["held_out"] = sum(
            int(one["len"]) for one in held if is_fill and one["column"] == row["column"]
        )
    return sorted(rows, key=lambda row: (-row["cells"], row["column"], row["check_id"]))


def _count(repairs: pl.DataFrame) -> list[dict[str, Any]]:
    kinds = repairs.group_by("column", "check_id", "before", "after").agg(count=pl.len())
    ordered = kinds.sort(
        "column", "check_id", "count", "before", "after",
        descending=[False, False, True, False, False],
    )  # fmt: skip
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for column, check_id, before, after, count in ordered.iter_rows():
        row = rows.setdefault(
            (column, check_id),
            {"column": column, "check_id": check_id, "cells": 0, "examples": [], "values": set()},
        )
        row["cells"] += count
        row["values"].add(after)
        if len(row["examples"]) < EXAMPLES_MAX:
            row["examples"].append({"before": before, "after": after, "count": count})
    return list(rows.values())


def _tell_fill(fitted: Document, values: Collection[str]) -> str:
    """Return in words what an empty cell takes; `values` are what cells took."""
    method = str(fitted.get("method") or "")
    told = METHODS.get(method, method)
    if method == "group":
        return f"{told} (by {', '.join(fitted.get('group_by') or [])}), else {fitted.get('value')}"
    if method not in ("median", "mode"):
        return told
    usual = str(fitted.get("value"))
    known = ", or with what a check proposes" if set(values) - {usual} else ""
    return f"{told}: {usual}{known}"


def by_column(repairs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the repairs of each column."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in repairs:
        found.setdefault(row["column"], []).append(row)
    return found
