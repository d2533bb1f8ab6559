"""What the columns of a table have to do with each other: gaps, ties, dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.report.column_words import count, count_missing

PAIRS_MAX = 20
TIE_MIN = 0.3
DEPENDENTS_MAX = 40
ROUGH = 1000  # different rows of a sample below which its shares are rough

Document = Mapping[str, Any]


def describe_sample(profile: Document) -> dict[str, Any]:
    """Return what gaps and ties were counted in.

    Returns:
        rows of the sample, whole (whether that is the whole table), rough (whether so few of them
        differ that shares of the sample tell little).
    """
    rows = int(profile.get("sample_count") or 0)
    whole = rows >= int(profile.get("row_count") or 0)
    different = int(profile.get("sample_distinct_count") or 0)
    return {"rows": rows, "whole": whole, "rough": not whole and different < ROUGH}


def describe_gaps(profile: Document) -> dict[str, Any] | None:
    """Return which columns miss their values together; None where nothing is missing.

    Returns:
        sample, columns [names], counts [rows of the sample without a value], together (square
        matrix of the rows that miss both), patterns [{missing: [places], rows, share}],
        pattern_count, empty (columns without any value, which are left out), more (columns with
        gaps beyond those shown).
    """
    gaps = profile.get("gaps")
    listed = profile.get("columns") or []
    empty = sum(0 < count(c, "row") == count_missing(c) for c in listed)
    if not gaps:
        return None
    size = len(gaps["columns"])
    together = [[0] * size for _ in range(size)]
    for place, rows in enumerate(gaps["counts"]):
        together[place][place] = rows
    for i, j, rows in gaps["pairs"]:
        together[i][j] = together[j][i] = rows
    sample = describe_sample(profile)
    gappy = sum(0 < count_missing(c) < count(c, "row") for c in listed)
    return {
        "sample": sample, "columns": list(gaps["columns"]), "counts": list(gaps["counts"]),
        "together": together,
        "patterns": [
            {"missing": list(places), "rows": rows, "share": rows / max(sample["rows"], 1)}
            for places, rows in gaps["patterns"]
        ],
        "pattern_count": gaps["pattern_count"], "empty": empty, "more": gappy - size,
    }  # fmt: skip


def describe_ties(profile: Document) -> dict[str, Any] | None:
    """Return how closely columns hang together and which fix others; None without either.

    Returns:
        sample, columns [names], cells (square matrix of {value, measure, rows} or None),
        fixed (pairs of places [one, other] where one column alone fixes the other), strongest
        [{first, second, value, measure, rows}], more, dependents [{name, by}] with the
        dependencies of `list_dependencies`, the most contradicted first, more_dependents.
    """
    told = profile.get("associations") or {"columns": [], "pairs": []}
    names = list(told["columns"])
    dependencies = list_dependencies(profile)
    if not names and not dependencies:
        return None
    by_dependent: dict[str, list[dict[str, Any]]] = {}
    for one in dependencies:
        by_dependent.setdefault(one["dependent"], []).append(one)
    grouped = list(by_dependent.items())
    cells: list[list[Any]] = [[None] * len(names) for _ in names]
    for i, j, measure, value, rows in told["pairs"]:
        cells[i][j] = cells[j][i] = {"value": value, "measure": measure, "rows": rows}
    place = {name: at for at, name in enumerate(names)}
    singles = [(d["determinants"][0], d["dependent"]) for d in dependencies
               if len(d["determinants"]) == 1]  # fmt: skip
    strong = [pair for pair in told["pairs"] if abs(pair[3]) >= TIE_MIN]
    return {
        "sample": describe_sample(profile), "columns": names, "cells": cells,
        "fixed": [[place[a], place[b]] for a, b in singles if a in place and b in place],
        "strongest": [
            {"first": names[i], "second": names[j], "value": value, "measure": measure,
             "rows": rows}
            for i, j, measure, value, rows in strong[:PAIRS_MAX]
        ],
        "more": len(strong[PAIRS_MAX:]),
        "dependents": [{"name": n, "by": by} for n, by in grouped[:DEPENDENTS_MAX]],
        "more_dependents": len(grouped[DEPENDENTS_MAX:]),
    }  # fmt: skip


def list_dependencies(profile: Document) -> list[dict[str, Any]]:
    """Return the dependencies of a table, those that most rows contradict first.

    Returns:
        [{determinants, dependent, mark, part, rows, violations, share}], share 0..1 of the rows.
    """
    found = [
        {
            "determinants": list(one["determinants"]), "dependent": one["dependent"],
            "mark": one.get("mark"), "part": one.get("part", "whole"),
            "rows": one["row_count"], "violations": one["violation_count"],
            "share": one["violation_count"] / max(one["row_count"], 1),
        }
        for one in profile.get("dependencies") or []
    ]  # fmt: skip
    return sorted(found, key=lambda d: (-d["share"], d["determinants"], d["dependent"]))
