"""The columns of a table, each with all that is known of it: worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report import column_words as words
from flows.report.column_findings import worst_severity

TOP_MAX, PATTERNS_MAX, UNITS_MAX, TIES_MAX = 8, 6, 6, 4
ORDERED_MIN = 0.9  # of the values are numbers where a key is drawn as one
TIE_MIN = 0.3  # below, a tie between two columns says little of either
QUANTILES = ("p01", "p05", "p25", "p50", "p75", "p95", "p99")

Document = Mapping[str, Any]
Told = Mapping[str, Sequence[Document]]  # by column


def describe_columns(
    profile: Document, *, flags: Told, drift: Document, rules: Sequence[Document],
    repaired: Told, facts: Document,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return one card for each column of a table, worst first, then by name.

    Args:
        profile: profile.json of a table.
        flags: by column, the checks that flag cells of it; see `flag_columns`.
        drift: drift.json, as `describe_drift` returns it.
        rules: suggested rules {column, rule, evidence, false_alarm}.
        repaired: by column, what was repaired or filled; see `describe_repairs`.
        facts: what checks measured, by check.

    Worst is what an error hits, then what has the largest share of cells that are missing, flagged
    or no value of the column's kind. Examples are added by whoever reads the table.
    """
    listed = [column for column in profile.get("columns") or [] if isinstance(column, dict)]
    moved = _group(drift.get("rows") or [], "name", lambda row: row.get("of") == "column")
    asked = _group(rules, "column")
    ties, fixed = _list_ties(profile), _list_dependencies(profile)
    gains = (facts.get("column_label_leak") or {}).get("gains") or {}
    cards = []
    for column in listed:
        name = str(column.get("name"))
        hits = list(flags.get(name, ()))
        card = _describe(column) | {
            "is_label": name == profile.get("label"),
            "flags": hits,
            "severity": worst_severity([hit["severity"] for hit in hits]),
            "examples": [],
            "drift": [
                {key: row.get(key) for key in ("word", "sentence", "psi", "split")}
                for row in moved.get(name, [])
            ],
            "rules": asked.get(name, []),
            "repaired": list(repaired.get(name, ())),
            "ties": ties.get(name, []),
            "dependencies": fixed.get(name, []),
            "label_gain": gains.get(name),
        }
        card["trouble"] = _weigh(card, words.count_unfit(column))
        cards.append(card)
    return sorted(cards, key=lambda c: (c["severity"] != "error", -c["trouble"], c["name"]))


def _group(rows: Sequence[Document], key: str, keep: Any = bool) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for row in rows:
        if isinstance(row, dict) and keep(row):
            found.setdefault(str(row.get(key)), []).append(row)
    return found


def _weigh(card: Document, unfit: int) -> float:
    """Return the share of a column's cells that something is the matter with, 0..1 or above."""
    rows = max(card["count"], 1)
    wrong = max((flag["count"] for flag in card["flags"] if flag["dimension"] != "missing"),
                default=0)  # fmt: skip
    return float((card["missing"] + card["gaps"].get("inf", 0) + max(wrong, unfit)) / rows)


def _describe(column: Document) -> dict[str, Any]:
    """Return what the profile alone knows of a column."""
    dates = column.get("kind") == "datetime"
    tell = words.tell_date if dates else words.tell_number
    quantiles = column.get("quantiles") or {}
    edges, counts = read_histogram(column) if _has_order(column) else ([], [])
    nested = words.name_kind(column) == "nested"  # their values are not looked into
    top = [] if nested else _list_pairs(column.get("top"), TOP_MAX)
    patterns = column.get("patterns") or []
    gaps = {gap: words.count(column, gap) for gap in words.NOTHING}
    return {
        "name": str(column.get("name")),
        "kind": words.name_kind(column),
        "says": words.tell_kind(column),
        "dtype": str(column.get("dtype") or ""),
        "evidence": words.weigh_evidence(column),
        "count": words.count(column, "row"),
        "gaps": {gap: n for gap, n in gaps.items() if n},
        "missing": words.count_missing(column),
        "distinct": None if nested else column.get("distinct_count"),
        "exact": column.get("exact", True),
        "min": tell(column.get("min")), "p50": tell(quantiles.get("p50")),
        "max": tell(column.get("max")),
        "quantiles": {
            name: tell(quantiles[name])
            for name in QUANTILES
            if name in quantiles and _has_order(column)
        },
        "mean": words.tell_date(column.get("mean")) if dates else column.get("mean"),
        "std": words.tell_span(column.get("std")) if dates else column.get("std"),
        "zeros": words.count(column, "zero"), "negatives": words.count(column, "negative"),
        "lengths": [column.get(f"length_{end}") for end in ("min", "mean", "max")],
        "top": top,
        "patterns": _list_pairs(patterns, PATTERNS_MAX),
        "pattern_count": len(patterns),
        "units": _list_pairs(column.get("units"), UNITS_MAX),
        "edges": [tell(edge) for edge in edges],
        "counts": counts,
    }  # fmt: skip


def _has_order(column: Document) -> bool:
    """Say whether a column's numbers tell of it: not so of the few among its words."""
    filled = words.count(column, "row") - words.count_missing(column)
    numbers = words.count(column, "number") >= ORDERED_MIN * filled
    return column.get("kind") in ("number", "datetime") or (
        column.get("kind") in ("identifier", "constant") and numbers
    )


def _list_pairs(pairs: Any, most: int) -> list[dict[str, Any]]:
    told = [pair for pair in pairs or [] if isinstance(pair, list | tuple)][:most]
    return [{"value": pair[0], "count": pair[1]} for pair in told]


def read_histogram(column: Document) -> tuple[list[float], list[int]]:
    """Return edges and counts of a column's histogram; both empty where they do not fit."""
    edges = list(column.get("histogram_edges") or [])
    counts = list(column.get("histogram_counts") or [])
    return (edges, counts) if counts and len(edges) == len(counts) + 1 else ([], [])


def _list_ties(profile: Document) -> dict[str, list[dict[str, Any]]]:
    """Return for each column the others that it hangs together with most."""
    told = profile.get("associations") or {}
    names: list[str] = told.get("columns") or []
    found: dict[str, list[dict[str, Any]]] = {}
    for first, second, measure, value, rows in told.get("pairs") or []:
        if abs(value) < TIE_MIN:
            break  # the strongest come first
        for one, two in ((first, second), (second, first)):
            mine = found.setdefault(names[one], [])
            if len(mine) < TIES_MAX:
                mine.append({"name": names[two], "measure": measure, "value": value, "rows": rows})
    return found


def _list_dependencies(profile: Document) -> dict[str, list[dict[str, Any]]]:
    """Return for each column the dependencies that it takes part in."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in profile.get("dependencies") or []:
        told = {key: one[key] for key in ("determinants", "dependent", "mark", "part")}
        told |= {"rows": one["row_count"], "violations": one["violation_count"]}
        for name in (*one["determinants"], one["dependent"]):
            found.setdefault(name, []).append(told)
    return found
